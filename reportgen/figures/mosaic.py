"""Many small maps in one picture: values to grey levels, and equal tiles side by side.

Levels are 0..254, so that 127 is an exact middle and 255 is left for the gaps between tiles.
"""

import math

import numpy as np

from reportgen.report.arrays import GAP, Array, ByteArray, FloatArray

STEPS = 64
"Of a scale whose levels were made coarse; its middle is one of them."
MOST_STRETCHED = 8
LARGEST_SIDE = 4096
"Pixels; browsers draw larger pictures slowly or not at all."


def levels(values: Array) -> tuple[ByteArray, FloatArray, FloatArray]:
    """Each tile on its own scale: `value = low + level / 254 * (high - low)`.

    A constant tile has level 0 everywhere, and so has a value that is not finite.

    Args:
        values: (n h w), or (n h w 3) with one scale for the three colours of a tile.

    Returns:
        Levels 0..254 in the shape of `values`, and the float32 `low` and `high` of each tile, (n,).
    """
    flat = values.reshape(len(values), math.prod(values.shape[1:])).astype(np.float64)
    finite = np.isfinite(flat)
    low = np.where(finite, flat, np.inf).min(axis=1, initial=np.inf)
    high = np.where(finite, flat, -np.inf).max(axis=1, initial=-np.inf)
    low, high = (np.where(np.isfinite(end), end, 0.0) for end in (low, high))
    spread = np.where(high > low, high - low, 1.0)[:, None]
    scaled = np.where(finite, (flat - low[:, None]) / spread, 0.0)
    tiles = np.rint(254 * scaled).astype(np.uint8).reshape(values.shape)
    return tiles, low.astype(np.float32), high.astype(np.float32)


def signed_levels(values: Array, limit: float | None = None) -> tuple[ByteArray, float]:
    """All tiles on one scale around zero: `value = (level - 127) / 127 * limit`; zero is level 127.

    Args:
        values: any shape.
        limit: the end of the scale; the largest magnitude where it is None. Values beyond it are
            drawn as if they were at the end; those that are not finite are drawn as zero.

    Returns:
        Levels 0..254 in the shape of `values`, and the limit.
    """
    finite = np.where(np.isfinite(values), values, 0.0).astype(np.float64)
    if limit is None:
        limit = float(np.abs(finite).max(initial=0.0))
    share = finite / limit if limit > 0 else np.zeros_like(finite)
    return np.rint(127 + 127 * np.clip(share, -1, 1)).astype(np.uint8), limit


def stretched(
    means: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[ByteArray, FloatArray, FloatArray]:
    """Averaged tiles on the range of their means, which is narrower than that of what they average.

    They are rounded to 64 levels, evenly spaced from 0 to 254: on the screen nobody sees it, and it
    takes a quarter off the file. No range shrinks to less than an eighth, so that what was rounded
    before is not blown up.

    Args:
        means: (n h w) of levels 0..254 between `low` and `high`.
        low: value of level 0 of each tile, (n,).
        high: value of level 254.

    Returns:
        The tiles, and `low` and `high` of the narrower ranges.
    """
    first = means.min(axis=(1, 2))
    last = np.maximum(means.max(axis=(1, 2)), first + 254 / MOST_STRETCHED)
    share = (means - first[:, None, None]) / (last - first)[:, None, None]
    tiles = np.rint(np.rint(share * 63) / 63 * 254).astype(np.uint8)
    step = (high.astype(np.float64) - low) / 254
    return tiles, *((low + end * step).astype(np.float32) for end in (first, last))


def coarse(values: ByteArray) -> ByteArray:
    """Levels 0..254 rounded to 65 of them, 127 among these: noise takes a quarter less room."""
    rounded: ByteArray = np.rint(np.rint(values / 254 * STEPS) / STEPS * 254).astype(np.uint8)
    return rounded


def mosaic(tiles: ByteArray, columns: int) -> ByteArray:
    """Tiles in one picture, one pixel apart, with no outer border.

    Tile i stands in row i // columns and column i % columns. Gaps, and the places that are left
    over in the last row, have level 255.

    Args:
        tiles: (n h w) or (n h w 3), levels 0..254, at least one.
        columns: tiles in a row.

    Returns:
        (H W) or (H W 3), with H = rows * (h + 1) - 1 and W = columns * (w + 1) - 1.
    """
    n, h, w, *colours = tiles.shape
    rows = -(-n // columns)
    grid = np.full((rows * columns, h + 1, w + 1, *colours), GAP, np.uint8)
    grid[:n, :h, :w] = tiles
    picture = grid.reshape(rows, columns, *grid.shape[1:]).swapaxes(1, 2)
    return picture.reshape(rows * (h + 1), columns * (w + 1), *colours)[:-1, :-1]


def tiles_of(picture: ByteArray, count: int, columns: int, h: int, w: int) -> ByteArray:
    """The tiles of a `mosaic` again, (n h w) or (n h w 3).

    Args:
        picture: (H W) or (H W 3).
        count: of tiles.
        columns: tiles in a row.
        h: height of a tile.
        w: its width.
    """
    places = ((at // columns * (h + 1), at % columns * (w + 1)) for at in range(count))
    return np.stack([picture[top : top + h, left : left + w] for top, left in places])


def best_columns(n: int, h: int, w: int) -> int:
    """Columns for n tiles of h x w pixels: a landscape picture, with full rows where n allows it.

    Raises:
        ValueError: if n tiles do not fit in 4096 x 4096 pixels.
    """
    most_rows, most = (LARGEST_SIDE + 1) // (h + 1), (LARGEST_SIDE + 1) // (w + 1)
    if n > most_rows * most:
        raise ValueError(f"{n} tiles of {h} x {w} pixels exceed a picture of {LARGEST_SIDE} pixels")

    def aspect(columns: int) -> float:
        return columns * (w + 1) / (-(-n // columns) * (h + 1))

    def distance(columns: int) -> float:
        return abs(math.log(aspect(columns) / 1.6))

    candidates = range(-(-n // most_rows), min(most, n) + 1)
    full = [c for c in candidates if n % c == 0 and 0.8 <= aspect(c) <= 3.2]
    return min(full or candidates, key=distance)
