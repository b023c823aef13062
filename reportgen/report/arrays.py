"""The arrays a report holds: numbers at full precision, and pictures."""

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

LOSSY_QUALITY = 82


@dataclass(frozen=True)
class Pixels:
    """A uint8 picture, (h w) grey or (h w 3) RGB, kept as the file that the site shows.

    What is data is a PNG (a photo: WebP) without loss, which is the array itself, so nothing is
    stored twice. Pictures for people alone, such as crops of photos, may be lossy WebP.
    """

    path: str
    "Where it lies in the report folder, such as `img/features.3-chelsea-1a2b3c4d.png`."
    height: int
    width: int
    content: bytes = field(default=b"", repr=False, compare=False)
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
        return Pixels._named(values, stem, buffer.getvalue(), "png")

    @staticmethod
    def photo(values: ByteArray, stem: str) -> "Pixels":
        """The picture without loss as WebP in colour, which is three quarters of a photo's PNG."""
        if values.ndim == 2:
            return Pixels.of(values, stem)  # WebP has no grey, and gives back three channels
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(values)).save(buffer, "WEBP", lossless=True, method=2)
        return Pixels._named(values, stem, buffer.getvalue(), "webp")

    @staticmethod
    def lossy(values: ByteArray, stem: str) -> "Pixels":
        """The picture as WebP, about a tenth of its PNG: for photos that nobody measures."""
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(values)).save(
            # Method 6 takes twice the time for a thousandth of the bytes.
            buffer,
            "WEBP",
            quality=LOSSY_QUALITY,
            method=4,
        )
        return Pixels._named(values, stem, buffer.getvalue(), "webp")

    @staticmethod
    def _named(values: ByteArray, stem: str, content: bytes, form: str) -> "Pixels":
        height, width = values.shape[:2]
        name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}"
        return Pixels(f"img/{name}.{form}", height, width, content)

    def values(self) -> ByteArray:
        """The array again, (h w) or (h w 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.content)))
