"""Where the cells of a grid lie on the pixels of its picture, one side at a time."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reportgen.report.arrays import FloatArray

Matrix: TypeAlias = NDArray[np.float64]


def covers(pixels: int, cells: int, window: int, stride: int) -> Matrix:
    """(pixels cells): 1 where the window of cell i, from `i * stride` on, covers a pixel."""
    offset = np.arange(pixels)[:, None] - stride * np.arange(cells)[None, :]
    return ((offset >= 0) & (offset < window)).astype(np.float64)


def between(pixels: int, cells: int, first: float, last: float, samples: int) -> Matrix:
    """(samples cells): what each cell counts for at a sample, linear between neighbours.

    Beyond the outer cells their values go on. Every row sums to one.

    Args:
        pixels: of the picture along this side.
        cells: of the grid along this side.
        first: pixel at the middle of the first cell; pixels are counted at their middles.
        last: the same of the last cell.
        samples: evenly spread over the picture; one a pixel where there are as many.
    """
    if cells == 1:
        return np.ones((samples, 1))
    places = (np.arange(samples) + 0.5) * pixels / samples - 0.5
    steps = np.clip((places - first) / (last - first) * (cells - 1), 0, cells - 1)
    shares: Matrix = np.maximum(0.0, 1 - np.abs(steps[:, None] - np.arange(cells)[None, :]))
    return shares


def smooth(
    values: FloatArray,
    middles: tuple[tuple[float, float], tuple[float, float]],
    size: tuple[int, int],
    samples: tuple[int, int] | None = None,
) -> Matrix:
    """A grid of values over a picture of `size` pixels, linear between the middles of its cells.

    Args:
        values: (rows columns)
        middles: pixels (down, across) at the middle of the first and of the last cell.
        size: (height, width) of the picture.
        samples: (down, across), evenly spread over the picture; one a pixel where it is None.
    """
    down, across = (
        between(size[i], values.shape[i], middles[0][i], middles[1][i], (samples or size)[i])
        for i in (0, 1)
    )
    result: Matrix = down @ values.astype(np.float64) @ across.T
    return result


def window_means(
    picture: FloatArray, grid: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> Matrix:
    """Mean of a picture (height width) inside each window of a grid, less what lies outside."""
    down, across = (covers(picture.shape[i], grid[i], window[i], stride[i]) for i in (0, 1))
    result: Matrix = (down / down.sum(0)).T @ picture.astype(np.float64) @ (across / across.sum(0))
    return result
