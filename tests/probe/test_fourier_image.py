"""Pictures as sums of waves, against sums that are written out."""

import cmath
import math

import numpy as np
import pytest
import torch

from reportgen.probe.fourier_image import COLOURS, START, pixels_of, random_waves

SIZES = [(6, 8), (7, 9), (6, 9), (7, 8), (5, 5), (1, 4)]


def frequency(index: int, count: int) -> float:
    """Cycles a pixel, negative for the second half."""
    return (index if index < (count + 1) // 2 else index - count) / count


def scale_at(row: int, column: int, size: tuple[int, int]) -> float:
    cycles = math.hypot(frequency(row, size[0]), column / size[1])
    return 1 / max(cycles, 1 / max(size))


def logit(pixels: torch.Tensor) -> np.ndarray:
    return torch.logit(pixels.double()).numpy()


def waves_of(picture: np.ndarray) -> torch.Tensor:
    """The inverse for one channel (h w) before the sigmoid: a literal Fourier transform."""
    height, width = picture.shape
    waves = torch.zeros(1, 1, height, width // 2 + 1, 2)
    for row in range(height):
        for column in range(width // 2 + 1):
            total = sum(
                picture[y, x] * cmath.exp(-2j * math.pi * (row * y / height + column * x / width))
                for y in range(height)
                for x in range(width)
            ) / math.sqrt(height * width)
            total /= scale_at(row, column, (height, width))
            waves[0, 0, row, column] = torch.tensor([total.real, total.imag])
    return waves


@pytest.mark.parametrize("size", SIZES)
def test_every_picture_has_waves_that_give_it_back(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    picture = 0.05 + 0.9 * torch.rand(1, 1, *size, generator=generator)
    back = pixels_of(waves_of(logit(picture)[0, 0]), size)
    assert back.shape == picture.shape
    torch.testing.assert_close(back, picture, atol=2e-6, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_one_wave_is_a_cosine_as_high_as_its_frequency_is_low(size: tuple[int, int]) -> None:
    height, width = size
    row, column = (2 % height, 1)
    waves = torch.zeros(1, 1, height, width // 2 + 1, 2)
    waves[0, 0, row, column] = torch.tensor([0.3, -0.2])
    amplitude = 2 * scale_at(row, column, size) / math.sqrt(height * width)
    expected = np.array(
        [
            [
                amplitude
                * (
                    complex(0.3, -0.2) * cmath.exp(2j * math.pi * (row * y / height + x / width))
                ).real
                for x in range(width)
            ]
            for y in range(height)
        ]
    )
    np.testing.assert_allclose(logit(pixels_of(waves, size))[0, 0], expected, atol=1e-6)


def test_each_direction_of_colour_has_its_published_red_green_and_blue() -> None:
    longest = max(math.sqrt(sum(row[d] ** 2 for row in COLOURS)) for d in range(3))
    for direction in range(3):
        waves = torch.zeros(1, 3, 4, 4, 2)
        waves[0, direction, 1, 1, 0] = 1.0
        grey = torch.zeros(1, 1, 4, 4, 2)
        grey[0, 0, 1, 1, 0] = 1.0
        plain = logit(pixels_of(grey, (4, 6)))[0, 0]
        for colour, values in enumerate(logit(pixels_of(waves, (4, 6)))[0]):
            np.testing.assert_allclose(
                values, plain * COLOURS[colour][direction] / longest, atol=1e-5
            )


def test_the_covariance_of_random_colours_is_that_of_the_directions() -> None:
    pictures = pixels_of(random_waves(40, 3, (20, 29), torch.Generator().manual_seed(0)), (20, 29))
    seen = np.cov(logit(pictures).swapaxes(0, 1).reshape(3, -1))
    expected = np.array(COLOURS) @ np.array(COLOURS).T
    np.testing.assert_allclose(seen / seen[0, 0], expected / expected[0, 0], atol=0.08)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_counts_of_channels_are_independent(channels: int) -> None:
    waves = random_waves(2, channels, (6, 9), torch.Generator().manual_seed(0))
    apart = [pixels_of(waves[:, [c]], (6, 9)) for c in range(channels)]
    torch.testing.assert_close(pixels_of(waves, (6, 9)), torch.cat(apart, dim=1))


def test_the_start_is_seeded_noise_of_the_stated_size() -> None:
    def drawn(seed: int) -> torch.Tensor:
        return random_waves(3, 3, (20, 28), torch.Generator().manual_seed(seed))

    state = torch.get_rng_state()
    assert drawn(4).shape == (3, 3, 20, 15, 2)
    assert torch.equal(drawn(4), drawn(4)) and not torch.equal(drawn(4), drawn(5))
    assert abs(drawn(4).std().item() / START - 1) < 0.05
    assert torch.equal(torch.get_rng_state(), state)
