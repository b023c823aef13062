"""Spectra against literal transforms, and waves, deltas and noise whose spectrum is known."""

import math

import numpy as np
import pytest
import torch

from reportgen.probe import spectrum
from reportgen.probe.spectrum import (
    RINGS,
    Spectrum,
    column_weights,
    kernel_spectrum,
    map_energy,
)

NOISE = (math.pi / 64, 3 * math.pi / 64, 1 - math.pi / 16)


def wave(frequency: float, degrees: float, side: int) -> np.ndarray:
    """One kernel (1 1 side side): a cosine that goes up and down along a direction."""
    down, across = np.indices((side, side)) - side // 2
    angle = math.radians(degrees)
    phase = across * math.cos(angle) + down * math.sin(angle)
    return np.cos(2 * np.pi * frequency * phase)[None, None].astype(np.float32)


def plane(values: np.ndarray) -> Spectrum:
    """Of arrays (n h w) as they are, without a window."""
    half = np.abs(np.fft.rfft2(values)) ** 2
    width = values.shape[-1]
    return Spectrum(half.sum(0) * column_weights(width), width, has_mean=True)


def literal_share(values: np.ndarray, counts: object) -> float:
    """Share of the energy of (n h w), frequency by frequency, where `counts` says so."""
    height, width = values.shape[1:]
    energy = (np.abs(np.fft.fft2(values)) ** 2).sum(0)
    inside = total = 0.0
    for i, down in enumerate(np.fft.fftfreq(height)):
        for j, across in enumerate(np.fft.fftfreq(width)):
            total += energy[i, j]
            inside += energy[i, j] * counts(abs(down), abs(across))
    return inside / total


@pytest.mark.parametrize("degrees", [0, 90, 17, 45, 63.5, 128])
@pytest.mark.parametrize(
    ("frequency", "band"), [(0.05, 0), (0.1, 0), (0.15, 1), (0.2, 1), (0.3, 2), (0.45, 2)]
)
def test_a_wave_lands_in_its_band(frequency: float, band: int, degrees: float) -> None:
    bands = kernel_spectrum(wave(frequency, degrees, 31)).bands()
    assert bands is not None and bands[band] > 0.75 and sum(bands) == pytest.approx(1)
    # Eleven pixels blur frequencies by about a tenth, so that nearby bands get a part.
    small = kernel_spectrum(wave(frequency, degrees, 11)).bands()
    assert small is not None and int(np.argmax(small)) == band


def test_a_wave_peaks_in_its_ring() -> None:
    radial = kernel_spectrum(wave(0.2, 30, 41)).radial()
    assert int(np.argmax(radial)) == int(0.2 * 2 * RINGS)


def test_a_delta_is_flat_and_its_bands_are_their_areas() -> None:
    kernel = np.zeros((2, 3, 5, 7), np.float32)
    kernel[1, 2, 1, 4] = -3
    found = kernel_spectrum(kernel)
    np.testing.assert_allclose(found.radial(), 9, rtol=1e-12)
    assert found.bands() == pytest.approx(NOISE, abs=3e-3)


def test_many_random_kernels_are_as_flat() -> None:
    weights = np.random.default_rng(0).normal(size=(400, 3, 11, 11)).astype(np.float32)
    assert kernel_spectrum(weights).bands() == pytest.approx(NOISE, abs=0.01)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (3, 2, 11, 11), (5, 1, 2, 7), (2, 2, 6, 3)])
