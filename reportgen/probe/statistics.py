"""Streaming statistics of one call: any split of the images, in any order, gives the same result."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.evidence import BinnedValues, LayerEvidence

SIDE = 128
"Bins on either side of zero."

LOWEST_EXPONENT = -149
"Of the bin width: the distance between the smallest float32 numbers."

CHUNK = 1 << 18
"Values worked on at a time, few enough to stay in the cache from one reduction to the next."


class LayerStatistics:
    """Counts, range and moments of the units of one call, and the histogram of all values.

    Counts, range and histogram are exact. Mean and variance are merged pairwise in float64
    [chan1983], so they are safe where the mean is far larger than the spread. Values that are
    NaN or infinite are counted apart and left out of everything else.
    """

    def __init__(self, units: int) -> None:
        self.images = 0
        self.positions = 0
        self.count = np.zeros(units, np.int64)
        self.minimum = np.full(units, np.inf)
        self.maximum = np.full(units, -np.inf)
        self.mean = np.zeros(units)
        self.squares = np.zeros(units)
        "Sum of squared distances from the mean."
        self.positive = np.zeros(units, np.int64)
        self.zeros = np.zeros(units, np.int64)
        self.fired = np.zeros(units, np.int64)
        self.nonfinite = np.zeros(units, np.int64)
        self.bins = _Bins()

    def update(self, values: torch.Tensor) -> None:
        """Adds the values (images units positions) of some images."""
        images, units, positions = values.shape
        self.images += images
        self.positions = positions
        values = values if values.dtype == torch.float64 else values.float()
        for rows in _chunks(values):
            self._add(rows)

    def _add(self, rows: torch.Tensor) -> None:
        """Adds values (images units positions) that fit the cache, all of them for some units."""

    def merge(self, other: "LayerStatistics") -> None:
        """Adds what another pass over other images saw."""
