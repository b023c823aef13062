"""Which places are computed together: those whose windows have about the same size all the way."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLASSES = 3
"Distances to the border along one axis that are told apart."
FEWEST = 16
"Places in a group, about: with fewer, the layers that are computed whole get slower."


def grouped(
    places: Sequence[tuple[int, int]], size: tuple[int, int], window: tuple[int, int], most: int
) -> list[NDArray[np.int64]]:
    """The numbers of the places, in batches.

    The part of a map that a hidden place changes grows from layer to layer, and is cut off at the
    border: near a corner it is a quarter of what it is in the middle. All windows of a batch are as
    large as the largest, so places are batched by their distance from the border.

    Args:
        places: first row and column of each window.
        size: height and width of the image.
        window: height and width in pixels.
        most: places in a batch.
    """
    count = max(1, min(CLASSES, math.isqrt(len(places) // FEWEST)))
    group = np.zeros(len(places), dtype=np.int64)
    for axis in (0, 1):
        starts = np.array([place[axis] for place in places])
        distances = np.minimum(starts, size[axis] - window[axis] - starts)
        limits = np.quantile(distances, np.arange(1, count) / count, method="nearest")
        group = group * count + np.searchsorted(limits, distances, side="right")
    batches = []
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        batches.extend(np.array_split(members, -(-len(members) // most)))
    return batches
