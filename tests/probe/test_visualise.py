"""Painted pictures, on networks for which the best picture is known by hand."""

from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ModelError, ResourceError
from reportgen.probe import visualise
from reportgen.probe.evidence import Call
from reportgen.probe.probe import Probe
from reportgen.probe.visualise import Painted, painted, positions, transformed, varied
from tests.probe.nets import seeded

SIZE = (20, 29)
STRIPES = torch.tensor([[1.0, -2.0, 1.0]]).expand(5, 3)
"Upright lines, three pixels wide."


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels - 0.4) / 0.2


def calls_of(net: nn.Module, channels: int = 3, size: tuple[int, int] = SIZE) -> dict[str, Call]:
    images = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0))
    evidence = Probe(net, "cpu").collect(normalise(images).split, 2, [])
    return {str(call.key): call for call in evidence.calls}


def paint(
    net: nn.Module, name: str, units: tuple[int, ...] = (0,), channels: int = 3, seed: int = 0,
    size: tuple[int, int] = SIZE,
) -> Painted:  # fmt: skip
    call = calls_of(net, channels, size)[name] if name else None
    return painted(Probe(net, "cpu"), call, units, channels, size, normalise, seed)


class Striped(nn.Module):
    """Unit 0 answers to upright lines; unit 1 never fires; unit 2 is off for a grey picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, (5, 3))
        self.relu = nn.ReLU()
        self.fc = nn.Linear(3, 4)
        with torch.no_grad():
            self.conv.weight[0, 0] = self.conv.weight[2, 0] = STRIPES
            self.conv.weight[1] = 0
            self.conv.bias.copy_(torch.tensor([0.0, -1.0, -12.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))


def striped() -> nn.Module:
    return seeded(Striped).float()


def natural(count: int) -> torch.Tensor:
    """Random pictures with the spectrum of photos, stretched over all of [0, 1], (n 1 h w)."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(count, 1, *SIZE, generator=generator)
    cycles = torch.hypot(torch.fft.fftfreq(SIZE[0])[:, None], torch.fft.rfftfreq(SIZE[1]))
    pictures = torch.fft.irfft2(torch.fft.rfft2(noise) / cycles.clamp(min=1 / SIZE[1]), s=SIZE)
    low, high = pictures.amin((2, 3), True), pictures.amax((2, 3), True)
    return (pictures - low) / (high - low)


def answers(net: nn.Module, pictures: torch.Tensor, unit: int = 0) -> torch.Tensor:
    """Activations (n positions) of a unit of the convolution after its ReLU, written out."""
    with torch.no_grad():
        seen = F.conv2d(normalise(pictures), net.conv.weight[[unit]], net.conv.bias[[unit]])
        return seen.clamp(min=0).flatten(1)


def test_the_picture_shows_the_pattern_of_the_kernel_and_beats_random_pictures() -> None:
    net = striped()
    made = paint(net, "relu", channels=1)
    assert made.pixels.shape == (1, 1, *SIZE)
    assert made.pixels.min() >= 0 and made.pixels.max() <= 1
    reached = answers(net, made.pixels)
    assert made.mean[0] == pytest.approx(reached.mean().item(), rel=1e-5)
    assert made.highest[0] == pytest.approx(reached.max().item(), rel=1e-5)
    random = answers(net, natural(100))
    assert made.mean[0] > 1.5 * random.mean(1).max() and made.highest[0] > random.max()
    patches = F.unfold(made.pixels, (5, 3))[0].T
    best = patches[reached[0].argmax()].numpy()
    assert np.corrcoef(best, STRIPES.flatten().numpy())[0, 1] > 0.9
    # The mean was maximised, so that the pattern is all over the picture.
    assert (reached > 0.2 * reached.max()).float().mean() > 0.25


def test_the_same_seed_paints_the_same_picture_and_another_another() -> None:
    net = striped()
    state = torch.get_rng_state()
    first, again, other = (paint(net, "relu", (0, 2), 1, seed) for seed in (3, 3, 4))
    assert torch.equal(first.pixels, again.pixels)
    assert first.mean.tolist() == again.mean.tolist()
    assert (first.pixels - other.pixels).abs().max() > 0.1
    assert torch.equal(torch.get_rng_state(), state)


