"""Volumes: what is seen of them, against convolutions written out as loops over single numbers."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.borrow import borrowed
from reportgen.probe.evidence import CallKey, Evidence, MapPicture, VectorPicture
from reportgen.probe.layout import Arrangement
from reportgen.probe.maps import as_maps
from reportgen.probe.output import share_scores
from reportgen.probe.pictures import picture
from reportgen.probe.probe import Probe
from reportgen.probe.trace import Trace, trace
from reportgen.report.arrays import Array
from tests.probe.nets import batches_of, seeded
from tests.probe.test_statistics import literal as literal_statistics

SHAPE = (2, 5, 7, 6)
"(channels slices height width)"
FIRST, DEAD = 0, 1
"Units of the first convolution: one that fires in the first slice alone, and one that never does."


class Volumes(nn.Module):
    """conv, ReLU, pool, conv, ReLU, mean, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(2, 3, (3, 2, 4), stride=(1, 2, 1), padding=(1, 0, 2))
        self.relu1 = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d((1, 1, 2))
        self.conv2 = nn.Conv3d(3, 4, (2, 1, 3))
        self.relu2 = nn.ReLU()
        self.average = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.relu1(self.conv1(x)))
        return self.fc(self.average(self.relu2(self.conv2(x))).flatten(1))


def net() -> Volumes:
    made = seeded(Volumes)
    assert isinstance(made, Volumes)
    with torch.no_grad():
        made.conv1.weight[[FIRST, DEAD]] = 0
        # What lies in the middle of the window, less than the first slice and more than others.
        made.conv1.weight[FIRST, 0, 1, 0, 2] = 1
        made.conv1.bias[FIRST], made.conv1.bias[DEAD] = -5, -1
    return made


def volumes(count: int = 5) -> torch.Tensor:
    values = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1)).double()
    values[:, 0, 0] += 10
    return values


