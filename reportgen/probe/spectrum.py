"""How energy is shared out over spatial frequencies, coarse to fine, in kernels and in maps.

Frequencies are in cycles per pixel of what is looked at: 0.5 along an axis is the finest that
pixels carry, one light and one dark pixel in turn; along the diagonal it is 0.707.
"""

from dataclasses import dataclass

import numpy as np
import torch

from reportgen.report.arrays import FloatArray

BANDS = (1 / 8, 1 / 4)
"""Where the middle band begins and ends, in cycles per pixel: an octave, waves of 8 to 4 pixels.

Octaves, because natural images hold about as much energy in each [field1987]."""
RINGS = 32
"Values of a radial average, from 0 to 0.5 cycles per pixel."
GRID = 128
"Fewest frequencies either way at which the spectrum of kernels is computed, by zero padding."
ROUNDING = 1e-11
"Energy beside that of the means, below which it is rounding: a few units in the last place."
CHUNK = 1 << 22
"Values that are transformed at once."


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Energy by frequency of real (h w) arrays, summed over all of them."""

    energy: FloatArray
    """(h w//2+1): rows as `np.fft.fftfreq`, columns as `np.fft.rfftfreq`. A column that stands for
    its negative frequency too holds the energy of both, so that the sum is that of the squares of
    the values times h * w (Parseval)."""
    width: int
    "w"
    has_mean: bool
    "False where means were taken out, so that frequency zero says nothing."

    @property
    def total(self) -> float:
        """Sum over all frequencies; NaN where a value was not finite."""
        return float(self.energy.sum())

    @property
    def _radius(self) -> FloatArray:
        down = np.fft.fftfreq(self.energy.shape[0])
        radius: FloatArray = np.hypot(down[:, None], np.fft.rfftfreq(self.width)[None])
        return radius

    def bands(self) -> tuple[float, float, float] | None:
        """Shares of the energy below, in and above the middle band; None without any energy.

        Corners, up to 0.707 cycles per pixel, belong to the last.
        """
        if not self.total > 0:
            return None
        band = np.digitize(self._radius, BANDS)
        low, middle, high = (float(self.energy[band == n].sum()) / self.total for n in range(3))
        return low, middle, high

    def above(self, stride: tuple[int, int], *, blurred: bool = False) -> float | None:
        """Share of the energy that a sampling with this stride (down, across) cannot carry.

        That is all beyond 1 / (2 * stride) cycles per pixel along either axis, and half of what
        lies just there, for it is its own alias. None without any energy.

        Args:
            stride: pixels between samples.
            blurred: of what a blur with 1 2 1 along both axes would leave [zhang2019].
        """
        down, across = np.fft.fftfreq(self.energy.shape[0]), np.fft.rfftfreq(self.width)
        energy = self.energy
        if blurred:
            energy = energy * np.outer(np.cos(np.pi * down) ** 4, np.cos(np.pi * across) ** 4)
        total = float(energy.sum())
        if not total > 0:
            return None
        carried = np.outer(_carried(down, stride[0]), _carried(across, stride[1]))
        return max(0.0, 1 - float((energy * carried).sum()) / total)

    def radial(self) -> FloatArray:
        """Mean energy of a frequency in rings around zero, (RINGS,) up to 0.5, corners left out.

        NaN where a ring holds no frequency, as in small maps.
        """
        ring = np.floor(2 * RINGS * self._radius).astype(int)
        ring[self._radius == 0.5] = RINGS - 1
        counts = np.broadcast_to(column_weights(self.width), ring.shape).copy()
        if not self.has_mean:
            counts[0, 0] = 0
        inside = ring < RINGS
        total = np.bincount(ring[inside], self.energy[inside], RINGS)
        n = np.bincount(ring[inside], counts[inside], RINGS)
        mean: FloatArray = np.divide(total, n, out=np.full(RINGS, np.nan), where=n > 0)
        return mean


def _carried(frequencies: FloatArray, stride: int) -> FloatArray:
    """1 below the finest frequency that a stride carries, 0 beyond, 1/2 on it."""
    # One sample a pixel holds all that pixels do, their finest frequency too.
    if stride == 1:
        return np.ones(len(frequencies))
    apart = np.abs(frequencies) - 1 / (2 * stride)
    apart[np.abs(apart) < 1e-9] = 0
    return np.asarray((1 - np.sign(apart)) / 2)


def column_weights(width: int) -> FloatArray:
    """(w//2+1,) how many frequencies each column of half a plane stands for: 1 or 2."""
    weights = np.full(width // 2 + 1, 2.0)
    weights[0] = 1
    if width % 2 == 0:
        weights[-1] = 1
    return weights


def kernel_spectrum(weight: FloatArray, dilation: tuple[int, int] = (1, 1)) -> Spectrum:
    """The spectrum of all kernels of a layer: zero-padded, without a window, their mean counted.

    One row of taps is looked at along it alone, for it has no extent the other way. Exact: the sum
    of the squared transforms is the transform of the summed autocorrelation, which takes one
    product of matrices where there may be a quarter of a million kernels.

    Args:
        weight: (filters channels height width).
        dilation: pixels from tap to tap, down and across.
    """
    height, width = weight.shape[2:]
    rows = np.asarray(weight).reshape(-1, height * width)
    products = np.zeros((height * width, height * width))
    for start in range(0, len(rows), CHUNK // rows.shape[1] + 1):
        part = rows[start : start + CHUNK // rows.shape[1] + 1].astype(np.float64)
        products += part.T @ part
    sizes = [_padded(n, gap) for n, gap in zip((height, width), dilation, strict=True)]
    down, across = (
        place.ravel() * gap
        for place, gap in zip(np.indices((height, width)), dilation, strict=True)
    )
    lags = np.zeros(sizes)
    np.add.at(
        lags,
        (
            (down[:, None] - down[None]) % sizes[0],
            (across[:, None] - across[None]) % sizes[1],
        ),
        products,
    )
    # Rounding alone takes a squared size below zero.
    energy = np.fft.rfft2(lags).real.clip(0) * column_weights(sizes[1])
    return Spectrum(energy, sizes[1], has_mean=True)


def _padded(taps: int, gap: int) -> int:
    """Frequencies along an axis: enough to tell all lags apart; one where there is one tap."""
    extent = gap * (taps - 1) + 1
    return 1 if taps == 1 else max(GRID, 1 << (2 * extent - 1).bit_length())


def map_energy(maps: torch.Tensor) -> FloatArray:
    """Energy of maps (... h w) as `Spectrum` holds it, float64, summed over all maps.

    Each map is weighted with a Hann window along both axes, because the jump from its last row to
    its first, and from column to column, would spread over all frequencies [harris1978]; its mean
    in the window is taken out before, since a level carries no structure. Where only rounding is
    left of all maps there is no energy.
    """
    height, width = maps.shape[-2:]
    window = torch.outer(_hann(height), _hann(width)).to(maps.device)
    shares = window / window.sum()
    flat = maps.detach().float().reshape(-1, height, width)
    energy, levels = np.zeros((height, width // 2 + 1)), 0.0
    for part in torch.split(flat, CHUNK // (height * width) + 1):
        level = (part * shares).sum((1, 2), keepdim=True)
        half = torch.view_as_real(torch.fft.rfft2((part - level) * window))
        # On the CPU for float64, which Apple's GPUs do not have.
        energy += half.square_().sum((0, -1)).cpu().numpy()
        levels += float(level.square().sum())
    result: FloatArray = energy * column_weights(width)
    of_levels = levels * height * width * float(window.square().sum())
    return np.zeros_like(result) if result.sum() < ROUNDING * of_levels else result


def _hann(n: int) -> torch.Tensor:
    """Samples in the middle of each pixel, so that none is zero."""
    return torch.sin(torch.pi * (torch.arange(n) + 0.5) / n).square()
