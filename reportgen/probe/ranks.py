"""How far two maps put their places in the same order."""

import numpy as np

from reportgen.report.arrays import FloatArray


def rank_correlation(first: FloatArray, second: FloatArray) -> float | None:
    """Spearman's rank correlation of two equally shaped arrays; None where one is constant."""
    x, y = (_ranks(values) for values in (first, second))
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float(np.clip((x * y).sum() / norm, -1, 1)) if norm else None


def _ranks(values: FloatArray) -> FloatArray:
    """Rank of each value from 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = (ends - (counts + 1) / 2)[places]
    return ranks