def convolved(x: Array, layer: nn.Conv3d) -> tuple[Array, int]:
    """(channels slices height width), one product after the other, and how many there were."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()  # type: ignore[union-attr]
    pads = [(0, 0), *((pad, pad) for pad in layer.padding)]  # type: ignore[union-attr]
    x = np.pad(x, pads)
    sizes = [
        (total - kernel) // stride + 1
        for total, kernel, stride in zip(x.shape[1:], weight.shape[2:], layer.stride, strict=True)
    ]
    out, products = np.zeros((len(weight), *sizes)), 0
    for place in itertools.product(*map(range, out.shape)):
        starts = [at * stride for at, stride in zip(place[1:], layer.stride, strict=True)]
        total = float(bias[place[0]])
        for channel, t, row, column in itertools.product(*map(range, weight.shape[1:])):
            where = (channel, starts[0] + t, starts[1] + row, starts[2] + column)
            total += float(x[where]) * float(weight[place[0], channel, t, row, column])
            products += 1
        out[place] = total
    return out, products


def layers_of(module: Volumes, volume: Array) -> tuple[dict[str, Array], dict[str, int]]:
    """What each layer gives for one volume, and the products of the convolutions."""
    found: dict[str, Array] = {}
    counts: dict[str, int] = {}
    found["conv1"], counts["conv1"] = convolved(volume, module.conv1)
    found["relu1"] = np.maximum(found["conv1"], 0)
    even = found["relu1"][..., : found["relu1"].shape[-1] // 2 * 2]
    found["pool"] = np.maximum(even[..., ::2], even[..., 1::2])
    found["conv2"], counts["conv2"] = convolved(found["pool"], module.conv2)
    found["relu2"] = np.maximum(found["conv2"], 0)
    means = np.array([float(np.mean(unit)) for unit in found["relu2"]])
    found["average"] = means[:, None, None, None]
    weight, bias = module.fc.weight.detach().numpy(), module.fc.bias.detach().numpy()
    found["fc"] = np.array(
        [sum(w * m for w, m in zip(row, means, strict=True)) for row in weight] + bias
    )
    return found, counts


def collected(batch_size: int) -> Evidence:
    probe = Probe(net(), "cpu", batch_size)
    images = volumes()
    return probe.collect(batches_of(images), len(images), [1, 4], keep_arrays=True)


@pytest.mark.parametrize("batch_size", [2, 5])
def test_what_is_seen_agrees_with_loops_over_single_numbers(batch_size: int) -> None:
    evidence = collected(batch_size)
    by_hand = [layers_of(net(), volume)[0] for volume in volumes().numpy()]
    assert [str(key) for key in evidence.layers] == list(by_hand[0])
    for key, found in evidence.layers.items():
        values = np.stack([one[key.path] for one in by_hand])
        flat = values.reshape(*values.shape[:2], -1)
        expected = literal_statistics(flat)
        assert (found.images, found.positions) == (5, flat.shape[2])
        for name in ("minimum", "maximum", "mean", "variance"):
            np.testing.assert_allclose(getattr(found, name), expected[name], rtol=1e-9, atol=1e-10)
        for name in ("positive", "zeros", "fired"):
            np.testing.assert_array_equal(getattr(found, name), expected[name], err_msg=str(key))
    relu = evidence.layers[CallKey("relu1")]
    assert relu.fired[DEAD] == 0 and relu.fired[FIRST] == 5
    for answer, one in zip(evidence.answers, by_hand, strict=True):
        np.testing.assert_allclose(answer.logits, np.sort(one["fc"])[::-1], rtol=1e-6)


def test_calls_are_known_by_their_axes_and_cost_what_is_multiplied() -> None:
    by_hand, products = layers_of(net(), volumes(1)[0].numpy())
    calls = {str(call.key): call for call in collected(5).calls}
    for name in ("conv1", "relu1", "pool", "conv2", "relu2"):
        call = calls[name]
        assert call.output_shape == by_hand[name].shape
        assert (call.channel_axis, call.depth_axis, call.spatial_axes) == (0, 1, (2, 3))
        assert call.slices == by_hand[name].shape[1] and call.grid == by_hand[name].shape[2:]
    assert calls["fc"].slices == 1 and calls["fc"].depth_axis is None
    assert [calls[name].macs for name in ("conv1", "conv2", "fc")] == [*products.values(), 12]


def test_pictures_are_of_the_middle_slice_on_the_range_of_all() -> None:
    evidence = collected(2)
    for index in (1, 4):
        by_hand, _ = layers_of(net(), volumes()[index].numpy())
        for key, shown in evidence.pictures[index].items():
            values = by_hand[key.path]
            if key.path in ("average", "fc"):
                assert isinstance(shown, VectorPicture)
                np.testing.assert_allclose(shown.values, values.ravel(), rtol=1e-9)
                continue
            assert isinstance(shown, MapPicture) and shown.full is not None
            np.testing.assert_allclose(shown.full, values, rtol=1e-9, atol=1e-10)
            low, high = values.min((1, 2, 3)), values.max((1, 2, 3))
            np.testing.assert_allclose(shown.low, low, rtol=1e-9, atol=1e-10)
            np.testing.assert_allclose(shown.high, high, rtol=1e-9, atol=1e-10)
            middle = values[:, {5: 2, 4: 1}[values.shape[1]]]
            span = np.where(high > low, high - low, 1)[:, None, None]
            levels = (middle - low[:, None, None]) / span * 254
            assert shown.tiles.shape == middle.shape
            assert np.abs(shown.tiles - levels).max() <= 0.5 + 1e-6
            mean = middle.mean(0)
            drawn = shown.mean_map.values() / 254 * (shown.mean_high - shown.mean_low)
            assert np.abs(drawn + shown.mean_low - mean).max() <= np.ptp(mean) / 508 + 1e-9
        relu = evidence.pictures[index][CallKey("relu1")]
        assert isinstance(relu, MapPicture)
        # It fires, though not in the slice that is shown.
        assert relu.high[FIRST] > 0 and not relu.tiles[FIRST].any() and relu.high[DEAD] == 0


def test_a_large_slice_is_averaged_and_what_is_not_finite_is_drawn_at_its_end() -> None:
    values = torch.randn((2, 3, 130, 70), generator=torch.Generator().manual_seed(2))
    values[1, 1, 0, 0], values[1, 2, 0, 0] = math.nan, math.inf
    arranged = Arrangement(tuple(values.shape), 0, 0, (2, 3), depth_axis=1)
    found = picture(values, arranged, CallKey("call"), 0, False)
    assert isinstance(found, MapPicture)
    finite = values[1][values[1].isfinite()]
    assert (found.low[1], found.high[1]) == (finite.min(), finite.max())
    small = F.adaptive_avg_pool2d(values[:1, 1].double(), (64, 34))[0].numpy()
    low, high = float(values[0].min()), float(values[0].max())
    assert np.abs(found.tiles[0] - (small - low) / (high - low) * 254).max() <= 0.5 + 1e-6


class Framewise(nn.Module):
    """Looks at each slice by itself: as so many pictures, their slices counted with the images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(2, 3, 1)
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        each = self.conv(x.transpose(1, 2).flatten(0, 1))
        return self.fc(each.mean((2, 3)).unflatten(0, (len(x), -1)).mean(1))


