"""Exact occlusion against the plain way: every kind of operation, on maps that are not square."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ResourceError
from reportgen.probe.occlusion import exact, rules
from reportgen.probe.occlusion.exact import exact_scores
from reportgen.probe.occlusion.graph import Untraceable
from reportgen.probe.occlusion.places import positions
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.occlusion.prepared import prepared
from reportgen.probe.probe import Probe
from tests.probe.nets import Functional, Residual, photos, seeded

SIZE = (20, 29)
PLACES = [(0, 0), (0, 27), (18, 0), (17, 26), (3, 7), (4, 11), (9, 5), (11, 13), (8, 19), (15, 22)]
"Corners, borders and odd places."


class Headed(nn.Module):
    """Some layers, then a convolution and a score that weighs each cell otherwise."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.last = nn.LazyConv2d(3, 1)
        self.fc = nn.LazyLinear(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.last(self.body(x)).flatten(1))


def headed(*layers: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        net = Headed(*[layer() for layer in layers]).double()
        net(photos(1))
        return net

    return build


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def function(of: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], nn.Module]:
    return lambda: Function(of)


class Weighted(nn.Module):
    """Weights of its own in a function of the map and them."""

    def __init__(
        self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], *shape: int
    ) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.weight)


class Parts(nn.Module):
    """Several branches that meet."""

    def __init__(
        self, join: Callable[[list[torch.Tensor]], torch.Tensor], *branches: nn.Module
    ) -> None:
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join([branch(x) for branch in self.branches])


class LastNorm(nn.LayerNorm):
    """Like torchvision's `LayerNorm2d`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Block(nn.Module):
    """Like ConvNeXt's: channels last between two permutations, a layer scale and a sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, (3, 5), padding=(1, 2), groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up, self.down = nn.Linear(channels, 9), nn.Linear(9, channels)
        self.scale = nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(torch.permute(self.depthwise(x), (0, 2, 3, 1)))
        y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
        return x + self.scale * y


