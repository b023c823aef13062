"""How far apart two histograms lie: the work it takes to turn one into the other."""

from dataclasses import replace

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


def on_one_axis(
    first: Histogram | None, second: Histogram | None
) -> tuple[Histogram | None, Histogram | None]:
    """Both with the same bins: the wider ones, from the lowest to the highest value of either.

    Exact for bins that are as wide as a power of two and start at a multiple of that, as those of
    activations are. Others are left as they are.
    """
    if first is None or second is None:
        return first, second
    wide = max(map(_width, (first, second)))
    placed = [_placed(block, wide) for block in (first, second)]
    known = [bins for bins in placed if bins]
    if len(known) < 2:
        return first, second
    low, high = min(min(bins) for bins in known), max(max(bins) for bins in known) + 1
    one, other = (
        replace(
            block,
            counts=tuple(bins.get(place, 0) for place in range(low, high)),
            low=low * wide,
            high=high * wide,
        )
        for block, bins in zip((first, second), known, strict=True)
    )
    return one, other


def _placed(block: Histogram, wide: float) -> dict[int, int]:
    """Counts by the number of the bin of width `wide`, bin 0 starting at zero; empty if unfit."""
    step, start = wide / _width(block), block.low / _width(block)
    if step != round(step) or start != round(start):
        return {}
    bins: dict[int, int] = {}
    for place, count in enumerate(block.counts, round(start)):
        bins[place // round(step)] = bins.get(place // round(step), 0) + count
    return bins


def _width(block: Histogram) -> float:
    return (block.high - block.low) / len(block.counts)


def _cumulative(histogram: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of the bins, and the share of the values below each."""
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    shares = np.concatenate([[0], np.cumsum(histogram.counts)]) / sum(histogram.counts)
    return edges, shares
