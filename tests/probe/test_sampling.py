"""What windows read and sample, against networks written out and transforms of whole maps."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.evidence import CallKey
from reportgen.probe.probe import Probe
from reportgen.probe.sampling import Windowed, windowed
from reportgen.probe.spectrum import Spectrum
from tests.probe.nets import photos, seeded
from tests.probe.test_gradients import state_of

HEIGHT, WIDTH = 42, 93


class Net(nn.Module):
    """Grouped, depthwise, long and dilated kernels, strides of two kinds, both poolings."""

    def __init__(self, style: str = "plain") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, (5, 3), stride=(1, 2), padding=2)
        self.relu = nn.ReLU(style == "in place")
        self.depth = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, padding_mode="reflect")
        self.row = nn.Conv2d(6, 4, (1, 5), padding="same", dilation=(1, 2), groups=2)
        self.point = nn.Conv2d(4, 4, 1)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.late = nn.Conv2d(4, 4, 3, stride=2)
        self.fc = nn.Linear(4, 3)
        self.style = style

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.style == "function":
            x = F.conv2d(x, self.conv1.weight, self.conv1.bias, (1, 2), 2)
            x = F.relu(x)
        else:
            x = self.relu(self.conv1(x))
        x = self.point(self.row(self.depth(x)))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True) if self.style == "function" else self.pool(x)
        x = F.avg_pool2d(x, 2)
        return self.fc(self.late(F.pad(x, (3, 3, 3, 3))).mean((2, 3)))


def literal(maps: torch.Tensor) -> np.ndarray:
    """Energy at every frequency (h w) of maps (b c h w), a full transform map by map."""
    height, width = maps.shape[-2:]
    rows = [0.5 - 0.5 * math.cos(2 * math.pi * (i + 0.5) / height) for i in range(height)]
    columns = [0.5 - 0.5 * math.cos(2 * math.pi * (i + 0.5) / width) for i in range(width)]
    window = np.outer(rows, columns)
    energy = np.zeros((height, width))
    for one in maps.detach().double().flatten(0, 1).numpy():
        centred = one - (one * window).sum() / window.sum()
        energy += np.abs(np.fft.fft2(centred * window)) ** 2
    return energy


def share_above(energy: np.ndarray, stride: tuple[int, int]) -> float:
    """By a loop; no frequency of these sizes lies on a limit unless the size is a multiple."""
    height, width = energy.shape
    lost = 0.0
    for i in range(height):
        for j in range(width):
            carried = 1.0
            for k, n, step in ((i, height, stride[0]), (j, width, stride[1])):
                twice = 2 * step * min(k, n - k)
                if step > 1 and twice >= n:
                    carried *= 0.5 if twice == n else 0
            lost += energy[i, j] * (1 - carried)
    return lost / float(energy.sum())


def check(found: Spectrum | None, energy: np.ndarray, stride: tuple[int, int]) -> None:
    assert found is not None
    assert found.total == pytest.approx(energy.sum(), rel=1e-5)
    assert found.above(stride) == pytest.approx(share_above(energy, stride), abs=1e-5)


def run(net: nn.Module, images: torch.Tensor) -> dict[str, Windowed]:
    probe = Probe(net, "cpu")
    calls = [call.key for call in probe.trace(images[0]).calls]
    return {str(key): seen for key, seen in windowed(probe, images, calls).items()}


def net_of(style: str) -> Net:
    made = seeded(lambda: Net(style))
    assert isinstance(made, Net)
    return made


@pytest.mark.parametrize("style", ["plain", "in place", "function"])
def test_inputs_and_outputs_at_stride_one_are_those_of_the_network_written_out(style: str) -> None:
    net, images = net_of(style), photos(3, height=HEIGHT, width=WIDTH)
    found = run(net, images)
    names = {"conv1": "F.conv2d", "pool": "F.max_pool2d"} if style == "function" else {}
    assert [*found] == [
        names.get("conv1", "conv1"), "depth", "row", names.get("pool", "pool"),
        "F.avg_pool2d", "late",
    ]  # fmt: skip
    with torch.no_grad():
        first = images
        wide = F.conv2d(first, net.conv1.weight, net.conv1.bias, 1, 2)
        second = wide[..., ::2].clamp(min=0)
        padded = F.pad(second, (1, 1, 1, 1), mode="reflect")
        fine = F.conv2d(padded, net.depth.weight, net.depth.bias, groups=6)
        third = fine[..., ::2, ::2]
        fourth = net.point(net.row(third))
        dense = F.max_pool2d(fourth, 3, 1)
        fifth = F.max_pool2d(fourth, 3, 2, ceil_mode=True)
    conv1, depth = found[names.get("conv1", "conv1")], found["depth"]
    check(conv1.read, literal(first), (1, 2))
    check(conv1.given, literal(wide), (1, 2))
    assert conv1.size == (5, 3) and conv1.stride == (1, 2)
    np.testing.assert_allclose(conv1.weight, net.conv1.weight.detach().numpy(), rtol=1e-6)
    # What a depthwise kernel reads is its padded input, mirrored here.
    check(depth.read, literal(padded), (2, 2))
    check(depth.given, literal(fine), (2, 2))
    assert depth.weight is not None and depth.weight.shape == (6, 1, 3, 3)
    check(found["row"].read, literal(third), (1, 1))
    assert found["row"].dilation == (1, 2) and found["row"].given is None
    pool = found[names.get("pool", "pool")]
    check(pool.read, literal(fourth), (2, 2))
    check(pool.given, literal(dense), (2, 2))
    assert pool.weight is None and pool.size == (3, 3)
    mean = found["F.avg_pool2d"]
    check(mean.read, literal(fifth), (2, 2))
    check(mean.given, literal(F.avg_pool2d(fifth, 2, 1)), (2, 2))


def test_maps_that_are_too_small_have_no_spectrum() -> None:
    net = seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )
    (seen,) = run(net, photos(1, height=7, width=40)).values()
    assert seen.read is None and seen.given is None and seen.is_strided
    (seen,) = run(net, photos(1, height=9, width=40)).values()
    assert seen.read is not None and seen.given is None


def test_patches_are_not_computed_at_stride_one() -> None:
    net = seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 5, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )
    (seen,) = run(net, photos(2, height=24, width=32)).values()
    assert seen.is_patches and seen.given is None
    check(seen.read, literal(photos(2, height=24, width=32)), (8, 8))


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.pool(self.conv(x))).mean((2, 3))


def test_calls_of_one_layer_are_told_apart() -> None:
    net, images = seeded(Reused), photos(2)
    found = run(net, images)
    assert [*found] == ["conv", "pool", "conv#2"]
    with torch.no_grad():
        half = F.max_pool2d(net.conv(images), 2)
    check(found["conv"].read, literal(images), (1, 1))
    check(found["conv#2"].read, literal(half), (1, 1))


def test_only_what_was_asked_for_is_looked_at() -> None:
    probe = Probe(seeded(Reused), "cpu")
    assert [*windowed(probe, photos(1), [CallKey("conv", 2)])] == [CallKey("conv", 2)]


class Failing(Reused):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.conv(x)
        raise ValueError("as a network may")


@pytest.mark.parametrize("build", [Reused, Failing])
def test_the_network_is_given_back_as_found(build: Callable[[], nn.Module]) -> None:
    net = seeded(build)
    before = state_of(net)
    probe = Probe(net, "cpu")
    if build is Failing:
        with pytest.raises(ModelError, match="as a network may"):
            windowed(probe, photos(1), [CallKey("conv")])
    else:
        windowed(probe, photos(1), [CallKey("conv")])
    assert state_of(net) == before
    assert not any(module._forward_hooks for module in net.modules())


def gaussian(side: int, spread: float) -> torch.Tensor:
    places = torch.arange(side, dtype=torch.float64) - side // 2
    row = torch.exp(-(places**2) / (2 * spread**2))
    blur = torch.outer(row, row)
    return blur / blur.sum()


def test_a_blur_before_the_stride_lowers_what_is_folded() -> None:
    """Each convolution passes one channel on, raw or blurred; the rest is a literal transform."""
    noise = photos(2, height=40, width=52)
    shares = {}
    for name, spread in (("raw", 1e-3), ("blurred", 1.5)):
        net = nn.Sequential(nn.Conv2d(3, 3, 7, 2, 3, groups=3, bias=False), nn.Flatten(2))
        net.append(nn.AdaptiveAvgPool1d(1)).append(nn.Flatten())
        net[0].weight.data[:] = gaussian(7, spread).float()
        seen = run(net.double().eval(), noise)["0"]
        with torch.no_grad():
            blurred = F.conv2d(noise, net[0].weight, None, 1, 3, groups=3)
        check(seen.given, literal(blurred), (2, 2))
        assert seen.read is not None and seen.given is not None
        shares[name] = seen.given.above((2, 2))
        assert seen.read.above((2, 2)) == pytest.approx(0.75, abs=0.03)
    assert shares["raw"] == pytest.approx(0.75, abs=0.03)
    assert shares["blurred"] < 0.05
