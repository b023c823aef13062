"""An atlas on one scale for all its tiles, made from the picture that has one scale a tile.

A veil, a picture of one pixel a tile, is laid over the atlas. Its opacity shrinks the range of each
tile to its share of the common range and its grey lifts it to its place there, so a page can switch
between the two scales without a second picture and without scripts that read pixels.
"""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from reportgen.report.arrays import ByteArray, FloatArray
from reportgen.report.blocks import Atlas


@dataclass(frozen=True)
class Veil:
    """What turns tiles on their own scales into tiles on one scale.

    Lay the picture over the atlas in one box, stretched so that each of its pixels covers a tile
    and the lines to the right of and below it, and cut off at the atlas (W x H pixels):

        .atlas { position: relative; overflow: hidden; filter: url(#viridis) }
        .veil { position: absolute; left: 0; top: 0; image-rendering: pixelated;
                width: calc(100% * (W + 1) / W); height: calc(100% * (H + 1) / H) }

    The filter on the box colours the result. The veil is drawn on the transparent lines between
    the tiles too; `<feFuncA type="linear" slope="255" intercept="-254"/>` in it clears them.

    The result is within 2 levels of 255 of a picture drawn on the common scale.
    """

    png: bytes
    "(rows columns), grey and alpha."
    columns: int
    rows: int
    low: float
    "Value of level 0 on the common scale."
    high: float
    "Value of level 254 on the common scale."

    @property
    def data_uri(self) -> str:
        """The picture as the `src` of an image."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def shared_scale(atlas: Atlas, *, symmetric: bool = False) -> Veil:
    """The veil that shows `atlas` on the scale from its smallest `low` to its largest `high`.

    With `symmetric` the scale reaches as far below zero as above, so that zero is in the middle,
    as a diverging map wants it.
    """
    low, high = float(np.min(atlas.low)), float(np.max(atlas.high))
    if symmetric:
        high = max(-low, high)
        low = -high
    pixels = veil_pixels(atlas.low, atlas.high, low, high)
    rows = -(-atlas.count // atlas.columns)
    grid = np.zeros((rows * atlas.columns, 2), np.uint8)
    grid[: len(pixels)] = pixels
    buffer = io.BytesIO()
    Image.fromarray(grid.reshape(rows, atlas.columns, 2)).save(buffer, "PNG", optimize=True)
    return Veil(buffer.getvalue(), atlas.columns, rows, low, high)


def veil_pixels(
    lows: FloatArray, highs: FloatArray, common_low: float, common_high: float
) -> ByteArray:
    """(n, 2) grey and opacity that bring tiles with these ranges, (n,) each, to a common one.

    A level v of tile i stands for `lows[i] + v / 254 * (highs[i] - lows[i])`, which on the common
    scale is the level `v * gain + offset`. Opacity 1 - gain and grey offset / (1 - gain) draw just
    that; as the common range holds the tile's, offset <= 254 * (1 - gain) and the grey is a level.
    """
    lows, highs = lows.astype(np.float64), highs.astype(np.float64)
    spread = common_high - common_low
    if not spread > 0:
        return np.zeros((len(lows), 2), np.uint8)
    # Never fully opaque, so that the lines between tiles can be told from tiles by their alpha.
    opacity = np.minimum(np.rint(255 * (1 - (highs - lows) / spread)), 254)
    offset = 254 * (lows - common_low) / spread
    grey = np.clip(np.rint(offset / np.maximum(opacity / 255, 1 / 255)), 0, 255)
    return np.stack([grey, opacity], axis=1).astype(np.uint8)
