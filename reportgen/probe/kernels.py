"""Compiled code that reads every activation once.

All positions of a unit in an image are a row. Rows are copied into a block that stays in the
fastest cache, with their range, counts and sum found on the way; a second sweep over the block
gives the squares around its mean and the codes of the histogram, and a third counts the codes.
`reportgen.probe.reduction` computes the same with PyTorch alone.

A job is an array of integers: counters that threads share, sizes, and addresses. Each thread takes
one unit after the other, so that no result depends on how many threads there are.
"""

import math
from typing import Any

import numpy as np
from numba import carray, njit

from reportgen.probe.intrinsics import at, entry, float32, taken
from reportgen.probe.reduction import INFINITE

BLOCK = 4096
"Values worked on at a time."

STRIP = 512
"Positions of a mean map that are worked out at a time."

REORDERED = {"reassoc", "contract", "nsz"}
"A sum may run in the lanes of a vector. Never `nnan` or `ninf`, for these values do occur."


@njit
def number_of(key: Any) -> Any:
    """The number of a key, as float64; zero never has a sign."""
    return np.float64(float32(key ^ ((key >> np.int32(31)) & np.int32(0x7FFFFFFF)))) + 0.0


@njit(fastmath=REORDERED)
def first_sweep(row: Any, block: Any) -> Any:
    """Copies a row into the block; gives the keys of its range, what is positive, zeros, sum."""
    bits = row.view(np.int32)
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    positive, zeros = np.int32(0), np.int32(0)
    total = 0.0
    for i in range(row.size):
        block[i] = row[i]
        key = bits[i] ^ ((bits[i] >> np.int32(31)) & np.int32(0x7FFFFFFF))
        low, high = min(low, key), max(high, key)
        positive += np.int32(key > 0)
        zeros += np.int32((bits[i] & np.int32(0x7FFFFFFF)) == 0)
        total += np.float64(row[i])
    return low, high, positive, zeros, total


@njit(fastmath=REORDERED)
def second_sweep(block: Any, mean: Any, scale: Any, codes: Any) -> Any:
    """Gives the squares around the mean; fills in each value's bin."""
    squares = 0.0
    for i in range(block.size):
        value = np.float64(block[i])
        squares += (value - mean) * (value - mean)
        codes[i] = np.uint8(np.int32(math.floor(value * scale)) + np.int32(128))
    return squares


@njit
def count_codes(codes: Any, size: Any, table: Any) -> None:
    """Counts the first `size` codes in four tables, for equal neighbours would wait in one."""
    words = codes.view(np.uint64)
    byte, one = np.uint64(255), np.uint32(1)
    for i in range(size >> 3):
        word = words[i]
        table[0, word & byte] += one
        table[1, (word >> np.uint64(8)) & byte] += one
        table[2, (word >> np.uint64(16)) & byte] += one
        table[3, (word >> np.uint64(24)) & byte] += one
        table[0, (word >> np.uint64(32)) & byte] += one
        table[1, (word >> np.uint64(40)) & byte] += one
        table[2, (word >> np.uint64(48)) & byte] += one
        table[3, word >> np.uint64(56)] += one
    for i in range(size & ~7, size):
        table[0, codes[i]] += one


@njit
def _widen(table: Any) -> None:
    """Merges neighbouring bins, which become twice as wide; zero stays an edge."""
    for k in range(4):
        # From the middle outwards, so that what is read was not yet written.
        for i in range(64):
            table[k, 128 + i] = table[k, 128 + 2 * i] + table[k, 129 + 2 * i]
            table[k, 127 - i] = table[k, 127 - 2 * i] + table[k, 126 - 2 * i]
        table[k, :64] = 0
        table[k, 192:] = 0


@njit
def fitted(table: Any, exponent: Any, scale: Any, minimum: Any, maximum: Any) -> Any:
    """Widens the bins until a range falls into them; gives their exponent and scale."""
    if minimum * scale >= -128 and maximum * scale < 128:
        return exponent, scale
    # The first values find the narrowest bins, which most of them double more than a hundred times.
    has_counts = table.any()
    while minimum * scale < -128 or maximum * scale >= 128:
        if has_counts:
            _widen(table)
        exponent, scale = exponent + 1, scale / 2
    return exponent, scale


@njit
def merged(count: Any, mean: Any, squares: Any, more: Any, their_mean: Any, spread: Any) -> Any:
    """Gives count, mean and squares around it of two parts together [chan1983]."""
    apart, share = their_mean - mean, more / (count + more)
    return count + more, mean + apart * share, squares + spread + apart * apart * count * share


@njit
def first_place(row: Any, wanted: Any) -> Any:
    """First position of a value that the row holds."""
    start = 0
    while start + 64 <= row.size:
        # Without a way out of the inner loop, it looks at many values at once.
        hits = np.int32(0)
        for i in range(64):
            hits |= np.int32(row[start + i] == wanted)
        if hits:
            break
        start += 64
    while row[start] != wanted:
        start += 1
    return start


@njit
def finite_part(row: Any, rest: Any) -> Any:
    """Copies what is finite to the front of `rest`; gives how many that are."""
    size = 0
    for i in range(row.size):
        if np.isfinite(row[i]):
            rest[size] = row[i]
            size += 1
    return size


