"""How alike two maps are: by the values at their places, and by the order of their places."""

import numpy as np

from reportgen.report.arrays import FloatArray


def pearson(first: FloatArray, second: FloatArray) -> float | None:
    """Pearson's correlation of two equally shaped arrays, of the places where both are finite.

    None where one of them is constant there.
    """
    known = np.isfinite(first) & np.isfinite(second)
    x, y = (values[known].astype(np.float64) for values in (first, second))
    if x.size < 2 or x.min() == x.max() or y.min() == y.max():
        return None
    # Scaled first, so that the squares of small drops do not vanish.
    x, y = ((values - values.mean()) / np.abs(values - values.mean()).max() for values in (x, y))
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float(np.clip((x * y).sum() / norm, -1, 1))


def spearman(first: FloatArray, second: FloatArray) -> float | None:
    """Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs.

    None where one of them is constant.
    """
    known = np.isfinite(first) & np.isfinite(second)
    return pearson(_ranks(first[known]), _ranks(second[known]))


def _ranks(values: FloatArray) -> FloatArray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts + 1) / 2)[places]
    return ranks
