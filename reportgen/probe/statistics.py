"""Streaming statistics of one call: any split of the images gives the same result."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.evidence import BinnedValues, LayerEvidence

SIDE = 128
"Bins on either side of zero."

LOWEST_EXPONENT = -149
"Of the bin width: that of the smallest float32 number."

CHUNK = 1 << 20
"Values worked on at a time: few enough for the cache, so that one pass more costs little."


class LayerStatistics:
    """Counts, range and moments of the units of one call, and the histogram of all values.

    Counts, range and histogram are exact. Mean and variance are merged in float64 [chan1983],
    which is safe where the mean is far larger than the spread. Values that are NaN or infinite are
    counted apart and left out of everything else.
    """

    def __init__(self, units: int) -> None:
        self._images = 0
        self._positions = 0
        self._count = np.zeros(units, np.int64)
        self._minimum = np.full(units, np.inf)
        self._maximum = np.full(units, -np.inf)
        self._mean = np.zeros(units)
        self._squares = np.zeros(units)
        self._positive = np.zeros(units, np.int64)
        self._zeros = np.zeros(units, np.int64)
        self._fired = np.zeros(units, np.int64)
        self._nonfinite = np.zeros(units, np.int64)
        self._counts = np.zeros(2 * SIDE, np.int64)
        self._exponent = LOWEST_EXPONENT

    def update(self, values: torch.Tensor) -> torch.Tensor:
        """Adds some images: (images units positions).

        Returns:
            The highest finite value of each image and unit, (images units); -inf without any.
        """
        images, units, positions = values.shape
        if not values.numel():
            return torch.full((images, units), -torch.inf)
        if values.dtype not in (torch.float32, torch.float64):
            values = values.float()
        if values.device.type == "mps":
            # It has no float64.
            values = values.cpu()
        self._images += images
        self._positions = positions
        step = max(1, CHUNK // (units * positions))
        chunks = range(0, images, step)
        return torch.cat([self._add(values[first : first + step]) for first in chunks])

    def merge(self, other: "LayerStatistics") -> None:
        """Adds what was seen of other images."""
        self._images += other._images
        self._positions = self._positions or other._positions
        self._merge_moments(other._count, other._mean, other._squares)
        np.minimum(self._minimum, other._minimum, out=self._minimum)
        np.maximum(self._maximum, other._maximum, out=self._maximum)
        self._positive += other._positive
        self._zeros += other._zeros
        self._fired += other._fired
        self._nonfinite += other._nonfinite
        self._merge_bins(other._counts, other._exponent)

    def evidence(self) -> LayerEvidence:
        """What was seen so far. Units without a finite value have NaN for range and moments."""
        seen = self._count > 0
        nothing = np.full(len(seen), np.nan)
        return LayerEvidence(
            images=self._images,
            positions=self._positions,
            minimum=np.where(seen, self._minimum, nothing),
            maximum=np.where(seen, self._maximum, nothing),
            mean=np.where(seen, self._mean, nothing),
            variance=np.where(seen, self._squares / np.maximum(self._count, 1), nothing),
            positive=self._positive.copy(),
            zeros=self._zeros.copy(),
            fired=self._fired.copy(),
            nonfinite=self._nonfinite.copy(),
            histogram=BinnedValues(self._counts.copy(), self._exponent),
        )

    def _add(self, rows: torch.Tensor) -> torch.Tensor:
        """Adds values that fit the cache, and gives the highest of each image and unit."""
        images, units, positions = rows.shape
        finite = None
        # A copy, for it is worked on in place.
        precise = rows.to(torch.float64, copy=True)
        sums = precise.sum((0, 2))
        count = np.full(units, images * positions)
        if not bool(torch.isfinite(sums).all()):
            finite = torch.isfinite(rows)
            count = _numpy(finite.sum((0, 2)))
            self._nonfinite += images * positions - count
            precise = torch.where(finite, precise, 0.0)
            sums = precise.sum((0, 2))
        mean = sums / torch.from_numpy(np.maximum(count, 1)).to(sums)
        lowest, highest = _range(rows, finite)
        per_unit = (
            _numpy(lowest.amin(0)).astype(np.float64),
            _numpy(highest.amax(0)).astype(np.float64),
        )
        np.minimum(self._minimum, per_unit[0], out=self._minimum)
        np.maximum(self._maximum, per_unit[1], out=self._maximum)
        self._fired += _numpy((highest > 0).sum(0))

        signs = _numpy(_signs(rows, finite))
        positive = signs
        if (per_unit[0] < 0).any():
            above = rows > 0 if finite is None else (rows > 0) & finite
            positive = _numpy(above.sum((0, 2)))
        self._positive += positive
        # signs = positive - negative, and what is neither is zero.
        self._zeros += count - 2 * positive + signs

        exponent = max(_exponent(per_unit[0].min(), per_unit[1].max()), self._exponent)
        self._merge_bins(_bin_counts(rows, precise, finite, exponent), exponent)
        precise = precise.sub_(mean[:, None])
        if finite is not None:
            precise = torch.where(finite, precise, 0.0)
        self._merge_moments(count, _numpy(mean), _numpy(precise.square_().sum((0, 2))))
        return highest

    def _merge_moments(
        self, count: NDArray[np.int64], mean: NDArray[np.float64], squares: NDArray[np.float64]
    ) -> None:
        total = self._count + count
        share = count / np.maximum(total, 1)
        difference = mean - self._mean
        self._squares += squares + difference**2 * self._count * share
        self._mean += difference * share
        self._count = total

    def _merge_bins(self, counts: NDArray[np.int64], exponent: int) -> None:
        common = max(self._exponent, exponent)
        self._counts = _widened(self._counts, common - self._exponent) + _widened(
            counts, common - exponent
        )
        self._exponent = common


def _numpy(values: torch.Tensor) -> NDArray[Any]:
    result: NDArray[Any] = values.cpu().numpy()
    return result


def highest_of(rows: torch.Tensor) -> torch.Tensor:
    """Highest finite value of each image and unit (images units); -inf where there is none."""
    return _range(rows, torch.isfinite(rows))[1]


def _range(rows: torch.Tensor, finite: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Lowest and highest finite value, (images units) each."""
    if finite is None:
        return rows.amin(2), rows.amax(2)
    return (
        torch.where(finite, rows, torch.inf).amin(2),
        torch.where(finite, rows, -torch.inf).amax(2),
    )


