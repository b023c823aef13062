"""Compiled code that reads every activation once.

All positions of a unit in an image are a row. Rows are copied into a block that stays in the
fastest cache, with their range, counts and sum found on the way; a second sweep over the block
gives the squares around its mean and the codes of the histogram, and a third counts the codes.
`reportgen.probe.reduction` computes the same with PyTorch alone.

A job is an array of integers: counters that threads share, sizes, and addresses. Each thread takes
one unit after the other, so that no result depends on how many threads there are.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

BLOCK = 4096
"Values worked on at a time."

INFINITE = 0x7F800000
"Key of infinity. A key is a float32's bits as an integer, changed so that keys sort as numbers do."

REORDERED = {"reassoc", "contract", "nsz"}
"A sum may run in the lanes of a vector. Never `nnan` or `ninf`, for these values do occur."


@intrinsic
def _taken(context: Any, counters: Any, index: Any) -> Any:
    """Adds one to a counter that threads share; gives what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = builder.gep(arguments[0], [arguments[1]])
        return builder.atomic_rmw("add", counter, context.get_constant(types.int64, 1), "monotonic")

    return types.int64(types.CPointer(types.int64), types.int64), generate


@intrinsic
def _at(context: Any, address: Any) -> Any:
    """The pointer to an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def _float32(context: Any, bits: Any) -> Any:
    """The number that has these bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


@njit
def _value(key: Any) -> Any:
    """The number of a key, as float64; zero never has a sign."""
    return np.float64(_float32(key ^ ((key >> np.int32(31)) & np.int32(0x7FFFFFFF)))) + 0.0


@njit(fastmath=REORDERED)
def _first_sweep(row: Any, block: Any) -> Any:
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
def _second_sweep(block: Any, mean: Any, scale: Any, codes: Any) -> Any:
    """Gives the squares around the mean; fills in each value's bin."""
    squares = 0.0
    for i in range(block.size):
        value = np.float64(block[i])
        squares += (value - mean) * (value - mean)
        codes[i] = np.uint8(np.int32(math.floor(value * scale)) + np.int32(128))
    return squares


@njit
def _count_codes(codes: Any, size: Any, table: Any) -> None:
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
def _finite_part(row: Any, rest: Any) -> Any:
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
    values = carray(_at(job[5]), (images, units, positions), np.float32)
    highest = carray(_at(job[6]), (images, units), np.float32)
    columns = carray(_at(job[7]), (9, units), np.float64)
    bins = carray(_at(job[8] + _taken(job, 0) * 257 * 8), 257, np.int64)
    table = np.zeros((4, 256), np.uint32)
    codes = np.zeros(BLOCK, np.uint8)
    block, rest = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    exponent, scale = -149, 2.0**149
    together = max(1, BLOCK // positions)
    while True:
        unit = _taken(job, 1)
        if unit >= units:
            break
        count, mean, squares = 0, 0.0, 0.0
        minimum, maximum = np.inf, -np.inf
        positive, zeros, fired = 0, 0, 0
        highest[:, unit] = -np.inf
        for first in range(0, images, together):
            for start in range(0, positions, BLOCK):
                size, total = 0, 0.0
                for image in range(first, min(first + together, images)):
                    row = values[image, unit, start : start + BLOCK]
                    low, high, above, equal, part = _first_sweep(row, block[size:])
                    taken = row.size
                    if high >= INFINITE or low < -INFINITE:
                        taken = _finite_part(row, rest)
                        if not taken:
                            continue
                        low, high, above, equal, part = _first_sweep(rest[:taken], block[size:])
                    size += taken
                    total += part
                    positive += above
                    zeros += equal
                    minimum = min(minimum, _value(low))
                    maximum = max(maximum, _value(high))
                    highest[image, unit] = max(highest[image, unit], _value(high))
                if not size:
                    continue
                while minimum * scale < -128 or maximum * scale >= 128:
                    _widen(table)
                    exponent, scale = exponent + 1, scale / 2
                middle = total / size
                spread = _second_sweep(block[:size], middle, scale, codes)
                _count_codes(codes, size, table)
                # Means and squares of two parts become those of both [chan1983].
                apart, share = middle - mean, size / (count + size)
                squares += spread + apart * apart * count * share
                mean += apart * share
                count += size
        for image in range(images):
            fired += highest[image, unit] > 0
        columns[0, unit], columns[1, unit] = minimum, maximum
        columns[2, unit], columns[3, unit] = mean, squares
        columns[4, unit], columns[5, unit] = count, positive
        columns[6, unit], columns[7, unit] = zeros, fired
        columns[8, unit] = images * positions - count
    for i in range(256):
        bins[i] = np.int64(table[0, i]) + table[1, i] + table[2, i] + table[3, i]
    bins[256] = exponent


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
    highest = carray(_at(job[5]), (images, units), np.float32)
    least = carray(_at(job[9]), units, np.float64)
    least_image = carray(_at(job[10]), units, np.int64)
    values = carray(_at(job[11]), (units, 9), np.float64)
    chosen = carray(_at(job[12]), (units, 9), np.int64)
    places = carray(_at(job[13]), (units, 9), np.int64)
    while True:
        unit = _taken(job, 0)
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
                row = carray(_at(job[6] + (n * job[7] + unit * job[8]) * 4), positions, np.float32)
                places[unit, k] = _first_place(row, np.float32(values[unit, k]))


def _entry(function: Callable[[Any], None]) -> Any:
    """A function that C can call, compiled now or loaded from where numba kept it."""
    signature = types.void(types.CPointer(types.int64))
    try:
        return cfunc(signature, cache=True)(function)
    except (RuntimeError, OSError):
        # There is no folder to keep it in, or the disk is full.
        return cfunc(signature)(function)


summarise = _entry(_summarise)
"Job: two counters, images, units, positions; values, highest, columns, bins of each thread."

enter = _entry(_enter)
"""Job: a counter, images, units, positions, first image; highest, values, and the strides of an
image and of a unit; least value and image; the values, images and positions of the nine."""