def test_slices_that_go_through_as_pictures_are_told_apart() -> None:
    module, images = seeded(Framewise), volumes()
    probe = Probe(module, "cpu", 2)
    evidence = probe.collect(batches_of(images), 5, [3], keep_arrays=True)
    call = next(call for call in evidence.calls if call.key.path == "conv")
    assert (call.channel_axis, call.depth_axis, call.spatial_axes) == (1, 0, (2, 3))
    with torch.no_grad():
        stem = module.stem(images)  # type: ignore[operator]
        each = torch.stack([module.conv(stem[:, :, t]) for t in range(5)], 2)  # type: ignore[operator]
    expected = literal_statistics(each.flatten(2).numpy())
    np.testing.assert_allclose(evidence.layers[call.key].mean, expected["mean"], rtol=1e-9)
    shown = evidence.pictures[3][call.key]
    assert isinstance(shown, MapPicture) and shown.full is not None
    np.testing.assert_allclose(shown.full, each[3].numpy(), rtol=1e-9, atol=1e-12)


def test_slices_may_lie_on_any_axis() -> None:
    values = torch.rand(2, 6, 3, 4, 5)  # (images height slices channels width)
    arranged = Arrangement((6, 3, 4, 5), 0, 2, (0, 3), depth_axis=1)
    found = as_maps(values, arranged)
    torch.testing.assert_close(found, values.permute(0, 3, 2, 1, 4))


def followed(module: nn.Module, *shape: int) -> Trace:
    with borrowed(module):
        return trace(module, torch.rand(shape, generator=torch.Generator().manual_seed(0)))


def test_receptive_fields_are_the_rows_and_columns_that_a_gradient_reaches() -> None:
    body = nn.Sequential(
        nn.Conv3d(1, 2, (3, 3, 5), stride=(2, 1, 2), padding=(1, 0, 3)),
        nn.AvgPool3d((1, 2, 3)),
        nn.Conv3d(2, 2, (1, 3, 2), dilation=(1, 2, 1), padding=(0, 2, 0)),
    )
    head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
    calls = followed(nn.Sequential(*body, *head), 1, 4, 31, 40).calls
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.uniform_(0.5, 1.5)
    for depth in range(3):
        x = torch.rand(1, 1, 4, 31, 40, requires_grad=True)
        out = body[: depth + 1](x)
        field = calls[depth].receptive_field
        assert field is not None
        for row, column in ((0, 0), (out.shape[3] // 2, out.shape[4] // 3)):
            (slope,) = torch.autograd.grad(out[..., row, column].sum(), x, retain_graph=True)
            seen = slope[0].abs().sum((0, 1)) > 0
            for axis, place in enumerate((row, column)):
                reached = seen.any(1 - axis).nonzero().flatten()
                start = field.start[axis] + place * field.stride[axis]
                stop = min(start + field.size[axis], (31, 40)[axis])
                assert (int(reached[0]), int(reached[-1]) + 1) == (max(start, 0), stop)
    assert calls[3].receptive_field is not None and calls[3].receptive_field.covers_image


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("r3d_18", (3, 4, 20, 28)),
        ("mc3_18", (3, 4, 20, 28)),
        ("r2plus1d_18", (3, 4, 20, 28)),
        pytest.param("s3d", (3, 14, 224, 232), marks=pytest.mark.slow),
    ],
)
def test_torchvisions_video_networks_cost_what_their_convolutions_multiply(
    name: str, shape: tuple[int, ...]
) -> None:
    with torch.random.fork_rng():
        module = torchvision.models.get_model(name).eval()
    products: list[int] = []
    for layer in module.modules():
        if isinstance(layer, (nn.Conv3d, nn.Linear)):

            def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
                products.append(output.numel() * layer.weight[0].numel())  # type: ignore[index,operator]

            layer.register_forward_hook(count)
    with torch.no_grad():
        module(torch.rand(1, *shape))
    expected = sum(products)
    found = followed(module, *shape)
    assert found.macs == expected
    maps = [call for call in found.calls if call.type == "Conv3d"]
    assert all(call.depth_axis == 1 and call.receptive_field for call in maps)
    assert found.classes == 400


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_the_cost_is_what_torchvision_publishes(name: str) -> None:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    module = torchvision.models.get_model(name).eval()
    found = followed(module, 3, 16, 112, 112)
    assert found.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.0006)


def test_a_map_of_each_class_over_a_volume_comes_to_shares() -> None:
    maps = torch.randn((2, 3, 4, 5, 6), generator=torch.Generator().manual_seed(3)).double()
    found = share_scores(maps).softmax(1).numpy()
    for image, own in zip(maps.numpy(), found, strict=True):
        shares = np.zeros(3)
        for place in itertools.product(range(4), range(5), range(6)):
            scores = np.exp(image[(slice(None), *place)])
            shares += scores / scores.sum() / 120
        np.testing.assert_allclose(own, shares, rtol=1e-9)


def test_a_volume_of_another_size_is_refused_in_words() -> None:
    says = r"a 2 x 1 x 7 x 6 image \(channels x slices x height .*with --slices N and --input-size"
    with pytest.raises(ModelError, match=says):
        followed(net().float(), 2, 1, 7, 6)
