"""Where something lies in a picture, in one or two words."""

import numpy as np

from reportgen.report.arrays import FloatArray

PLACES = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)
"Words for the nine parts of a picture that is cut in three each way."


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