class Excitation(nn.Module):
    """Squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Conv2d(5, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x * self.fc(self.pool(x)).sigmoid()


def conv(*arguments: int | tuple[int, int], **settings: object) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(*arguments, **settings)  # type: ignore[arg-type]


WINDOWED = {
    "conv": headed(conv(3, 4, 3, padding=1)),
    "even kernel": headed(conv(3, 4, 4, padding=1)),
    "flat kernel": headed(conv(3, 4, (1, 3), padding=(0, 1)), conv(4, 4, (5, 1), stride=(2, 1))),
    "stride": headed(conv(3, 4, 5, stride=(3, 2), padding=2)),
    "stride above kernel": headed(conv(3, 4, 2, stride=(3, 4)), conv(4, 4, 1)),
    "stride of one cell": headed(conv(3, 4, 1, stride=2)),
    "padded one cell": headed(conv(3, 4, 1, padding=1)),
    "dilation": headed(conv(3, 4, 3, padding=(2, 3), dilation=(2, 3))),
    "groups": headed(conv(3, 6, 1), conv(6, 4, 3, padding=1, groups=2)),
    "depthwise": headed(conv(3, 6, 3, padding=1, groups=3, bias=False)),
    "same": headed(conv(3, 4, (3, 5), padding="same"), conv(4, 4, 3, padding="valid")),
    "norm": headed(conv(3, 4, 3, bias=False), lambda: nn.BatchNorm2d(4)),
    "norm first": headed(lambda: nn.BatchNorm2d(3), nn.ReLU, conv(3, 4, 3)),
    "activations": headed(
        conv(3, 4, 3), nn.Hardswish, nn.SiLU, nn.GELU, nn.Sigmoid, nn.ELU, nn.LeakyReLU, nn.PReLU
    ),
    "functions": headed(
        conv(3, 4, 3),
        function(F.hardswish),
        function(lambda x: F.relu6(x, inplace=True)),
        function(lambda x: (1 - x.clamp(min=-1)) / 3 + 0.5),
        function(lambda x: F.dropout(x, 0.5, training=False)),
    ),
    "dropout": headed(conv(3, 4, 3), nn.Dropout, nn.Dropout2d, lambda: nn.ReLU(inplace=True)),
    "max pool": headed(lambda: nn.MaxPool2d(3, 2, 1)),
    "ceil max pool": headed(lambda: nn.MaxPool2d(3, 2, ceil_mode=True)),
    "dilated max pool": headed(lambda: nn.MaxPool2d((2, 3), (1, 2), 1, dilation=(3, 1))),
    "negative max pool": headed(
        function(lambda x: -x.abs() - 1), lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True)
    ),
    "max pool function": headed(function(lambda x: F.max_pool2d(x, 2))),
    "mean pool": headed(lambda: nn.AvgPool2d(2)),
    "padded mean pool": headed(lambda: nn.AvgPool2d(3, 2, 1)),
    "uncounted padding": headed(lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "ceil mean pool": headed(lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
    "ceil uncounted": headed(
        lambda: nn.AvgPool2d((2, 3), 3, 1, ceil_mode=True, count_include_pad=False)
    ),
    "mean pool divisor": headed(lambda: nn.AvgPool2d(2, 2, 1, divisor_override=3)),
    "mean pool function": headed(function(lambda x: F.avg_pool2d(x, (3, 2), ceil_mode=True))),
    "channel weights": headed(lambda: Weighted(lambda x, w: x * w + w, 3, 1, 1)),
    "function conv": headed(lambda: Weighted(lambda x, w: F.conv2d(x, w, None, 2, 1), 4, 3, 3, 3)),
    "sum": headed(
        lambda: Parts(sum, nn.Conv2d(3, 3, 3, padding=1), nn.Identity()),  # type: ignore[arg-type]
    ),
    "product": headed(
        lambda: Parts(
            lambda x: torch.maximum(x[0] * x[1], x[1] - x[0]),
            nn.Conv2d(3, 3, (1, 5), padding=(0, 2)),
            nn.Conv2d(3, 3, (5, 1), padding=(2, 0)),
        )
    ),
    "cat": headed(
        lambda: Parts(
            lambda x: torch.cat(x, 1),
            nn.Conv2d(3, 2, 3, padding=1),
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(3, 1, (1, 5), padding=(0, 2)),
        )
    ),
    "cat of the same twice": headed(
        conv(3, 4, 3), function(lambda x: torch.cat([x, x.relu(), x], dim=-3))
    ),
    "cat with channels last": headed(
        function(lambda x: torch.cat([(y := x.permute(0, 2, 3, 1)), y.abs()], 3)),
        function(lambda x: x.permute(0, 3, 1, 2)),
    ),
    "one of two is read again": headed(
        conv(3, 4, 3, padding=1),
        lambda: Parts(lambda x: x[0] + x[1] * 2, nn.ReLU(inplace=True), nn.Identity()),
    ),
    "channels last norm": headed(conv(3, 4, 3), lambda: LastNorm(4)),
    "ConvNeXt block": headed(conv(3, 4, 2, stride=2), lambda: Block(4)),
}
WHOLE = {
    "excitation": headed(Excitation),
    "reflection": headed(conv(3, 4, 3, padding=1, padding_mode="reflect")),
    "uneven same": headed(conv(3, 4, 4, padding="same")),
    "norm over the map": headed(conv(3, 4, 3), lambda: nn.GroupNorm(2, 4)),
    "norm of one image": headed(conv(3, 4, 3), lambda: nn.InstanceNorm2d(4)),
    "softmax over the map": headed(conv(3, 4, 3), function(lambda x: x.softmax(2))),
    "weights of places": headed(lambda: Weighted(lambda x, w: x * w, 1, 20, 29)),
    "indices": headed(function(lambda x: F.max_pool2d(x, 2, return_indices=True)[0])),
    "cat along rows": headed(function(lambda x: torch.cat([x, x.abs()], 2))),
    "shift": headed(function(lambda x: x + x.roll(3, 2))),
    "transposed": headed(conv(3, 4, 3), lambda: nn.ConvTranspose2d(4, 2, 3, stride=2)),
    "resized": headed(function(lambda x: F.interpolate(x, scale_factor=2))),
    "map times mean": headed(function(lambda x: x * x.mean((2, 3), keepdim=True))),
    "broadcast sum": headed(function(lambda x: x + x[:, :, :1])),
}
ENDS = {
    "adaptive mean": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)),
    "mean": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), Function(lambda x: x.mean((-1, 2)))),
    "kept mean": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), Function(lambda x: torch.mean(x, [2, 3], keepdim=True).flatten(1))
    ),
    "mean of rows": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), Function(lambda x: x.mean(2).amax(2))
    ),
    "tuple": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), Function(lambda x: (x, x.mean((2, 3)), x.size(0)))
    ),
    "residual": Residual,
    "in place": lambda: Residual(True, True),
    "functional": Functional,
}


def both(
    net: nn.Module,
    window: tuple[int, int],
    places: list[tuple[int, int]],
    batch_size: int = 3,
    image: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores the exact way and the plain way."""
    probe = Probe(net, "cpu", batch_size)
    image = photos(1, height=SIZE[0], width=SIZE[1])[0] if image is None else image
    filling = photos(2, height=SIZE[0], width=SIZE[1])[1].to(image.dtype)
    found = exact_scores(probe, image, filling, window, places)
    return found, plain_scores(probe, image, filling, window, places)


