"""Compiled code that keeps the nine images on which each unit is strongest."""

from typing import Any

import numpy as np
from numba import carray, njit

from reportgen.probe.intrinsics import at, entry, taken

TOGETHER = 32
"Units that a thread takes at a time: there is little to do for one."


@njit
def _insert(kept: Any, value: Any, image: Any, place: Any) -> None:
    """Puts an image among the nine of a unit, if it is one of them.

    Args:
        kept: values, images and positions, (9,) each.
        value: its highest.
        image: of equal values the lower first.
        place: where it stands.
    """
    values, images, places = kept
    k = 9
    while k and (value > values[k - 1] or (value == values[k - 1] and image < images[k - 1])):
        k -= 1
    for i in range(8, k, -1):
        values[i], images[i], places[i] = values[i - 1], images[i - 1], places[i - 1]
    if k < 9:
        values[k], images[k], places[k] = value, image, place


def _enter(job: Any) -> None:
    """One thread's share of `enter_nine`: some units after the others, until none is left."""
    images, units, first = job[1], job[2], job[3]
    highest = carray(at(job[4]), (images, units), np.float32)
    found = carray(at(job[5]), (images, units), np.int64)
    values = carray(at(job[6]), (units, 9), np.float64)
    chosen = carray(at(job[7]), (units, 9), np.int64)
    places = carray(at(job[8]), (units, 9), np.int64)
    least = np.empty(TOGETHER, np.float32)
    while True:
        begin = taken(job, 0) * TOGETHER
        if begin >= units:
            break
        size = min(TOGETHER, units - begin)
        for i in range(size):
            least[i] = values[begin + i, 8]
        for n in range(images):
            row = highest[n, begin : begin + size]
            # Most enter nowhere. Without a way out of this loop, it looks at many units at once.
            hits = np.int32(0)
            for i in range(size):
                hits |= np.int32(row[i] >= least[i])
            if not hits:
                continue
            for i in range(size):
                if row[i] >= least[i] and row[i] > -np.inf:
                    unit = begin + i
                    kept = values[unit], chosen[unit], places[unit]
                    _insert(kept, np.float64(row[i]), first + n, found[n, unit])
                    least[i] = values[unit, 8]


def _merge(job: Any) -> None:
    """One thread's share of `merge_nine`: one unit after the other, until none is left."""
    units = job[1]
    values = carray(at(job[2]), (units, 9), np.float64)
    images = carray(at(job[3]), (units, 9), np.int64)
    places = carray(at(job[4]), (units, 9), np.int64)
    more_values = carray(at(job[5]), (units, 9), np.float64)
    more_images = carray(at(job[6]), (units, 9), np.int64)
    more_places = carray(at(job[7]), (units, 9), np.int64)
    while True:
        unit = taken(job, 0)
        if unit >= units:
            break
        kept = values[unit], images[unit], places[unit]
        for k in range(9):
            if more_images[unit, k] < 0:
                break
            _insert(kept, more_values[unit, k], more_images[unit, k], more_places[unit, k])


enter = entry(_enter)
"""Job: a counter, images, units, first image; highest and their places; values, images, positions
of the nine."""

merge = entry(_merge)
"Job: a counter, units; values, images and positions of the nine, and of those that come."
