"""The arrays a report holds: numbers at full precision, and pictures kept as lossless PNG."""

import hashlib
import io
import zlib
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array: TypeAlias = NDArray[Any]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
ByteArray: TypeAlias = NDArray[np.uint8]

GAP = 255
"Level of the lines between tiles; pictures made with `gap=True` are transparent there."


@dataclass(frozen=True)
class Pixels:
    """A uint8 picture, (h w) grey or (h w 3) RGB, kept as the PNG that the site shows.

    The PNG is the array: lossless, so nothing is stored twice.
    """

    path: str
    "Where it lies in the report folder, such as `img/features.3-chelsea-1a2b3c4d.png`."
    height: int
    width: int
    png: bytes = field(default=b"", repr=False, compare=False)
    "Empty in a report that was loaded from disk: pages need only the path."

    @staticmethod
    def of(values: ByteArray, stem: str, *, gap: bool = False) -> "Pixels":
        """The picture of `values`, named after `stem` (ASCII: letters, digits, `.-`) and its hash.

        With `gap`, the level 255 (in RGB: 255 in all three) is transparent where it is shown.
        """
        buffer = io.BytesIO()
        see_through = {"transparency": GAP if values.ndim == 2 else (GAP,) * 3} if gap else {}
        # On activation maps, run-length deflate beats every level of deflate in time and in bytes.
        Image.fromarray(np.ascontiguousarray(values)).save(
            buffer, "PNG", compress_type=zlib.Z_RLE, **see_through
        )
        png = buffer.getvalue()
        height, width = values.shape[:2]
        return Pixels(f"img/{stem}-{hashlib.sha256(png).hexdigest()[:8]}.png", height, width, png)

    def values(self) -> ByteArray:
        """The array again, (h w) or (h w 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.png)))