@pytest.mark.parametrize("chunk", [1 << 22, 1])
def test_kernels_have_the_spectrum_of_a_literal_padded_transform(
    shape: tuple[int, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum, "CHUNK", chunk)
    weights = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = kernel_spectrum(weights)
    precise = weights.astype(np.float64)
    every = [np.fft.rfft2(k, s=(128, 128)) for row in precise for k in row]
    expected = sum(np.abs(one) ** 2 for one in every) * column_weights(128)
    np.testing.assert_allclose(found.energy, expected, atol=1e-9 * expected.max())
    squares = float(np.square(weights, dtype=np.float64).sum())
    assert found.total == pytest.approx(128 * 128 * squares)


def test_large_kernels_get_a_finer_grid() -> None:
    weights = np.random.default_rng(2).normal(size=(1, 1, 70, 3))
    found = kernel_spectrum(weights)
    assert found.energy.shape == (256, 65)
    expected = np.abs(np.fft.rfft2(weights[0, 0], s=(256, 128))) ** 2 * column_weights(128)
    np.testing.assert_allclose(found.energy, expected, atol=1e-9 * expected.max())


def test_dilation_puts_gaps_between_the_taps() -> None:
    weights = np.random.default_rng(3).normal(size=(3, 2, 3, 2)).astype(np.float32)
    spread = np.zeros((3, 2, 9, 3), np.float32)
    spread[:, :, ::4, ::2] = weights
    found, expected = kernel_spectrum(weights, (4, 2)), kernel_spectrum(spread)
    np.testing.assert_allclose(found.energy, expected.energy, atol=1e-9 * expected.energy.max())


@pytest.mark.parametrize("across", [True, False])
def test_one_row_or_column_is_looked_at_along_itself(across: bool) -> None:
    row = wave(0.2, 0, 31)[:, :, 15:16]
    delta = np.ones((1, 1, 1, 1), np.float32) * [[[[0, 1, 0]]]]
    if not across:
        row, delta = row.transpose(0, 1, 3, 2), delta.transpose(0, 1, 3, 2)
    bands = kernel_spectrum(row).bands()
    assert bands is not None and bands[1] > 0.9
    assert kernel_spectrum(delta).bands() == pytest.approx((0.25, 0.25, 0.5), abs=0.02)
    assert kernel_spectrum(delta).radial() == pytest.approx(np.ones(RINGS))


@pytest.mark.parametrize("size", [(20, 29), (13, 8), (17, 17), (9, 32)])
@pytest.mark.parametrize("chunk", [1 << 22, 300])
def test_maps_against_a_literal_window_and_transform(
    size: tuple[int, int], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum, "CHUNK", chunk)
    height, width = size
    maps = np.random.default_rng(4).normal(size=(2, 3, *size)) + 5
    window = np.array(
        [
            [
                (0.5 - 0.5 * math.cos(2 * math.pi * (i + 0.5) / height))
                * (0.5 - 0.5 * math.cos(2 * math.pi * (j + 0.5) / width))
                for j in range(width)
            ]
            for i in range(height)
        ]
    )
    expected, squares = np.zeros((height, width // 2 + 1)), 0.0
    for one in maps.reshape(-1, *size):
        seen = window * (one - (window * one).sum() / window.sum())
        full = np.abs(np.fft.fft2(seen)) ** 2
        for j in range(width):
            expected[:, min(j, width - j)] += (
                full[:, j] if j <= width // 2 else full[:, j][_back(height)]
            )
        squares += float((seen**2).sum())
    found = map_energy(torch.from_numpy(maps))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())
    # Parseval: all the energy is there, and none of it is the level.
    assert found.sum() == pytest.approx(height * width * squares, rel=1e-5)
    assert found[0, 0] < 1e-6 * found.sum()


def _back(height: int) -> list[int]:
    """Rows of the opposite frequencies."""
    return [-i % height for i in range(height)]


@pytest.mark.parametrize("size", [(24, 36), (21, 35), (16, 9)])
@pytest.mark.parametrize("stride", [(2, 2), (3, 2), (1, 4), (4, 4), (5, 1)])
def test_what_a_stride_cannot_carry_frequency_by_frequency(
    size: tuple[int, int], stride: tuple[int, int]
) -> None:
    values = np.random.default_rng(5).normal(size=(2, *size)).cumsum(1)

    def lost(down: float, across: float) -> float:
        carried = 1.0
        for frequency, step in ((down, stride[0]), (across, stride[1])):
            if step > 1 and math.isclose(frequency, 0.5 / step):
                carried *= 0.5
            elif step > 1 and frequency > 0.5 / step:
                carried = 0.0
        return 1 - carried

    assert plane(values).above(stride) == pytest.approx(literal_share(values, lost))


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_of_noise_all_but_one_in_stride_squared_is_lost(stride: int) -> None:
    flat = np.zeros((1, 24, 48))
    flat[0, 3, 5] = 1
    assert plane(flat).above((stride, stride)) == pytest.approx(1 - 1 / stride**2)
    noise = torch.randn(300, 48, 72, generator=torch.Generator().manual_seed(6))
    seen = Spectrum(map_energy(noise), 72, has_mean=False)
    assert seen.above((stride, stride)) == pytest.approx(1 - 1 / stride**2, abs=0.01)
    assert seen.above((1, 1)) == 0
    assert seen.above((1, stride)) == pytest.approx(1 - 1 / stride, abs=0.01)


def test_a_wave_is_carried_or_not() -> None:
    columns = np.arange(48)
    for k, share in ((5, 0.0), (6, 0.5), (7, 1.0)):
        rows = np.broadcast_to(np.cos(2 * np.pi * k * columns / 48), (1, 30, 48))
        assert plane(rows).above((4, 4)) == pytest.approx(share, abs=1e-12)


def test_the_blur_is_that_of_a_literal_convolution() -> None:
    values = np.random.default_rng(7).normal(size=(2, 18, 25)).cumsum(2)
    blurred = np.zeros_like(values)
    for i, down in ((-1, 1), (0, 2), (1, 1)):
        for j, across in ((-1, 1), (0, 2), (1, 1)):
            blurred += down * across / 16 * np.roll(values, (i, j), (1, 2))
    found = plane(values).above((2, 3), blurred=True)
    assert found == pytest.approx(plane(blurred).above((2, 3)))
    assert found < plane(values).above((2, 3))


@pytest.mark.parametrize("size", [(24, 36), (9, 32), (8, 8)])
@pytest.mark.parametrize("has_mean", [True, False])
def test_radial_means_against_a_loop(size: tuple[int, int], has_mean: bool) -> None:
    values = np.random.default_rng(8).normal(size=(3, *size))
    energy = (np.abs(np.fft.fft2(values)) ** 2).sum(0)
    rings: list[list[float]] = [[] for _ in range(RINGS)]
    for i, down in enumerate(np.fft.fftfreq(size[0])):
        for j, across in enumerate(np.fft.fftfreq(size[1])):
            radius = math.hypot(down, across)
            if radius <= 0.5 and (has_mean or radius):
                rings[min(int(radius * 2 * RINGS), RINGS - 1)].append(energy[i, j])
    expected = [np.mean(ring) if ring else math.nan for ring in rings]
    found = Spectrum(plane(values).energy, size[1], has_mean).radial()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_without_finite_energy_nothing_is_said(value: float) -> None:
    maps = torch.full((2, 10, 12), value)
    found = Spectrum(map_energy(maps), 12, has_mean=False)
    assert found.bands() is None and found.above((2, 2)) is None
    assert found.above((2, 2), blurred=True) is None
    assert kernel_spectrum(np.zeros((2, 2, 3, 3), np.float32)).bands() is None


@pytest.mark.parametrize("level", [0.3, -77.7, 1e6])
def test_what_rounding_leaves_of_level_maps_is_no_structure(level: float) -> None:
    maps = torch.full((3, 21, 26), level)
    maps[1] *= 1.7
    assert not map_energy(maps).any()
    maps[0, 9, 12] *= 1.001
    assert map_energy(maps).any()