def _signs(rows: torch.Tensor, finite: torch.Tensor | None) -> torch.Tensor:
    """Values above zero minus values below zero, (units,) int64."""
    signs = rows.sign() if finite is None else torch.where(finite, rows.sign(), 0.0)
    # A float32 sum of ones is exact up to 2**24 of them.
    is_short = rows.shape[2] < 1 << 24
    return signs.sum(2, dtype=None if is_short else torch.float64).long().sum(0)


def _exponent(lowest: float, highest: float) -> int:
    """The smallest bin width, as a power of two, for which all values fall into the bins."""
    reach = LOWEST_EXPONENT + 7
    if math.isfinite(highest) and highest > 0:
        # highest = fraction * 2**power, fraction in [0.5, 1): below 2**power, not below its half.
        reach = max(reach, math.frexp(highest)[1])
    if math.isfinite(lowest) and lowest < 0:
        # The lowest bin includes its lower edge.
        fraction, power = math.frexp(-lowest)
        reach = max(reach, power - (fraction == 0.5))
    return reach - 7


def _bin_counts(
    rows: torch.Tensor, precise: torch.Tensor, finite: torch.Tensor | None, exponent: int
) -> NDArray[np.int64]:
    """Values in each of the bins of width 2**exponent."""
    # Scaling by a power of two is exact while nothing becomes too small for the number format.
    values = rows if -126 <= exponent <= 0 and rows.dtype == torch.float32 else precise
    codes = values.mul(2.0**-exponent).floor_().add_(SIDE)
    if finite is not None:
        codes = codes[finite]
    return _numpy(torch.bincount(codes.to(torch.uint8).flatten(), minlength=2 * SIDE))


def _widened(counts: NDArray[np.int64], doublings: int) -> NDArray[np.int64]:
    """The counts with bins 2**doublings times as wide; neighbours merge, and zero stays an edge."""
    if not doublings:
        return counts
    bins = (np.arange(-SIDE, SIDE) >> min(doublings, 8)) + SIDE
    result = np.zeros_like(counts)
    np.add.at(result, bins, counts)
    return result