def _summarise(job: Any) -> None:
    """One thread's share: one unit after the other, until none is left."""
    images, units, positions = job[2], job[3], job[4]
    values = carray(at(job[5]), (images, units, positions), np.float32)
    highest = carray(at(job[6]), (images, units), np.float32)
    places = carray(at(job[7]), (images, units), np.int64)
    columns = carray(at(job[8]), (9, units), np.float64)
    bins = carray(at(job[9] + taken(job, 0) * 257 * 8), 257, np.int64)
    table = np.zeros((4, 256), np.uint32)
    codes = np.zeros(BLOCK, np.uint8)
    block, rest = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    exponent, scale = -149, 2.0**149
    together = max(1, BLOCK // positions)
    while True:
        unit = taken(job, 1)
        if unit >= units:
            break
        count, mean, squares = 0, 0.0, 0.0
        minimum, maximum = np.inf, -np.inf
        positive, zeros, fired = 0, 0, 0
        highest[:, unit], places[:, unit] = -np.inf, 0
        for first in range(0, images, together):
            for start in range(0, positions, BLOCK):
                size, total = 0, 0.0
                for image in range(first, min(first + together, images)):
                    row = values[image, unit, start : start + BLOCK]
                    low, high, above, equal, part = first_sweep(row, block[size:])
                    kept = row.size
                    if high >= INFINITE or low < -INFINITE:
                        kept = finite_part(row, rest)
                        if not kept:
                            continue
                        low, high, above, equal, part = first_sweep(rest[:kept], block[size:])
                    size += kept
                    total += part
                    positive += above
                    zeros += equal
                    minimum = min(minimum, number_of(low))
                    maximum = max(maximum, number_of(high))
                    if number_of(high) > highest[image, unit]:
                        highest[image, unit] = number_of(high)
                        places[image, unit] = start + first_place(row, highest[image, unit])
                if not size:
                    continue
                exponent, scale = fitted(table, exponent, scale, minimum, maximum)
                middle = total / size
                spread = second_sweep(block[:size], middle, scale, codes)
                count_codes(codes, size, table)
                count, mean, squares = merged(count, mean, squares, size, middle, spread)
        for image in range(images):
            fired += highest[image, unit] > 0
        columns[0, unit], columns[1, unit] = minimum, maximum
        columns[2, unit], columns[3, unit] = mean, squares
        columns[4, unit], columns[5, unit] = count, positive
        columns[6, unit], columns[7, unit] = zeros, fired
        columns[8, unit] = images * positions - count
        if count < images * positions:
            job[10] = 1
    for i in range(256):
        bins[i] = np.int64(table[0, i]) + table[1, i] + table[2, i] + table[3, i]
    bins[256] = exponent


@njit
def _low_and_high(row: Any, rest: Any) -> Any:
    """Range of what is finite, NaN without any; and whether everything is."""
    low, high = np.inf, -np.inf
    complete = True
    for start in range(0, row.size, BLOCK):
        part = row[start : start + BLOCK]
        least, most, _, _, _ = first_sweep(part, rest)
        if most >= INFINITE or least < -INFINITE:
            complete = False
            size = finite_part(part, rest)
            if not size:
                continue
            least, most, _, _, _ = first_sweep(rest[:size], rest)
        low, high = min(low, number_of(least)), max(high, number_of(most))
    return (low, high, complete) if low <= high else (np.nan, np.nan, complete)


@njit
def _shrunk(values: Any, low: Any, high: Any, shape: Any, small: Any) -> Any:
    """Fills in the area means of a map, as many as `shape` says, as `adaptive_avg_pool2d` does."""
    height, width = values.shape
    rows, columns = shape
    for row in range(rows):
        top, bottom = row * height // rows, ((row + 1) * height + rows - 1) // rows
        for column in range(columns):
            left = column * width // columns
            right = ((column + 1) * width + columns - 1) // columns
            total = 0.0
            for y in range(top, bottom):
                for x in range(left, right):
                    value = np.float64(values[y, x])
                    # Without a change where everything is finite.
                    total += low if np.isnan(value) else min(max(value, low), high)
            small[row * columns + column] = total / (bottom - top) / (right - left)


def _paint(job: Any) -> None:
    """One thread's share: levels of one map after the other, then parts of the mean map."""
    units, height, width, rows, columns = job[1], job[2], job[3], job[4], job[5]
    maps = carray(at(job[6]), (units, height, width), np.float32)
    flat = carray(at(job[6]), (units, height * width), np.float32)
    ranges = carray(at(job[7]), (2, units), np.float32)
    levels = carray(at(job[8]), (units, rows * columns), np.uint8)
    mean = carray(at(job[9]), height * width, np.float64)
    rest, sums = np.empty(BLOCK, np.float32), np.empty(STRIP, np.float64)
    small = np.empty(rows * columns, np.float64)
    while True:
        n = taken(job, 0)
        start = (n - units) * STRIP
        if start >= flat.shape[1]:
            break
        if n < units:
            low, high, complete = _low_and_high(flat[n], rest)
            ranges[0, n], ranges[1, n] = low, high
            if not high > low:
                levels[n] = 0
                continue
            if complete and height == rows and width == columns:
                for i in range(small.size):
                    small[i] = flat[n, i]
            else:
                _shrunk(maps[n], low, high, (rows, columns), small)
            span = high - low
            for i in range(small.size):
                levels[n, i] = np.uint8(np.int32(np.rint((small[i] - low) / span * 254)))
        else:
            size = min(STRIP, flat.shape[1] - start)
            sums[:size] = 0
            for unit in range(units):
                for i in range(size):
                    sums[i] += flat[unit, start + i]
            for i in range(size):
                mean[start + i] = sums[i] / units


summarise = entry(_summarise)
"""Job: two counters, images, units, positions; values, highest, their first places, columns, bins
of each thread; whether a value is not finite."""

paint = entry(_paint)
"""Job: a counter, units, height, width, rows and columns of what is painted; maps, their ranges,
levels, and the mean over the units."""
