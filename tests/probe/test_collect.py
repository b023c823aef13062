"""What one pass over the images gives, against a loop over single images written out by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ImageError, ModelError, OptionError
from reportgen.probe.evidence import CallKey, Evidence, MapPicture, VectorPicture
from reportgen.probe.probe import Probe
from tests.probe.nets import Functional, Residual, batches_of, literal, photos, seeded
from tests.probe.test_statistics import literal as literal_statistics
from tests.probe.test_statistics import literal_bins

IMAGES = photos(7)
FIELDS = ["kind", "output_shape", "channel_axis", "spatial_axes", "parameters", "macs"]
FIELDS += ["receptive_field", "rectifies"]
STATISTICS = ["minimum", "maximum", "mean", "variance", "positive", "zeros", "fired", "nonfinite"]


def collected(net: nn.Module, batch_size: int = 3, images: torch.Tensor = IMAGES) -> Evidence:
    probe = Probe(net, "cpu", batch_size)
    return probe.collect(batches_of(images), len(images), [1, 4], keep_arrays=True)


def assert_same(left: Evidence, right: Evidence, names: dict[str, str]) -> None:
    """Two networks that compute the same have the same evidence; `names` maps one to the other."""

    def renamed(key: CallKey) -> CallKey:
        new = names.get(str(key), str(key))
        path, _, call = new.partition("#")
        return CallKey(path, int(call or 1))

    assert [renamed(call.key) for call in left.calls] == [call.key for call in right.calls]
    for before, after in zip(left.calls, right.calls, strict=True):
        for field in FIELDS:
            assert getattr(before, field) == getattr(after, field), (before.key, field)
        assert [renamed(key) for key in before.inputs] == list(after.inputs)
    for key, before in left.layers.items():
        after = right.layers[renamed(key)]
        for field in STATISTICS:
            np.testing.assert_array_equal(getattr(before, field), getattr(after, field))
        np.testing.assert_array_equal(before.histogram.counts, after.histogram.counts)
    for index, pictures in left.pictures.items():
        for key, picture in pictures.items():
            other = right.pictures[index][renamed(key)]
            if isinstance(picture, MapPicture):
                np.testing.assert_array_equal(picture.full, other.full)
                np.testing.assert_array_equal(picture.tiles, other.tiles)
            else:
                np.testing.assert_array_equal(picture.values, other.values)
    similarity = {renamed(key): value for key, value in left.input_similarity.items()}
    assert similarity == pytest.approx(right.input_similarity)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_statistics_agree_with_a_loop_over_images(batch_size: int) -> None:
    net = seeded(lambda: Residual(is_inplace=True))
    evidence = collected(net, batch_size)
    with torch.no_grad():
        seen = [literal(net, image) for image in IMAGES]
    assert {str(key) for key in evidence.layers} == set(seen[0])
    for key, found in evidence.layers.items():
        values = torch.stack([one[key.path] for one in seen])
        values = values.reshape(len(values), values.shape[1], -1).numpy()
        expected = literal_statistics(values)
        assert found.images == 7
        assert found.positions == values.shape[2]
        for name in ("positive", "zeros", "fired", "nonfinite"):
            np.testing.assert_array_equal(getattr(found, name), expected[name], err_msg=str(key))
        for name in ("minimum", "maximum", "mean", "variance"):
            np.testing.assert_allclose(getattr(found, name), expected[name], rtol=1e-9, atol=1e-12)
        exponent, counts = literal_bins(values)
        assert found.histogram.exponent == exponent
        np.testing.assert_array_equal(found.histogram.counts, counts)


def test_pictures_agree_with_a_loop_over_images() -> None:
    net = seeded(Residual)
    evidence = collected(net)
    assert sorted(evidence.pictures) == [1, 4]
    for index, pictures in evidence.pictures.items():
        with torch.no_grad():
            seen = literal(net, IMAGES[index])
        assert {str(key) for key in pictures} == set(seen)
        for key, picture in pictures.items():
            full = seen[key.path].numpy()
            if key.path == "fc":
                assert isinstance(picture, VectorPicture)
                np.testing.assert_allclose(picture.values, full, rtol=1e-12)
                continue
            assert isinstance(picture, MapPicture)
            np.testing.assert_allclose(picture.full, full, rtol=1e-12, atol=1e-13)
            low, high = full.min((1, 2)), full.max((1, 2))
            np.testing.assert_allclose(picture.low, low, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(picture.high, high, rtol=1e-12, atol=1e-13)
            spread = np.where(high > low, high - low, 1.0)[:, None, None]
            levels = (full - low[:, None, None]) / spread * 254
            assert picture.tiles.shape == full.shape
            assert np.abs(picture.tiles - levels).max() <= 0.5 + 1e-9
            mean = full.mean(0)
            shown = picture.mean_low + picture.mean_map.values() / 254.0 * (
                picture.mean_high - picture.mean_low
            )
            assert np.abs(shown - mean).max() <= (mean.max() - mean.min()) / 254 / 2 + 1e-9


def test_inplace_twins_are_alike() -> None:
    plain = collected(seeded(Residual))
    inplace = collected(seeded(lambda: Residual(is_inplace=True)))
    assert_same(plain, inplace, {})
    bn = plain.layers[CallKey("bn1")]
    assert (bn.minimum < 0).all()


@pytest.mark.parametrize("is_inplace", [False, True])
def test_reused_and_separate_twins_are_alike(is_inplace: bool) -> None:
    separate = collected(seeded(lambda: Residual(is_inplace)))
    reused = collected(seeded(lambda: Residual(is_inplace, is_reused=True)))
    assert_same(separate, reused, {"last": "relu#2"})


@pytest.mark.parametrize(
    "relu",
    [
        F.relu,
        torch.relu,
        torch.Tensor.relu,
        torch.Tensor.relu_,
        F.relu_,
        lambda x: F.relu(x, inplace=True),
    ],
    ids=["F.relu", "torch.relu", "relu", "relu_", "F.relu_", "inplace"],
)
def test_functional_and_module_twins_are_alike(
    relu: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    modules = collected(seeded(Residual))
    functions = collected(seeded(lambda: Functional(relu)))
    names = {"relu": "F.relu", "last": "F.relu#2", "pool": "F.max_pool2d"}
    assert_same(modules, functions, names)
    types = {str(call.key): call.type for call in functions.calls}
    assert types["F.relu"] == types["F.relu#2"] == "F.relu"
    assert types["conv1"] == "Conv2d"


def test_batch_sizes_one_and_seven_agree() -> None:
    one, seven = collected(seeded(Residual), 1), collected(seeded(Residual), 7)
    for key, found in one.layers.items():
        other = seven.layers[key]
        for name in ("positive", "zeros", "fired"):
            np.testing.assert_array_equal(getattr(found, name), getattr(other, name))
        np.testing.assert_allclose(found.mean, other.mean, rtol=1e-9)
        np.testing.assert_allclose(found.variance, other.variance, rtol=1e-9)
        np.testing.assert_array_equal(found.histogram.counts, other.histogram.counts)
    for left, right in zip(one.answers, seven.answers, strict=True):
        np.testing.assert_array_equal(left.classes, right.classes)
        np.testing.assert_allclose(left.probabilities, right.probabilities, rtol=1e-6)


def test_answers_are_the_softmax_of_the_logits() -> None:
    net = seeded(Residual)
    probe = Probe(net, "cpu")
    evidence = probe.collect(batches_of(IMAGES), 7, [])
    assert evidence.classes == 4
    assert not evidence.gives_probabilities
    for image, found in zip(IMAGES, evidence.answers, strict=True):
        with torch.no_grad():
            logits = [float(v) for v in np.float32(literal(net, image)["fc"].numpy())]
        total = sum(np.exp(v) for v in logits)
        order = sorted(range(4), key=lambda i: -logits[i])
        assert list(found.classes) == order
        np.testing.assert_allclose(found.logits, [logits[i] for i in order], rtol=1e-6)
        np.testing.assert_allclose(
            found.probabilities, [np.exp(logits[i]) / total for i in order], rtol=1e-6
        )


def test_a_softmax_inside_is_not_applied_again() -> None:
    net = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(60, 8), nn.Softmax(1)))
    images = photos(4, 3, 4, 5)
    evidence = Probe(net, "cpu").collect(batches_of(images), 4, [])
    assert evidence.gives_probabilities
    with torch.no_grad():
        expected = net(images).numpy()
    for row, found in zip(expected, evidence.answers, strict=True):
        assert len(found.classes) == 5
        np.testing.assert_allclose(found.probabilities, np.sort(row)[::-1][:5], rtol=1e-6)


@pytest.mark.parametrize("classes", [1, 3])
def test_a_sigmoid_at_the_end_gives_the_probabilities(classes: int) -> None:
    net = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(60, classes), nn.Sigmoid()))
    images = photos(4, 3, 4, 5)
    probe = Probe(net, "cpu")
    evidence = probe.collect(batches_of(images), 4, [])
    assert evidence.gives_probabilities
    scores = (images.flatten(1) @ net[1].weight.T + net[1].bias).detach().numpy()
    expected = 1 / (1 + np.exp(-scores))
    assert evidence.task == ("classify" if classes == 1 else "multilabel")
    for row, found in zip(expected, evidence.answers, strict=True):
        said = max(1, (row > 0.5).sum())  # the most probable one is kept in any case
        np.testing.assert_allclose(found.probabilities, np.sort(row)[::-1][:said], rtol=1e-6)
    chances = probe.probabilities(probe.logits(images))
    np.testing.assert_allclose(chances, expected, rtol=1e-6)


def test_a_sigmoid_gate_before_the_end_does_not() -> None:
    net = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(60, 4), nn.Sigmoid(), nn.ReLU()))
    assert not Probe(net, "cpu").collect(batches_of(IMAGES[..., :4, :5]), 7, []).gives_probabilities


def test_a_network_that_squeezes_takes_a_single_image() -> None:
    class Squeezing(Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).squeeze()

    whole, single = collected(seeded(Residual), 7), collected(seeded(Squeezing), 2)
    assert len(single.answers) == 7
    for left, right in zip(whole.answers, single.answers, strict=True):
        np.testing.assert_allclose(left.logits, right.logits, rtol=1e-6)
    np.testing.assert_allclose(
        whole.layers[CallKey("fc")].mean, single.layers[CallKey("fc")].mean, rtol=1e-9
    )


def test_a_single_score_may_lose_both_axes_when_the_last_image_is_alone() -> None:
    class Squeezing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 1, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x).mean(dim=(2, 3)).squeeze()

    net = seeded(Squeezing)
    expected = [float(net.conv(image[None]).detach().mean()) for image in IMAGES]
    found = [float(answer.logits[0]) for answer in collected(net, 3).answers]
    assert found == pytest.approx(expected, rel=1e-5)


def test_layers_that_see_more_images_than_there_are_get_no_statistics() -> None:
    class Mirrored(Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            there, back = super().forward(torch.cat([x, x.flip(3)])).chunk(2)
            return F.relu(there + back)

    assert [str(key) for key in collected(seeded(Mirrored)).layers] == ["F.relu"]


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_a_network_that_sets_the_grad_mode_itself(mode: Callable[[], object]) -> None:
    class Setting(Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with mode():
                if not torch.is_inference_mode_enabled():
                    x = x.requires_grad_()
                return super().forward(x)

    assert_same(collected(seeded(Setting)), collected(seeded(Residual)), {})


def test_a_compiled_network_is_watched_uncompiled() -> None:
    net, compiled = seeded(Residual), seeded(Residual)
    compiled.compile(backend="eager")
    assert_same(collected(net), collected(compiled), {})


def test_one_image_that_does_not_sum_to_one_means_logits() -> None:
    class Late(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores = x.mean((2, 3)).softmax(1)
            return torch.where(x[:, :1, 0, 0] > 100, scores * 2, scores)

    images = photos(3)
    images[2, 0, 0, 0] = 101
    evidence = Probe(Late(), "cpu").collect(batches_of(images), 3, [])
    assert not evidence.gives_probabilities
    assert evidence.answers[0].probabilities.sum() == pytest.approx(1)


class Tokens(nn.Module):
    """Positions first, as `nn.Transformer` has it, and windows that lie among the images."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1)
        self.inner = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block(self.patches(x).flatten(2).permute(2, 0, 1))
        windows = x.permute(1, 0, 2).reshape(-1, 5, 7, 8).flatten(0, 1)
        return self.inner(windows).reshape(-1, 35, 5).mean(1)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_images_are_told_apart_wherever_the_batch_lies(batch_size: int) -> None:
    net = seeded(Tokens)
    evidence = collected(net, batch_size)
    shapes = {str(call.key): call.output_shape for call in evidence.calls}
    assert shapes["block.norm2"] == (35, 8)
    assert shapes["inner"] == (5, 7, 5)
    with torch.no_grad():
        x = net.patches(IMAGES).flatten(2).permute(2, 0, 1)
        hidden = net.block(x)
        inner = net.inner(hidden).permute(1, 2, 0)
    for name, values in (("block.norm2", hidden.permute(1, 2, 0)), ("inner", inner)):
        found = evidence.layers[CallKey(name)]
        expected = literal_statistics(values.numpy())
        assert (found.images, found.positions) == (7, 35)
        np.testing.assert_array_equal(found.fired, expected["fired"])
        np.testing.assert_array_equal(found.positive, expected["positive"])
        np.testing.assert_allclose(found.mean, expected["mean"], rtol=1e-9)
        np.testing.assert_allclose(found.variance, expected["variance"], rtol=1e-9)
    tokens = evidence.pictures[4][CallKey("block.norm2")]
    assert isinstance(tokens, MapPicture)
    by_hand = hidden[:, 4].T.reshape(8, 5, 7).numpy()
    np.testing.assert_allclose(tokens.full, by_hand, rtol=1e-9, atol=1e-12)
    # Five windows of a row each: height and width again.
    rows = evidence.pictures[4][CallKey("inner")]
    assert isinstance(rows, MapPicture)
    np.testing.assert_allclose(rows.full, inner[4].reshape(5, 5, 7).numpy(), rtol=1e-9, atol=1e-12)


