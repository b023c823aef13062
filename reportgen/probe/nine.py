"""Compiled code that keeps the nine images on which each unit is strongest."""

from typing import Any

import numpy as np
from numba import carray, njit

from reportgen.probe.intrinsics import at, entry, taken

TOGETHER = 32
"Units that a thread takes at a time: there is little to do for one."


@njit
def _first_place(row: Any, wanted: Any) -> Any:
    """First position of a value; the last position where the row does not hold it."""
    start = 0
    while start + 64 <= row.size:
        # Without a way out of the inner loop, it looks at many values at once.
        hits = np.int32(0)
        for i in range(64):
            hits |= np.int32(row[start + i] == wanted)
        if hits:
            break
        start += 64
    while start + 1 < row.size and row[start] != wanted:
        start += 1
    return start


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
    images, units, positions, first = job[1], job[2], job[3], job[4]
    highest = carray(at(job[5]), (images, units), np.float32)
    known = carray(at(job[9]), (images, units), np.int64)
    least = carray(at(job[10]), units, np.float64)
    least_image = carray(at(job[11]), units, np.int64)
    values = carray(at(job[12]), (units, 9), np.float64)
    chosen = carray(at(job[13]), (units, 9), np.int64)
    places = carray(at(job[14]), (units, 9), np.int64)
    while True:
        begin = taken(job, 0) * TOGETHER
        if begin >= units:
            break
        end = min(begin + TOGETHER, units)
        for n in range(images):
            image = first + n
            for unit in range(begin, end):
                value = np.float64(highest[n, unit])
                is_late = value == least[unit] and image >= least_image[unit]
                if value == -np.inf or value < least[unit] or is_late:
                    continue
                kept = values[unit], chosen[unit], places[unit]
                _insert(kept, value, image, np.int64(-1))
        for unit in range(begin, end):
            for k in range(9):
                n = chosen[unit, k] - first
                if places[unit, k] >= 0 or not 0 <= n < images:
                    continue
                if job[9]:
                    places[unit, k] = known[n, unit]
                    continue
                row = carray(at(job[6] + (n * job[7] + unit * job[8]) * 4), positions, np.float32)
                places[unit, k] = _first_place(row, np.float32(values[unit, k]))


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
"""Job: a counter, images, units, positions, first image; highest, values, and the strides of an
image and of a unit, places or 0; least value and image; values, images, positions of the nine."""

merge = entry(_merge)
"Job: a counter, units; values, images and positions of the nine, and of those that come."
