"""How the units of a layer go along with the scores of the classes, image by image, streamed."""

from collections.abc import Iterable

import numpy as np
import torch

from reportgen.probe.evidence import Call, CallKey
from reportgen.report.arrays import FloatArray

MOST_PAIRS = 1 << 23
"Pairs of a unit and a class in one layer: 64 MB of float64. Larger layers are left out."
ROUNDING = 1e-9
"Means that differ by less, relative to their size, differ by rounding alone."


class ClassCorrelation:
    """Pearson correlation of each unit with each class over images; memory does not grow.

    Co-moments are merged in float64 [chan1983]: any split of the images gives the same result. An
    image with a value that is not finite is left out.
    """

    def __init__(self, units: int, classes: int) -> None:
        self.images = 0
        self._units = _Margin(units)
        self._classes = _Margin(classes)
        self._products = np.zeros((units, classes))

    def update(self, values: FloatArray, logits: FloatArray) -> None:
        """Adds some images: one value per unit (b units) and one score per class (b classes)."""
        is_finite = np.isfinite(values).all(axis=1) & np.isfinite(logits).all(axis=1)
        if not is_finite.any():
            return
        values, logits = (some[is_finite].astype(np.float64) for some in (values, logits))
        added = ClassCorrelation(*self._products.shape)
        added.images = len(values)
        added._products = added._units.take(values).T @ added._classes.take(logits)
        self.merge(added)

    def merge(self, other: "ClassCorrelation") -> None:
        """Adds what was seen of other images."""
        if not other.images:
            return
        total = self.images + other.images
        weight = self.images * other.images / total
        share = other.images / total
        units = self._units.merged(other._units, weight, share)
        classes = self._classes.merged(other._classes, weight, share)
        self._products += other._products + weight * np.outer(units, classes)
        self.images = total

    def correlation(self) -> FloatArray:
        """(units classes) float32; NaN where a unit or a score is the same for every image."""
        spread = np.outer(self._units.spread(), self._classes.spread())
        with np.errstate(invalid="ignore"):
            result: FloatArray = np.clip(self._products / spread, -1, 1).astype(np.float32)
        return result


def correlations_of(calls: Iterable[Call], classes: int) -> dict[CallKey, ClassCorrelation]:
    """An empty one for each call that is not too large."""
    return {
        call.key: ClassCorrelation(call.units, classes)
        for call in calls
        if 0 < call.units * classes <= MOST_PAIRS
    }


class _Margin:
    """Mean, squares and range of one side of the table."""

    def __init__(self, size: int) -> None:
        self._mean = np.zeros(size)
        self._squares = np.zeros(size)
        self._low = np.full(size, np.inf)
        self._high = np.full(size, -np.inf)

    def take(self, rows: FloatArray) -> FloatArray:
        """Becomes that of `rows` (b size), which are given back around their mean."""
        self._mean = rows.mean(axis=0)
        centred: FloatArray = rows - self._mean
        self._squares = np.square(centred).sum(axis=0)
        self._low, self._high = rows.min(axis=0), rows.max(axis=0)
        return centred

    def merged(self, other: "_Margin", weight: float, share: float) -> FloatArray:
        """Adds another; gives how far its mean was from the mean here."""
        apart: FloatArray = other._mean - self._mean
        self._mean = self._mean + apart * share
        self._squares = self._squares + other._squares + weight * np.square(apart)
        self._low = np.minimum(self._low, other._low)
        self._high = np.maximum(self._high, other._high)
        return apart

    def spread(self) -> FloatArray:
        """Root of the sum of squares around the mean; NaN where there is none."""
        size = np.maximum(np.abs(self._low), np.abs(self._high))
        with np.errstate(invalid="ignore"):
            is_constant = ~(self._high - self._low > ROUNDING * size)
        result: FloatArray = np.where(is_constant, np.nan, np.sqrt(self._squares))
        return result


def image_means(values: torch.Tensor) -> torch.Tensor:
    """The mean of each unit over the positions of each image: (b units ...) to (b units)."""
    # Half precision overflows in a sum.
    precise = values.to(torch.promote_types(values.dtype, torch.float32))
    return precise.flatten(2).mean(dim=2)