def test_large_maps_are_averaged_and_keep_their_proportions() -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    images = photos(1, 1, 96, 192)
    evidence = Probe(net, "cpu").collect(batches_of(images), 1, [0])
    picture = evidence.pictures[0][CallKey("0")]
    assert isinstance(picture, MapPicture)
    assert picture.full is None
    with torch.no_grad():
        full = net[0](images)[0].numpy()
    averaged = full.reshape(2, 32, 3, 64, 3).mean((2, 4))
    low, high = full.min((1, 2))[:, None, None], full.max((1, 2))[:, None, None]
    np.testing.assert_array_equal(picture.tiles, np.round((averaged - low) / (high - low) * 254))
    assert (picture.mean_map.height, picture.mean_map.width) == (32, 64)
    pooled = evidence.pictures[0][CallKey("1")]
    assert isinstance(pooled, VectorPicture)
    np.testing.assert_allclose(pooled.values, full.mean((1, 2)), rtol=1e-9)


def test_a_constant_unit_is_level_zero() -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(24, 2)))
    nn.init.zeros_(net[0].weight)
    nn.init.constant_(net[0].bias, 3.5)
    evidence = Probe(net, "cpu").collect(batches_of(photos(1, 3, 3, 4)), 1, [0])
    picture = evidence.pictures[0][CallKey("0")]
    assert isinstance(picture, MapPicture)
    assert not picture.tiles.any()
    assert (picture.low == 3.5).all()
    assert (picture.high == 3.5).all()