def test_a_unit_that_is_off_starts_and_one_that_cannot_fire_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = paint(striped(), "relu", (0, 1, 2), channels=1)
    assert made.rose == (True, False, True)
    assert made.highest[1] == 0 and made.highest[2] > 1
    monkeypatch.setattr(visualise, "Reviving", nullcontext)
    stuck = paint(striped(), "relu", (0, 1, 2), channels=1)
    assert stuck.rose == (True, False, False)
    assert stuck.highest[2] == 0


def test_a_class_is_raised_and_so_are_units_before_a_relu() -> None:
    net = striped()
    scores = paint(net, "", (0, 3), channels=1)
    with torch.no_grad():
        expected = net(normalise(scores.pixels))
    np.testing.assert_allclose(scores.highest, [expected[0, 0], expected[1, 3]], rtol=1e-5)
    np.testing.assert_array_equal(scores.highest, scores.mean)
    assert scores.rose == (True, True)
    assert paint(net, "conv", (2,), channels=1).rose == (True,)


class Styled(nn.Module):
    """The same computation with ReLUs as modules, in place, reused or as functions."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 5, 3, stride=2)
        self.relu1 = nn.ReLU(style in ("in place", "reused"))
        self.relu2 = self.relu1 if style == "reused" else nn.ReLU(style == "in place")
        self.fc = nn.Linear(5, 4)
        self.style = style

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.style == "function":
            x = F.relu_(self.conv2(torch.relu(self.conv1(x))))
        else:
            x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


STYLES = {"module": "relu2", "in place": "relu2", "reused": "relu1#2", "function": "F.relu#2"}


def styled(style: str) -> nn.Module:
    net = seeded(lambda: Styled(style)).float()
    with torch.no_grad():
        net.conv2.bias -= 1.0
    return net


@pytest.mark.parametrize("style", [style for style in STYLES if style != "module"])
def test_networks_that_compute_the_same_get_the_same_pictures(style: str) -> None:
    expected = paint(styled("module"), "relu2", (0, 3))
    made = paint(styled(style).requires_grad_(style != "reused"), STYLES[style], (0, 3))
    assert torch.equal(made.pixels, expected.pixels)
    assert made.rose == expected.rose


def test_channels_last_is_read_by_its_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    class Last(nn.Module):
        def __init__(self, is_last: bool) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 6, 4, stride=4)
            self.mix = nn.Linear(6, 5)
            self.act = nn.GELU()
            self.is_last = is_last

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.embed(x)
            if self.is_last:
                return self.act(self.mix(x.permute(0, 2, 3, 1))).square().mean((1, 2))
            x = F.conv2d(x, self.mix.weight[:, :, None, None], self.mix.bias)
            return self.act(x).square().mean((2, 3))

    # After many steps, differences in the last digit would have grown.
    monkeypatch.setattr(visualise, "STEPS", 3)
    first, last = (paint(seeded(lambda v=v: Last(v)).float(), "act", (0, 4)) for v in (False, True))
    torch.testing.assert_close(last.pixels, first.pixels, atol=1e-5, rtol=0)
    np.testing.assert_allclose(last.mean, first.mean, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_network_keeps_its_number_format(dtype: torch.dtype) -> None:
    net = striped().to(dtype)
    call = calls_of(striped(), 1)["relu"]
    made = painted(Probe(net, "cpu"), call, (0,), 1, SIZE, normalise, 0)
    assert made.pixels.dtype == torch.float32 and made.rose == (True,)
    assert made.mean[0] == pytest.approx(paint(striped(), "relu", channels=1).mean[0], rel=0.1)


class Counted(nn.Module):
    """Counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        return x


