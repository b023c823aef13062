"""Streaming statistics of one call: any split of the images gives the same result."""

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.evidence import BinnedValues, LayerEvidence
from reportgen.probe.reduction import LOWEST_EXPONENT, SIDE, Highest, Part, is_here, parts, widened


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
        self._waiting: list[Part] = []

    @property
    def is_broken(self) -> bool:
        """Whether a value that was seen here is NaN or infinite."""
        return bool(self._nonfinite.any())

    def update(self, values: torch.Tensor) -> Highest:
        """Adds some images: (images units positions); gives what is highest in each."""
        images, units, positions = values.shape
        if not values.numel():
            return Highest(torch.full((images, units), -torch.inf))
        self._images += images
        self._positions = positions
        come = parts(values)
        self._waiting += come
        if is_here(values):
            self._settle()
        if len(come) == 1:
            return come[0].highest
        return Highest(torch.cat([part.highest.values for part in come]))

    def merge(self, other: "LayerStatistics") -> None:
        """Adds what was seen of other images."""
        self._settle()
        other._settle()
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
        self._settle()
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

    def _settle(self) -> None:
        """Adds what still lay on a device."""
        for part in self._waiting:
            columns = part.columns.cpu().numpy()
            minimum, maximum, mean, squares = columns[:4]
            count, positive, zeros, fired, nonfinite = columns[4:].astype(np.int64)
            self._merge_moments(count, mean, squares)
            np.minimum(self._minimum, minimum, out=self._minimum)
            np.maximum(self._maximum, maximum, out=self._maximum)
            self._positive += positive
            self._zeros += zeros
            self._fired += fired
            self._nonfinite += nonfinite
            for row in part.bins.cpu().numpy().astype(np.int64):
                self._merge_bins(row[:-1], int(row[-1]))
        self._waiting.clear()

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
        self._counts = widened(self._counts, common - self._exponent) + widened(
            counts, common - exponent
        )
        self._exponent = common
