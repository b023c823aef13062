"""Weights in few numbers, from which two reports tell how far their networks lie apart.

All weights of a large network would be larger than its report. So a filter with more weights than
the budget allows is kept as `width` sums of its weights, with signs that a fixed hash chooses: an
AMS sketch with buckets [alon1996, thorup2004]. Sums of differences are differences of sums, and the
sum of their squares has the squared distance of two filters as its mean over the signs.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen.report.arrays import FloatArray

BUDGET = 1 << 18
"Numbers kept of all weights together: 1 MB. A network with no more is kept in full."

WIDEST = 32
"Sums kept of one filter at most, where the network does not fit."

SIGN_ROWS = 64
"Filters after which the signs repeat."


def sketch_width(sizes: Sequence[tuple[int, int]]) -> int:
    """Numbers kept of each filter; one with no more weights than that is kept in full.

    Args:
        sizes: (filters, weights of each) of every parameter.

    Returns:
        The largest number of weights of a filter where all of them fit the budget, else a power of
        two: 1 at least, 32 at most.
    """
    widest = max((each for _, each in sizes), default=1)
    steps = (1 << power for power in range(int(math.log2(WIDEST)), -1, -1))
    for width in (widest, *steps):
        if sum(rows * min(each, width) for rows, each in sizes) <= BUDGET:
            return width
    return 1


def sketched(filters: FloatArray, width: int) -> FloatArray:
    """`width` signed sums of each filter; its weights themselves where it has no more.

    The weight at place i of row r goes into sum `rank(i) % width`, rank being its place in an order
    that depends on i alone; the sign depends on `r % 64` and i. A sketch of half the width is
    therefore the sum of both halves (`folded`).

    Args:
        filters: (filters weights)
        width: a power of two, or at least the number of weights.

    Returns:
        (filters min(weights, width)) float32
    """
    rows, each = filters.shape
    if each <= width:
        return filters.astype(np.float32)
    order = np.argsort(_mixed(np.arange(each, dtype=np.uint32)), kind="stable")
    signs = _signs(each)[:, order]
    across = -(-each // width) * width
    padded = np.zeros((SIGN_ROWS, across), np.float32)
    sums = np.empty((rows, width), np.float32)
    for start in range(0, rows, SIGN_ROWS):
        part = filters[start : start + SIGN_ROWS]
        count = len(part)
        np.multiply(part[:, order], signs[:count], out=padded[:count, :each])
        buckets = padded[:count].reshape(count, -1, width)
        sums[start : start + count] = buckets.sum(axis=1, dtype=np.float64)
    return sums


def folded(sums: FloatArray, width: int) -> FloatArray:
    """The narrower sketch of the same filters: (filters wider) to (filters width).

    Args:
        sums: of a width that is `width` times a power of two.
        width: a power of two.
    """
    halves: FloatArray = sums.reshape(len(sums), -1, width).sum(axis=1, dtype=np.float64)
    return halves


def _signs(each: int) -> NDArray[np.float32]:
    """(64 each) of -1 and 1."""
    # The golden ratio keeps the places of different rows apart; all of it wraps at 32 bits.
    down = np.arange(SIGN_ROWS, dtype=np.uint32) * np.uint32(0x9E3779B9)
    places = down[:, None] + np.arange(each, dtype=np.uint32)
    bits = _mixed(places.astype(np.uint32)) >> np.uint32(31)
    return np.where(bits == 0, np.float32(1), np.float32(-1))


def _mixed(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Each number as 32 bits that look random: the finaliser of MurmurHash3."""
    mixed = numbers ^ (numbers >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