def test_nothing_behind_the_layer_is_computed_and_the_network_is_given_back_as_found() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), Counted(), nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    calls = calls_of(net)
    net[4].train()
    net[1].eval()
    before, modes = deepcopy(net.state_dict()), [part.training for part in net.modules()]
    runs = net[3].runs
    painted(Probe(net, "cpu"), calls["2"], (1,), 3, SIZE, normalise, 0)
    assert net[3].runs == runs
    assert [part.training for part in net.modules()] == modes
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    for part in net.modules():
        assert not part._forward_hooks and not part._forward_pre_hooks
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def test_the_positions_of_a_smaller_picture() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(4 * 4 * 6, 3))
    calls = calls_of(net)
    probe = Probe(net, "cpu")

    def at(name: str, *size: int) -> int:
        return positions(probe, calls[name], 3, (size[0], size[1]), normalise)

    assert at("1", *SIZE) == 24 and at("1", 11, 6) == 2
    assert at("1", 2, 2) == 0, "smaller than the kernel"
    assert at("3", *SIZE) == 1 and at("3", 11, 6) == 0, "a linear layer takes one size"


def test_a_network_without_gradient_is_one_clear_sentence() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.conv(x).mean((2, 3))

    class Blind(Cut):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x.detach()).mean((2, 3))

    for net in (Cut(), Blind()):
        with pytest.raises(ModelError, match=r"^No gradient can .* not depend on the image by aut"):
            paint(net, "conv")


def test_memory_that_runs_out_is_told_with_the_size_of_the_pictures() -> None:
    class Full(Striped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("out of memory")

    probe = Probe(Full(), "cpu")
    with pytest.raises(ResourceError, match=r"with 2 3 x 17 x 24 images at once\."):
        painted(probe, None, (0, 1), 3, (17, 24), lambda x: x, 0)


PICTURE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def changed(picture: torch.Tensor = PICTURE, **changes: Any) -> torch.Tensor:
    n = len(picture)
    given = {
        "move": torch.zeros(n, 2), "scale": torch.ones(n), "turn": torch.zeros(n),
        "again": torch.zeros(n, 2),
    }  # fmt: skip
    return transformed(picture, **{**given, **changes})


def moved(picture: torch.Tensor, down: int, across: int) -> torch.Tensor:
    """Literally, pixel by pixel, grey where nothing was."""
    result = torch.full_like(picture, 0.5)
    height, width = picture.shape[2:]
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - across < width:
                result[:, :, y, x] = picture[:, :, y - down, x - across]
    return result


@pytest.mark.parametrize("size", [(8, 8), (5, 8), (7, 4), (1, 1)])
def test_no_change_changes_nothing(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(changed(picture), picture, atol=1e-5, rtol=0)


def test_moves_turns_and_scales_by_hand() -> None:
    def same(made: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)

    down, across = torch.tensor([[2.0, 0.0]] * 2), torch.tensor([[0.0, -3.0]] * 2)
    same(changed(move=down), moved(PICTURE, 2, 0))
    same(changed(again=across), moved(PICTURE, 0, -3))
    quarter = torch.full((2,), torch.pi / 2)
    same(changed(turn=quarter), PICTURE.rot90(-1, (2, 3)))
    # In this order: moved, then turned clockwise, then moved again.
    expected = moved(moved(PICTURE, 2, 0).rot90(-1, (2, 3)), 0, -3)
    same(changed(move=down, turn=quarter, again=across), expected)
    wide = torch.rand(2, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    larger = F.interpolate(wide, scale_factor=2, mode="bilinear")[:, :, 2:6, 3:9]
    same(changed(wide, scale=torch.tensor([2.0, 2.0])), larger)


def test_each_picture_is_changed_in_its_own_way_and_no_more_than_stated() -> None:
    picture = PICTURE[:1].expand(6, 3, 8, 8)
    made = varied(picture, torch.Generator().manual_seed(0))
    assert made.shape == picture.shape
    assert len({one.sum().item() for one in made}) == 6
    assert torch.equal(made, varied(picture, torch.Generator().manual_seed(0)))
    # A dot in the middle of a large picture stays within the moves, with half a pixel of blur.
    dot = torch.full((40, 1, 97, 65), 0.5)
    dot[:, :, 48, 32] = 1.0
    places = varied(dot, torch.Generator().manual_seed(0)).sub(0.5).abs().gt(1e-3).nonzero()[:, 2:]
    away = (places - torch.tensor([48, 32])).abs().max().item()
    most = (visualise.JITTER * 1.1 * 1.1 + visualise.AGAIN) * 97 + 1.5
    assert 0.5 * most < away <= most
