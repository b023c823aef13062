"""Streaming statistics of one call: any split of the images gives the same result."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.evidence import BinnedValues, LayerEvidence
from reportgen.probe.reduction import (
    COLUMNS,
    LOWEST_EXPONENT,
    SIDE,
    Part,
    parts,
    widened,
)


class LayerStatistics:
    """Counts, range and moments of the units of one call, and the histogram of all values.

    Counts, range and histogram are exact. Mean and variance are merged in float64 [chan1983],
    which is safe where the mean is far larger than the spread. Values that are NaN or infinite are
    counted apart and left out of everything else.
    """

    def __init__(self, units: int) -> None:
        self._images = 0
        self._positions = 0
        self._columns = np.zeros((COLUMNS, units))
        "As `reduction.Part` has them."
        self._columns[0], self._columns[1] = np.inf, -np.inf
        self._counts = np.zeros(2 * SIDE, np.int64)
        self._exponent = LOWEST_EXPONENT
        self._is_empty = True

    def update(self, values: torch.Tensor) -> None:
        """Adds some images: (images units positions)."""
        self.add(parts(values))

    def add(self, come: Iterable[Part]) -> None:
        """Adds what was found of some images, which may lie on a device."""
        for part in come:
            self._images += len(part.highest.values)
            self._positions = part.positions
            self._merge_columns(part.columns.cpu().numpy())
            for row in part.bins.cpu().numpy().astype(np.int64, copy=False):
                self._merge_bins(row[:-1], int(row[-1]))

    def merge(self, other: "LayerStatistics") -> None:
        """Adds what was seen of other images."""
        self._images += other._images
        self._positions = self._positions or other._positions
        if not other._is_empty:
            self._merge_columns(other._columns)
            self._merge_bins(other._counts, other._exponent)

    def evidence(self) -> LayerEvidence:
        """What was seen so far. Units without a finite value have NaN for range and moments."""
        minimum, maximum, mean, squares = self._columns[:4]
        count, positive, zeros, fired, nonfinite = self._columns[4:].astype(np.int64)
        seen = count > 0
        nothing = np.full(len(seen), np.nan)
        return LayerEvidence(
            images=self._images,
            positions=self._positions,
            minimum=np.where(seen, minimum, nothing),
            maximum=np.where(seen, maximum, nothing),
            mean=np.where(seen, mean, nothing),
            variance=np.where(seen, squares / np.maximum(count, 1), nothing),
            positive=positive,
            zeros=zeros,
            fired=fired,
            nonfinite=nonfinite,
            histogram=BinnedValues(self._counts.copy(), self._exponent),
        )

    def _merge_columns(self, columns: NDArray[np.float64]) -> None:
        # Zero has no sign, however the images are split.
        columns = columns + 0.0
        if self._is_empty:
            self._columns, self._is_empty = columns, False
            return
        mine = self._columns
        np.minimum(mine[0], columns[0], out=mine[0])
        np.maximum(mine[1], columns[1], out=mine[1])
        share = columns[4] / np.maximum(mine[4] + columns[4], 1)
        difference = columns[2] - mine[2]
        mine[3] += columns[3] + difference**2 * mine[4] * share
        mine[2] += difference * share
        mine[4:] += columns[4:]

    def _merge_bins(self, counts: NDArray[np.int64], exponent: int) -> None:
        common = max(self._exponent, exponent)
        self._counts = widened(self._counts, common - self._exponent) + widened(
            counts, common - exponent
        )
        self._exponent = common