@pytest.fixture(autouse=True)
def _always_windowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "LEAST", 0)


@pytest.mark.parametrize("window", [(3, 4), (7, 5), (1, 1), (11, 29)], ids=str)
@pytest.mark.parametrize("name", [*WINDOWED, *WHOLE, *ENDS])
def test_agrees_with_the_plain_way(name: str, window: tuple[int, int]) -> None:
    net = seeded((WINDOWED | WHOLE | ENDS)[name])
    found, expected = both(net, window, PLACES)
    assert float(expected.std(0).max()) > 1e-5
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", list(WINDOWED))
def test_is_windowed_up_to_the_last_convolution(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the comparison above would not test the windows."""
    seen = []
    monkeypatch.setattr(
        exact, "planned", lambda *given: seen.append(rules.planned(*given)) or seen[-1]
    )
    both(seeded(WINDOWED[name]), (3, 3), [(4, 5), (7, 9)])
    names = [node.name for node in seen[0]]
    assert "network_last" in names


@pytest.mark.parametrize("window", [(40, 50), (20, 29), (19, 29), (20, 3)], ids=str)
def test_windows_as_large_as_the_image(window: tuple[int, int]) -> None:
    found, expected = both(seeded(Residual), window, [(0, 0), (0, 4), (1, 26)])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("places", [1, 2, 12, 13], ids=str)
def test_one_place_alone_and_uneven_batches(places: int) -> None:
    """A clean map must not be written to, also where one place could be the map itself."""
    net = seeded(Residual)
    some = (PLACES * 2)[:places]
    for _ in range(2):
        found, expected = both(net, (5, 6), some, batch_size=1)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_many_places_in_order_and_progress_is_told() -> None:
    probe, image, filling = Probe(seeded(Residual), "cpu", 2), photos(1)[0], photos(2)[1]
    places = [(r, c) for r in positions(20, 3, 2) for c in positions(29, 3, 2)]
    told: list[tuple[int, int]] = []
    found = exact_scores(
        probe, image, filling, (3, 3), places, lambda done, count: told.append((done, count))
    )
    expected = plain_scores(probe, image, filling, (3, 3), places)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (len(places), len(places)) == (140, 140)


def test_whole_images_where_windows_save_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "LEAST", 1e9)
    monkeypatch.setattr(exact, "patch_of", None)
    found, expected = both(seeded(Residual), (3, 3), PLACES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["residual", "adaptive mean", "kept mean"])
def test_what_is_not_finite_is_so_in_both(name: str, bad: float) -> None:
    net, image = seeded(ENDS[name]), photos(1)[0]
    image[1, 5, 9] = bad
    found, expected = both(net, (4, 5), [*PLACES, (3, 7), (2, 6)], image=image)
    assert expected.isfinite().all(1).any()
    assert not expected.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6, equal_nan=True)


def test_weights_that_are_not_finite() -> None:
    net = seeded(Residual)
    with torch.no_grad():
        net.conv2.weight[2, 1] = float("nan")
    found, expected = both(net, (4, 5), PLACES)
    assert torch.equal(found.isnan(), expected.isnan())


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_other_precisions(dtype: torch.dtype, error: float) -> None:
    net = seeded(Residual).to(dtype)
    found, expected = both(net, (4, 5), PLACES, image=photos(1)[0].to(dtype))
    assert float((found - expected).abs().max()) <= error * float(expected.abs().max())


def test_memory_that_is_too_small_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    probe, image, filling = Probe(seeded(Residual), "cpu", 4), photos(1)[0], photos(2)[1]
    expected = plain_scores(probe, image, filling, (4, 5), PLACES)
    tried: list[int] = []

    def patch_of(step, windows, values, clean):  # type: ignore[no-untyped-def]
        places = len(windows.rows.starts)
        if places not in tried:
            tried.append(places)
        if places > most:
            raise torch.OutOfMemoryError("out of memory")
        return rules.patch_of(step, windows, values, clean)

    most = 3
    monkeypatch.setattr(exact, "patch_of", patch_of)
    found = exact_scores(probe, image, filling, (4, 5), PLACES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert tried == [10, 5, 2]
    most = 0
    with pytest.raises(ResourceError, match="memory"):
        exact_scores(probe, image, filling, (4, 5), PLACES)


def test_memory_that_is_too_small_for_the_last_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They start anew from what was collected, which an activation must not have written to."""
    net = seeded(
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 4, 3), nn.Hardswish(inplace=True), nn.ELU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        )
    )
    sizes = []

    def forward(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return F.elu(x)

    monkeypatch.setattr(nn.ELU, "forward", forward)
    # Large enough for the whole map: the result of the convolution is what is collected.
    found, expected = both(net, (17, 27), PLACES, batch_size=2)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert max(sizes) > 2


def test_steps_are_made_once_and_again_when_weights_change() -> None:
    probe = Probe(seeded(Residual), "cpu", 4)
    image, filling = photos(1)[0], photos(2)[1]
    exact_scores(probe, image, filling, (4, 5), PLACES)
    first = prepared(probe)
    exact_scores(probe, image + 1, filling, (4, 5), PLACES)
    assert prepared(probe) is first
    with torch.no_grad(), probe.lent(image) as (module, _):
        module.conv1.weight.mul_(-1)
    found = exact_scores(probe, image, filling, (4, 5), PLACES)
    expected = plain_scores(probe, image, filling, (4, 5), PLACES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    second = prepared(probe)
    assert second is not first
    with probe.lent(image) as (module, _):
        # Not counted by PyTorch.
        module.conv1.weight.data.mul_(-2)
    found = exact_scores(probe, image, filling, (4, 5), PLACES)
    expected = plain_scores(probe, image, filling, (4, 5), PLACES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert prepared(probe) is not second


def test_steps_go_with_the_probe() -> None:
    probe = Probe(seeded(Residual), "cpu", 4)
    exact_scores(probe, photos(1)[0], photos(2)[1], (4, 5), PLACES)
    graph = weakref.ref(prepared(probe).graph)
    del probe
    gc.collect()
    assert graph() is None


class Forgetful(nn.Module):
    """Its first branch is the one that a tracer takes, whatever the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax((2, 3)) if isinstance(x, torch.Tensor) else x.mean((2, 3))


class Startled(nn.Module):
    """Another function for an image with a large value; a tracer does not ask."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        is_large = isinstance(x, torch.Tensor) and bool(x.max() > 100)
        return x.amax((2, 3)) if is_large else x.mean((2, 3))


def test_steps_that_are_not_the_network_are_refused() -> None:
    image, filling = photos(1)[0], photos(2)[1]
    with pytest.raises(Untraceable, match="gives other scores than as a whole"):
        exact_scores(Probe(Forgetful(), "cpu"), image, filling, (4, 5), PLACES)
    with pytest.raises(Untraceable, match="a hidden place gets other scores than as a whole"):
        exact_scores(Probe(Startled(), "cpu"), image, filling + 200, (4, 5), PLACES)


def test_a_failure_at_hidden_places_is_no_end_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forward(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2:] != SIZE:
            raise RuntimeError("a part.\nat a line")
        return x

    monkeypatch.setattr(nn.ELU, "forward", forward)
    net = seeded(headed(conv(3, 4, 3, padding=1), nn.ELU))
    with pytest.raises(
        Untraceable, match=r"does not run step by step \(.*RuntimeError: a part\. .*\)\.$"
    ):
        both(net, (4, 5), PLACES)


def test_a_constant_map_that_is_given_by_name_is_not_cut() -> None:
    net = seeded(headed(lambda: Weighted(lambda x, w: torch.add(x, other=w), 1, 3, *SIZE)))
    found, expected = both(net, (4, 5), PLACES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_a_score_may_be_near_zero() -> None:
    """Rounding is then not small beside it."""
    image, filling = photos(1)[0].float(), photos(2)[1].float()

    class Balanced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = seeded(Residual).float()
            with torch.no_grad():
                self.clean = self.network(image[None])[:, :1] + 1e-6

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)[:, :1] - self.clean

    probe = Probe(Balanced().eval(), "cpu", 4)
    assert float(probe.logits(image[None]).abs()) < 1e-5
    found = exact_scores(probe, image, filling, (4, 5), PLACES)
    expected = plain_scores(probe, image, filling, (4, 5), PLACES)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("few", [(2**18, 2**15), (2**18, 2)])
def test_results_of_few_places_are_collected(
    monkeypatch: pytest.MonkeyPatch, few: tuple[int, int]
) -> None:
    """So that the memory does not grow with their number."""
    sizes: list[int] = []
    finished = exact._Hidden._finished

    def counted(*given: Any) -> list[torch.Tensor]:
        sizes.append(sum(map(len, given[1])))
        return finished(*given)

    monkeypatch.setattr(exact, "FEW", few)
    monkeypatch.setattr(exact, "COLLECTED", 1)
    monkeypatch.setattr(exact._Hidden, "_finished", counted)
    found, expected = both(seeded(Residual), (4, 5), PLACES, batch_size=1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert len(sizes) > 1
    assert sum(sizes) == len(PLACES)


EACH = 8 * (3 * 20 * 29 + 2 * 4 * 10 * 15 + 4 * 10 * 15 + 5)
"Bytes of an image, its convolution, what that gives when rectified and flattened, and the scores."


@pytest.mark.parametrize(
    ("memory", "most", "collected"),
    [
        (0, 4, 4 + 15),
        (2 * 5 * EACH - 1, 4, 4 + 15),
        (2 * 5 * EACH, 5, 5 + 15),
        (2 * 10 * EACH, 10, 10 + 15),
        (2 * 20 * EACH, 20, 20 + 19),
    ],
)
def test_a_gpu_gets_as_many_places_as_half_of_it_has_room_for(
    monkeypatch: pytest.MonkeyPatch, memory: int, most: int, collected: int
) -> None:
    """And no more than about as many wait for the layers after them."""

    class Known(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.relu = nn.ReLU()
            self.linear = nn.Linear(4 * 10 * 15, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.linear(self.relu(self.conv(x)).flatten(1))
            return scores

    held: list[int] = []
    windowed = exact._Hidden._windowed

    def watched(hidden: Any, places: Any, end: int) -> torch.Tensor:
        held.append(len(places))
        return windowed(hidden, places, end)

    waiting: list[int] = []
    finished = exact._Hidden._finished

    def counted(*given: Any) -> list[torch.Tensor]:
        waiting.append(sum(map(len, given[1])))
        return finished(*given)

    monkeypatch.setattr(exact._Hidden, "_windowed", watched)
    monkeypatch.setattr(exact._Hidden, "_finished", counted)
    monkeypatch.setattr(exact, "memory_of", lambda device: memory)
    places = 4 * PLACES
    found, expected = both(seeded(Known), (4, 5), places, batch_size=1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert max(held) == most
    assert max(waiting) <= collected < sum(waiting) == len(places)


def test_norms_without_weights() -> None:
    net = seeded(headed(conv(3, 4, 3), lambda: nn.BatchNorm2d(4)))
    assert isinstance(net, Headed)
    net.body[1].weight = net.body[1].bias = None
    found, expected = both(net, (4, 5), PLACES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_clean_scores_that_are_known_are_not_computed_again() -> None:
    net, image, filling = seeded(Residual), photos(1)[0], photos(2)[1]
    calls: list[int] = []
    net.register_forward_hook(lambda *_: calls.append(1))
    probe = Probe(net, "cpu", 4)
    clean = probe.logits(image[None])
    first = exact_scores(probe, image, filling, (4, 5), PLACES, clean=clean)
    # The tracer's, the clean image's, and those of a hidden place, once per network.
    calls.clear()
    second = exact_scores(probe, image, filling, (4, 5), PLACES, clean=clean)
    assert calls == []
    assert torch.equal(first, second)
    exact_scores(probe, image, filling, (4, 5), PLACES)
    assert calls == [1]
