"""Occlusion against Captum's, and against a loop that hides one place after the other."""

import math

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from torch import nn

from reportgen.errors import OptionError
from reportgen.options import Engine, Fill
from reportgen.probe.occlusion.occlude import OcclusionResult, occlusion
from reportgen.probe.occlusion.places import BLUR_SIGMA, fill_image, positions
from reportgen.probe.probe import Probe
from tests.probe.nets import seeded

MEAN, STD = (0.3, 0.5, 0.6), (0.2, 0.25, 0.3)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values, dtype=pixels.dtype)[:, None, None] for values in (MEAN, STD))
    return (pixels - mean) / std


def network() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((3, 4)),
            nn.Flatten(),
            nn.Linear(96, 5),
        )
    )


def picture(height: int = 23, width: int = 31) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(3, height, width, generator=generator, dtype=torch.float64)


def occluded(
    window: tuple[int, int],
    stride: tuple[int, int],
    fill: Fill = "mean",
    target: int = 2,
    batch_size: int = 6,
    pixels: torch.Tensor | None = None,
) -> OcclusionResult:
    pixels = picture() if pixels is None else pixels
    probe = Probe(network(), "cpu", batch_size)
    filling = fill_image(pixels, fill, MEAN)
    return occlusion(probe, pixels, normalise, filling, window, stride, target)


GEOMETRIES = [
    ((8, 8), (4, 4)),
    ((7, 12), (3, 5)),
    ((5, 5), (5, 5)),
    ((1, 31), (1, 31)),
    ((23, 31), (7, 7)),
    ((22, 4), (2, 4)),
    ((10, 9), (10, 4)),
]


@pytest.mark.parametrize(("window", "stride"), GEOMETRIES)
def test_agrees_with_captum(window: tuple[int, int], stride: tuple[int, int]) -> None:
    """Captum gives each pixel the mean over the windows that cover it: so is ours spread."""
    pixels, net = picture(), network()
    ours = occluded(window, stride)
    spread = np.zeros((2, *pixels.shape[1:]))
    covering = np.zeros(pixels.shape[1:])
    for i, row in enumerate(positions(23, window[0], stride[0])):
        for j, column in enumerate(positions(31, window[1], stride[1])):
            place = (slice(row, row + window[0]), slice(column, column + window[1]))
            covering[place] += 1
            spread[0][place] += ours.logit_drop[i, j]
            spread[1][place] += ours.probability_drop[i, j]
    assert covering.min() >= 1
    for map_, score in zip(spread / covering, (net, lambda x: net(x).softmax(1)), strict=True):
        theirs = Occlusion(score).attribute(
            normalise(pixels)[None],
            target=2,
            sliding_window_shapes=(3, *window),
            strides=(3, *stride),
            # The mean in pixels is zero after normalisation.
            baselines=0,
        )
        np.testing.assert_allclose(map_, theirs[0, 0].detach().numpy(), atol=2e-6)


@pytest.mark.parametrize("fill", ["mean", "gray", "black", "blur"])
def test_agrees_with_hiding_one_place_after_the_other(fill: Fill) -> None:
    pixels, net, window, stride = picture(), network(), (9, 6), (4, 5)
    ours = occluded(window, stride, fill)
    filling = fill_image(pixels, fill, MEAN)
    with torch.no_grad():
        clean = net(normalise(pixels)[None])[0]
        assert ours.baseline_logit == pytest.approx(float(clean[2]), rel=1e-6)
        assert ours.baseline_probability == pytest.approx(float(clean.softmax(0)[2]), rel=1e-6)
        assert ours.probability_drop.shape == (5, 6)
        for i in range(5):
            for j in range(6):
                hidden = pixels.clone()
                for row in range(i * 4, min(i * 4 + 9, 23)):
                    for column in range(j * 5, min(j * 5 + 6, 31)):
                        hidden[:, row, column] = filling[:, row, column]
                scores = net(normalise(hidden)[None])[0]
                drop = clean.softmax(0)[2] - scores.softmax(0)[2]
                assert ours.probability_drop[i, j] == pytest.approx(float(drop), abs=1e-6)
                assert ours.logit_drop[i, j] == pytest.approx(float(clean[2] - scores[2]), abs=1e-5)
                assert ours.answers[i, j] == scores.argmax()


