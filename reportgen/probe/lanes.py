"""Compiled code that reads every activation once where the units of a position lie side by side.

It finds what `kernels.summarise` finds of maps that lie one after the other, sixteen units at a
time. Units that do not fill a vector, and parts of maps that hold NaN or infinite values, are
copied out and taken one by one.
"""

from typing import Any

import numpy as np
from numba import carray, njit

from reportgen.probe.intrinsics import at, entry, taken
from reportgen.probe.kernels import (
    BLOCK,
    count_codes,
    finite_part,
    first_place,
    first_sweep,
    fitted,
    merged,
    number_of,
    second_sweep,
)
from reportgen.probe.reduction import INFINITE, LANES
from reportgen.probe.sweep import absorb, sweep

STEPS = BLOCK // LANES
"Positions worked on at a time."


@njit
def _sum_of_differences(row: Any, shift: Any) -> Any:
    total = 0.0
    for i in range(row.size):
        total += np.float64(row[i]) - shift
    return total


@njit
def _keys_of_bins(scale: Any) -> Any:
    """Key of the lowest finite number that falls into the bins, and of the first one above them."""
    above = np.float32(128 / scale).view(np.int32)
    return max(~above, np.int32(-INFINITE)), above


@njit
def _enter(columns: Any, unit: Any, counts: Any, bounds: Any, moments: Any) -> None:
    """Adds a part of one unit's values to what is known of the unit.

    Args:
        columns: of some units, as `absorb` has them.
        unit: which of them.
        counts: values in all, positive ones, and zeros.
        bounds: lowest and highest value.
        moments: a value of the part, the sum of the differences from it, and the sum of squares
            around the part's mean.
    """
    count, positive, zeros = counts
    shift, total, spread = moments
    mean = shift - columns[9, unit] + total / count
    found = merged(columns[4, unit], columns[2, unit], columns[3, unit], count, mean, spread)
    columns[4, unit], columns[2, unit], columns[3, unit] = found
    columns[0, unit] = min(columns[0, unit], bounds[0])
    columns[1, unit] = max(columns[1, unit], bounds[1])
    columns[5, unit] += positive
    columns[6, unit] += zeros


@njit
def _absorb_column(
    column: Any, where: Any, columns: Any, tops: Any, exponent: Any, scale: Any, buffers: Any
) -> Any:
    """Adds one unit's values at some positions of one image, finite or not.

    Args:
        column: the values.
        where: the image, the unit's number in `columns`, and the number of the first position.
        columns: of some units, as `absorb` has them.
        tops: highest value in each image and unit, and its first position; they are raised.
        exponent: of the bins' width.
        scale: one over that width.
        buffers: room for the finite values, for a copy of them, and for their bins; the table.

    Returns:
        Exponent and scale of bins in which the values fit.
    """
    rest, block, codes, table = buffers
    image, unit, start = where
    kept = finite_part(column, rest)
    if not kept:
        return exponent, scale
    least, most, positive, zeros, _ = first_sweep(rest[:kept], block)
    low, high = number_of(least), number_of(most)
    exponent, scale = fitted(table, exponent, scale, low, high)
    shift = np.float64(rest[0])
    total = _sum_of_differences(rest[:kept], shift)
    squares = second_sweep(block[:kept], shift + total / kept, scale, codes)
    count_codes(codes, kept, table)
    if not columns[4, unit]:
        columns[9, unit] = shift
    top, place_of_top = tops
    if high > top[image, unit]:
        top[image, unit] = high
        place_of_top[image, unit] = start + first_place(column, np.float32(high))
    counts, moments = (kept, positive, zeros), (shift, total, squares)
    _enter(columns, unit, counts, (low, high), moments)
    return exponent, scale


def _summarise(job: Any) -> None:
    """One thread's share: sixteen units after the other, until none is left."""
    images, units, positions = job[2], job[3], job[4]
    values = carray(at(job[5]), (images, positions, units), np.float32)
    highest = carray(at(job[6]), (images, units), np.float32)
    places = carray(at(job[7]), (images, units), np.int64)
    columns = carray(at(job[8]), (9, units), np.float64)
    bins = carray(at(job[9] + taken(job, 0) * 257 * 8), 257, np.int64)
    table, codes = np.zeros((4, 256), np.uint32), np.zeros(BLOCK, np.uint8)
    column = np.empty(STEPS, np.float32)
    buffers = np.empty(STEPS, np.float32), np.empty(STEPS, np.float32), codes, table
    ints, sums = np.empty((4, LANES), np.int32), np.empty((3, LANES), np.float64)
    # Of the units at hand. Written down at the end: while threads write to neighbouring places in
    # turns, each waits for the other.
    mine = np.empty((10, LANES), np.float64)
    top, place_of_top = np.empty((images, LANES), np.float32), np.empty((images, LANES), np.int64)
    exponent, scale = -149, 2.0**149
    found = at(codes.ctypes.data), at(ints.ctypes.data), at(sums.ctypes.data)
    together = max(1, STEPS // positions)
    while True:
        first = taken(job, 1) * LANES
        if first >= units:
            break
        last = min(first + LANES, units)
        top[:], place_of_top[:] = -np.inf, 0
        mine[:] = 0
        mine[0], mine[1] = np.inf, -np.inf
        for begin in range(0, images, together):
            group = min(together, images - begin)
            tops = at(top[begin].ctypes.data), at(place_of_top[begin].ctypes.data)
            for start in range(0, positions, STEPS):
                size = min(STEPS, positions - start)
                is_whole = last - first == LANES
                address = at(job[5] + ((begin * positions + start) * units + first) * 4)
                while is_whole:
                    bounds, sizes = _keys_of_bins(scale), (group, size, start)
                    if sweep(address, units * 4, sizes, scale, bounds, found, tops):
                        break
                    least, most = ints[0].min(), ints[1].max()
                    is_whole = least >= -INFINITE and most < INFINITE
                    if is_whole:
                        before, low, high = exponent, number_of(least), number_of(most)
                        exponent, scale = fitted(table, exponent, scale, low, high)
                        if exponent == before:
                            # Where tiny numbers are flushed to zero, the bounds are too narrow.
                            break
                if is_whole:
                    count_codes(codes, group * size * LANES, table)
                    absorb(found[1], found[2], group * size, at(mine.ctypes.data))
                    continue
                for image in range(begin, begin + group):
                    for lane in range(last - first):
                        for i in range(size):
                            column[i] = values[image, start + i, first + lane]
                        where = image, lane, start
                        exponent, scale = _absorb_column(
                            column[:size],
                            where,
                            mine,
                            (top, place_of_top),
                            exponent,
                            scale,
                            buffers,
                        )
        for image in range(images):
            for lane in range(last - first):
                mine[7, lane] += top[image, lane] > 0
        for lane in range(last - first):
            mine[8, lane] = images * positions - mine[4, lane]
            if mine[8, lane]:
                job[10] = 1
            if mine[4, lane]:
                mine[2, lane] += mine[9, lane]
        columns[:, first:last] = mine[:9, : last - first]
        highest[:, first:last] = top[:, : last - first]
        places[:, first:last] = place_of_top[:, : last - first]
    for i in range(256):
        bins[i] = np.int64(table[0, i]) + table[1, i] + table[2, i] + table[3, i]
    bins[256] = exponent


summarise = entry(_summarise)
"Job: as of `kernels.summarise`."