def test_globs_choose_the_calls_that_are_kept() -> None:
    probe = Probe(seeded(lambda: Residual(is_reused=True)), "cpu")
    evidence = probe.collect(batches_of(IMAGES), 7, [0], layers=["conv*", "relu#2"])
    assert [str(key) for key in evidence.layers] == ["conv1", "conv2", "relu#2"]
    assert [str(key) for key in evidence.pictures[0]] == ["conv1", "conv2", "relu#2"]
    assert len(evidence.calls) == 8
    with pytest.raises(OptionError, match=r"layr: no layer has such a name.*conv1.*fc"):
        probe.collect(batches_of(IMAGES), 7, [], layers=["layr"])


def test_progress_counts_images() -> None:
    told: list[tuple[int, int]] = []
    probe = Probe(seeded(Residual), "cpu", batch_size=3)
    probe.collect(batches_of(IMAGES), 7, [], progress=lambda done, n: told.append((done, n)))
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_no_image_is_an_error() -> None:
    with pytest.raises(ImageError, match="no image"):
        Probe(seeded(Residual), "cpu").collect(lambda size: iter(()), 0, [])


def test_a_network_whose_maps_change_size_is_refused() -> None:
    class Fickle(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.relu(x[..., : 5 if x.mean() > 0 else 9]).mean((2, 3))

    images = photos(2)
    images[0] += 5
    images[1] -= 5
    with pytest.raises(ModelError, match=r"F\.relu gives outputs of different shapes"):
        Probe(Fickle(), "cpu", 1).collect(batches_of(images), 2, [])
