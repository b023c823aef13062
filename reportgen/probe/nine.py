"""Compiled code that keeps the nine images on which each unit is strongest."""

from typing import Any

import numpy as np
from numba import carray, njit

from reportgen.probe.intrinsics import at, entry, taken


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


def _enter(job: Any) -> None:
    """One thread's share of `enter_nine`: one unit after the other, until none is left."""
    images, units, positions, first = job[1], job[2], job[3], job[4]
    highest = carray(at(job[5]), (images, units), np.float32)
    least = carray(at(job[9]), units, np.float64)
    least_image = carray(at(job[10]), units, np.int64)
    values = carray(at(job[11]), (units, 9), np.float64)
    chosen = carray(at(job[12]), (units, 9), np.int64)
    places = carray(at(job[13]), (units, 9), np.int64)
    while True:
        unit = taken(job, 0)
        if unit >= units:
            break
        for n in range(images):
            value, image = np.float64(highest[n, unit]), first + n
            is_late = value == least[unit] and image >= least_image[unit]
            if value == -np.inf or value < least[unit] or is_late:
                continue
            k = 9
            while k and (
                value > values[unit, k - 1]
                or (value == values[unit, k - 1] and image < chosen[unit, k - 1])
            ):
                k -= 1
            for i in range(8, k, -1):
                values[unit, i] = values[unit, i - 1]
                chosen[unit, i], places[unit, i] = chosen[unit, i - 1], places[unit, i - 1]
            if k < 9:
                values[unit, k], chosen[unit, k], places[unit, k] = value, image, -1
        for k in range(9):
            n = chosen[unit, k] - first
            if places[unit, k] < 0 and 0 <= n < images:
                row = carray(at(job[6] + (n * job[7] + unit * job[8]) * 4), positions, np.float32)
                places[unit, k] = _first_place(row, np.float32(values[unit, k]))


enter = entry(_enter)
"""Job: a counter, images, units, positions, first image; highest, values, and the strides of an
image and of a unit; least value and image; the values, images and positions of the nine."""
