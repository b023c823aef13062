"""Images of any number of bands: what no picture file holds as grey or RGB, in [0, 1] all the same.

They come as a NumPy array (`.npy`), as a TIFF with one page a band, or, four of them, as RGBA.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from reportgen.load.decode import (
    MAX_PIXELS,
    MAX_SIDE,
    Look,
    UnreadableImage,
    decoded_in_thread,
    looked_at,
    opened_whole,
    told,
    too_large,
)
from reportgen.load.image_kinds import damaged
from reportgen.report.arrays import Array, FloatArray

MAGIC = b"\x93NUMPY"
PICTURED = (1, 3)
"Numbers of channels that every picture can be turned into."
_LARGEST = {"uint8": 255, "uint16": 65_535}


@dataclass(frozen=True, eq=False)
class Bands:
    """Pixels of one image, band by band."""

    values: FloatArray
    "(bands height width) float32 in [0, 1]."

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), as Pillow has it."""
        height, width = self.values.shape[1:]
        return width, height

    def convert(self, mode: str) -> Image.Image:
        """A picture of it: of the first three bands, or of the first where there are two."""
        shown = shown_bands(self.values)
        levels = np.rint(255 * shown).astype(np.uint8).transpose(1, 2, 0)
        return Image.fromarray(levels if len(shown) == 3 else levels[..., 0]).convert(mode)


def shown_bands(values: Array) -> Array:
    """The bands that a picture shows of (bands ...): all of 1 or 3, else the first 3, of 2 one."""
    if len(values) in PICTURED:
        return values
    return values[: 3 if len(values) > 3 else 1]


def read(
    data: bytes, channels: int, most: int = MAX_PIXELS
) -> tuple[Image.Image | Bands, tuple[str, ...]]:
    """The picture or the bands in the content of a file, and what was done to read it.

    Args:
        data: the content.
        channels: that the network takes.
        most: pixels that a picture may have.

    Raises:
        UnreadableImage: for everything that does not give so many channels in a defined range.
    """
    if data.startswith(MAGIC):
        return Bands(_of_array(data, channels, most)), ()
    if channels in PICTURED:
        decoded = decoded_in_thread(data, most)
        return decoded.picture, decoded.notes
    return Bands(_of_pages(data, channels, most)), ()


def looked(data: bytes, channels: int, most: int = MAX_PIXELS) -> Look:
    """What is known of the content of a file before it is decoded.

    Args:
        data: the content.
        channels: that the network takes.
        most: pixels that a picture may have.

    Raises:
        UnreadableImage: if that is enough to know that it cannot be used.
    """
    if data.startswith(MAGIC):
        return Look(*Bands(_of_array(data, channels, most)).size, ())
    return looked_at(data, most)


def _of_array(data: bytes, channels: int, most: int) -> FloatArray:
    """The bands in a `.npy` file."""
    values = _bands_first(array_in(data), channels)
    height, width = values.shape[1:]
    if height * width > most or max(height, width) > MAX_SIDE:
        raise UnreadableImage(too_large(most))
    return shares(values)


def array_in(data: bytes) -> Array:
    """The array in a `.npy` file; nothing in it is executed, and no more read than there is.

    Raises:
        UnreadableImage: if it is damaged, or holds other things than numbers.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, is_column_major, kind = reader(stream)
        left = len(data) - stream.tell()
        if kind.hasobject or math.prod(shape) * kind.itemsize != left:
            raise ValueError("other data than its header says, or objects in place of numbers")
        values: Array = np.frombuffer(data, kind, offset=stream.tell())
        return values.reshape(shape, order="F" if is_column_major else "C")
    except Exception as error:  # a damaged header reaches whatever Python's parser raises
        raise UnreadableImage(damaged(data, error)) from error


def _bands_first(values: Array, channels: int) -> Array:
    """(bands height width), whichever end the bands stand at."""
    shape = " x ".join(map(str, values.shape))
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or not values.size:
        raise UnreadableImage(
            f"The array is {shape}: give (bands height width) or (height width bands)."
        )
    is_first, is_last = (values.shape[axis] == channels for axis in (0, 2))
    if is_first and is_last:
        raise UnreadableImage(
            f"The array is {shape}, and either end may be the {channels} bands: save it with "
            "another height or width."
        )
    if not is_first and not is_last:
        raise UnreadableImage(f"The array is {shape}, and the network takes {channels} channels.")
    return values if is_first else values.transpose(2, 0, 1)


def shares(values: Array) -> FloatArray:
    """Whole numbers as a share of the largest of their kind; others have to lie in [0, 1].

    Raises:
        UnreadableImage: if they do not.
    """
    largest = _LARGEST.get(values.dtype.name)
    if largest is None and values.dtype.kind != "f":
        raise UnreadableImage(
            f"The array holds {values.dtype.name}: save uint8, uint16, or floats in 0..1."
        )
    found: FloatArray = np.ascontiguousarray(values, dtype=np.float32) / np.float32(largest or 1)
    low, high = float(found.min()), float(found.max())
    # NaN is outside of every range.
    if not (low >= 0 and high <= 1):
        raise UnreadableImage(
            f"The values lie from {low:.3g} to {high:.3g}: scale them to 0..1, as --mean and --std "
            "are."
        )
    return found


def _of_pages(data: bytes, channels: int, most: int) -> FloatArray:
    """The bands in a picture file: one page a band, or the four of RGBA."""
    pages: list[Array] = []
    with told(data, most):
        opened = opened_whole(data, most)
        if getattr(opened, "n_frames", 1) == channels:
            pages = [_grey(page, most) for page in ImageSequence.Iterator(opened)]
        elif opened.mode == "RGBA":
            pages = list(np.array(ImageOps.exif_transpose(opened)).transpose(2, 0, 1))
    if len(pages) != channels or len({page.shape for page in pages}) > 1 or pages[0].ndim != 2:
        raise UnreadableImage(
            f"The picture does not have the {channels} channels that the network takes: give an "
            ".npy array (bands height width), or a TIFF with one grey page a band."
        )
    return shares(np.stack(pages))


def _grey(page: Image.Image, most: int) -> Array:
    """One page as a band; where its numbers are no brightness, such as those of a palette, none."""
    if page.width * page.height > most:
        raise UnreadableImage(too_large(most))
    is_grey = page.mode == "L" or page.mode.startswith("I;16")
    return np.array(page) if is_grey else np.empty(0)
