"""Where something lies in a picture, in one or two words, and which slice shows a volume."""

import numpy as np

from reportgen.report.arrays import FloatArray

PLACES = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)
"Words for the nine parts of a picture that is cut in three each way."


def middle_slice(count: int) -> int:
    """Which slice of a volume stands for all: the middle one, the first of two in the middle."""
    return (count - 1) // 2


def middle_named(count: int) -> str:
    """`slice 8 of 16`: the middle one in words."""
    return f"slice {middle_slice(count) + 1} of {count}"


def slices_of(count: int | None) -> str:
    """`8 slices of `, to stand before the size of each; empty for a picture."""
    return "" if count is None else f"{count:,} {'slice' if count == 1 else 'slices'} of "


def place_of(point: tuple[float, float]) -> str:
    """`upper left`, `top`, `centre` ... of a point given as shares of the picture, down and across.

    A point between two parts belongs to the lower one, or to that at the right.
    """
    row, column = (min(max(int(share * 3), 0), 2) for share in point)
    return PLACES[row][column]


def fullest_place(sizes: FloatArray) -> tuple[str, float]:
    """The ninth of a picture that holds most of something, and its share of the whole.

    Args:
        sizes: (height width), none below zero. A pixel counts for the part in which its middle
            lies.

    Returns:
        An empty word and 0 where all is zero.
    """
    down, across = ((np.arange(side) + 0.5) * 3 // side for side in sizes.shape)
    held = np.zeros((3, 3))
    np.add.at(held, (down.astype(int)[:, None], across.astype(int)[None, :]), sizes)
    if not held.any():
        return "", 0.0
    row, column = divmod(int(held.argmax()), 3)
    return PLACES[row][column], float(held[row, column] / held.sum())