def test_hiding_what_speaks_for_the_class_is_positive() -> None:
    class Corner(nn.Module):
        """Class 1 is the brightness of the upper left corner."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            corner = x[:, :, :4, :6].mean((1, 2, 3))
            return torch.stack([1 - corner, corner], 1)

    pixels = torch.ones(3, 12, 20)
    filling = fill_image(pixels, "black", MEAN)
    result = occlusion(Probe(Corner(), "cpu"), pixels, lambda x: x, filling, (4, 6), (4, 6), 1)
    assert result.probability_drop.shape == (3, 4)
    expected = np.zeros((3, 4))
    expected[0, 0] = 1
    np.testing.assert_allclose(result.logit_drop, expected, atol=1e-6)
    chance = math.e / (1 + math.e)
    np.testing.assert_allclose(result.probability_drop, expected * (2 * chance - 1), atol=1e-6)
    np.testing.assert_array_equal(result.answers, 1 - expected)


def test_one_window_that_hides_all() -> None:
    result = occluded((40, 99), (40, 99), "gray")
    assert result.probability_drop.shape == (1, 1)
    with torch.no_grad():
        grey = network()(normalise(torch.full((1, 3, 23, 31), 0.5, dtype=torch.float64)))[0]
    expected = result.baseline_logit - float(grey[2])
    assert float(result.logit_drop[0, 0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "window", "stride", "expected"),
    [
        (224, 32, 16, range(0, 193, 16)),
        (10, 4, 3, (0, 3, 6)),
        (11, 4, 3, (0, 3, 6, 9)),
        (4, 4, 1, (0,)),
        (3, 9, 5, (0,)),
    ],
)
def test_positions(size: int, window: int, stride: int, expected: object) -> None:
    assert positions(size, window, stride) == tuple(expected)  # type: ignore[arg-type]


def test_batch_sizes_agree_and_progress_is_told() -> None:
    one, many = (occluded((8, 8), (4, 4), batch_size=size) for size in (1, 7))
    np.testing.assert_allclose(one.logit_drop, many.logit_drop, atol=1e-6)
    np.testing.assert_array_equal(one.answers, many.answers)
    told: list[tuple[int, int]] = []
    pixels = picture()
    occlusion(
        Probe(network(), "cpu", 16),
        pixels,
        normalise,
        fill_image(pixels, "gray", MEAN),
        (8, 8),
        (4, 4),
        0,
        progress=lambda done, n: told.append((done, n)),
        engine="plain",
    )
    assert told == [(16, 35), (32, 35), (35, 35)]


def test_the_clean_image_is_run_once_as_a_whole() -> None:
    net, pixels = network(), picture()
    seen: list[int] = []
    probe, filling = Probe(net, "cpu", 6), fill_image(pixels, "gray", MEAN)
    net.register_forward_pre_hook(lambda *_: seen.append(1))
    occlusion(probe, pixels, normalise, filling, (8, 8), (4, 4), 2)
    # Not the first time, when it is traced and a hidden place is checked.
    seen.clear()
    result = occlusion(probe, pixels, normalise, filling, (8, 8), (4, 4), 2)
    assert result.run.used == "exact"
    assert seen == [1]


def test_the_image_is_left_alone() -> None:
    pixels = picture()
    before = pixels.clone()
    occluded((8, 8), (4, 4), "blur", pixels=pixels)
    assert torch.equal(pixels, before)


def test_fills_in_pixel_space() -> None:
    pixels = picture()
    assert fill_image(pixels, "mean", MEAN)[:, 4, 7].tolist() == pytest.approx(MEAN)
    assert float(normalise(fill_image(pixels, "mean", MEAN)).abs().max()) < 1e-12
    assert fill_image(pixels, "gray", MEAN).unique().tolist() == [0.5]
    assert fill_image(pixels, "black", MEAN).unique().tolist() == [0.0]


def test_blur_is_a_gaussian_mean_of_the_neighbours() -> None:
    pixels = picture(9, 14)
    blurred = fill_image(pixels, "blur", MEAN)
    sigma = BLUR_SIGMA * 14
    for row, column in ((0, 0), (4, 7), (8, 13), (2, 12)):
        total, weights = torch.zeros(3, dtype=torch.float64), 0.0
        for i in range(-3, 4):
            for j in range(-3, 4):
                weight = math.exp(-(i * i + j * j) / (2 * sigma * sigma))
                near = pixels[:, min(max(row + i, 0), 8), min(max(column + j, 0), 13)]
                total += weight * near
                weights += weight
        assert blurred[:, row, column].tolist() == pytest.approx(
            (total / weights).tolist(), abs=1e-6
        )
    flat = torch.full((3, 30, 20), 0.7)
    assert torch.allclose(fill_image(flat, "blur", MEAN), flat)


@pytest.mark.parametrize("engine", ["exact", "plain"])
def test_a_place_that_hides_nothing_changes_nothing(engine: Engine) -> None:
    """To the last digit, although the parts of an image are not summed up as the whole is."""
    pixels = picture().float()
    pixels[:, :, :16] = 0
    probe = Probe(network().float(), "cpu", 6)
    filling = fill_image(pixels, "black", MEAN)
    result = occlusion(probe, pixels, normalise, filling, (5, 4), (5, 4), 2, engine=engine)
    for drop in (result.probability_drop, result.logit_drop):
        assert (drop[:, :4] == 0).all()
        assert (drop[:, 4:] != 0).all()
    assert (result.answers[:, :4] == result.answers[0, 0]).all()


def test_what_rounding_could_make_is_no_drop() -> None:
    class Deaf(nn.Module):
        """Its first two scores move by some units in the last place at most."""

        def __init__(self, classes: int) -> None:
            super().__init__()
            self.classes = classes

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            heard = x.mean((1, 2, 3))
            return torch.stack([4 + 2e-6 * heard, 4 - 2e-6 * heard, 0.9 * heard], 1)[
                :, : self.classes
            ]

    pixels = picture().float()
    filling = fill_image(pixels, "black", MEAN)
    for classes, is_heard in ((2, False), (3, True)):
        result = occlusion(
            Probe(Deaf(classes), "cpu"), pixels, normalise, filling, (8, 8), (8, 8), 0
        )
        assert not result.logit_drop.any()
        # The probability of a class changes with the scores of the others.
        assert result.probability_drop.any() == is_heard


def test_a_network_that_answers_nan_has_no_map() -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3)) * math.nan

    pixels = torch.rand(3, 6, 8)
    filling = fill_image(pixels, "gray", MEAN)
    result = occlusion(Probe(Broken(), "cpu"), pixels, normalise, filling, (3, 4), (3, 4), 0)
    assert math.isnan(result.baseline_probability)
    assert np.isnan(result.probability_drop).all()
    assert (result.answers == -1).all()


@pytest.mark.parametrize(
    ("window", "stride", "target", "said"),
    [
        ((0, 4), (1, 1), 0, r"window \(0, 4\).*at least 1 pixel"),
        ((4, 4), (1, 0), 0, r"stride \(1, 0\).*at least 1 pixel"),
        ((4, 4), (4, 5), 0, r"stride \(4, 5\) exceeds the window \(4, 4\)"),
        ((4, 4), (4, 4), 5, r"Target 5: the network has 5 classes"),
    ],
)
def test_settings_that_make_no_sense(
    window: tuple[int, int], stride: tuple[int, int], target: int, said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        occluded(window, stride, target=target)
