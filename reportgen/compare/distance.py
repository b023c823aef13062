"""How far apart two histograms lie: the work it takes to turn one into the other."""

import numpy as np
from numpy.typing import NDArray

from reportgen.report.blocks import Histogram


def histogram_distance(first: Histogram, second: Histogram) -> float | None:
    """The earth mover's (first Wasserstein) distance, in the unit of the values [rubner2000].

    It is the area between the two cumulative distributions, values being spread evenly within each
    bin. Ranges and bins may differ. None where one holds no values.
    """
    if not sum(first.counts) or not sum(second.counts):
        return None
    (edges_a, shares_a), (edges_b, shares_b) = map(_cumulative, (first, second))
    places = np.union1d(edges_a, edges_b)
    gap = np.interp(places, edges_a, shares_a) - np.interp(places, edges_b, shares_b)
    before, after = gap[:-1], gap[1:]
    size = np.abs(before) + np.abs(after)
    crosses = before * after < 0
    # Where the lines cross, two triangles stand in place of one trapezium.
    squares = np.square(before) + np.square(after)
    triangles = np.divide(squares, size, out=np.zeros_like(size), where=crosses)
    return float((np.diff(places) * np.where(crosses, triangles, size) / 2).sum())


def _cumulative(histogram: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of the bins, and the share of the values below each."""
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    shares = np.concatenate([[0], np.cumsum(histogram.counts)]) / sum(histogram.counts)
    return edges, shares
