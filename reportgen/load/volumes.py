"""Volumes and videos: slices of one size, one behind the other, from one file.

They come as a NumPy array (`.npy`), or as a TIFF, GIF, PNG or WebP with one page a slice. A frame
of a video is a slice here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from reportgen.load import bands
from reportgen.load.bands import MAGIC, PICTURED, Bands, array_in, shares
from reportgen.load.decode import (
    MAX_PIXELS,
    MAX_SIDE,
    Look,
    UnreadableImage,
    looked_at,
    opened_whole,
    told,
    too_large,
    upright,
)
from reportgen.load.image_kinds import is_video
from reportgen.report.arrays import Array, FloatArray
from reportgen.report.places import middle_slice
from reportgen.report.records import Preprocessing

FIRST = 0
"In place of a number of slices: as many as the first file has, which is not looked at yet."
_FORMS = "(slices height width) in grey, (channels slices height width), or the channels last"


@dataclass(frozen=True, eq=False)
class Volume:
    """Pixels of the slices of one file that the network is given."""

    values: FloatArray
    "(channels slices height width) float32 in [0, 1]."

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), as Pillow has it."""
        height, width = self.values.shape[2:]
        return width, height

    def convert(self, mode: str) -> Image.Image:
        """A picture of the middle slice."""
        return Bands(self.values[:, middle_slice(self.values.shape[1])]).convert(mode)


Picture: TypeAlias = Image.Image | Bands | Volume


def read(
    data: bytes, preprocessing: Preprocessing, most: int = MAX_PIXELS
) -> tuple[Picture, tuple[str, ...]]:
    """The picture or volume in the content of a file, and what was done to read it.

    Args:
        data: the content.
        preprocessing: what the network takes.
        most: pixels that a picture, or all slices together, may have.

    Raises:
        UnreadableImage: for everything that does not give what the network takes.
    """
    channels, count = preprocessing.channels, preprocessing.slices
    if count is None:
        return bands.read(data, channels, most)
    if data.startswith(MAGIC):
        values = _slices_second(array_in(data), channels)
        picked = shares(values[:, picked_slices(values.shape[1], count)])
        return Volume(_repeated(picked, channels)), ()
    levels, notes = _of_pages(data, channels, count, most)
    return Volume(shares(levels)), notes


def looked(data: bytes, preprocessing: Preprocessing, most: int = MAX_PIXELS) -> Look:
    """What is known of the content of a file before it is decoded.

    Args:
        data: the content.
        preprocessing: what the network takes.
        most: pixels that a picture, or all slices together, may have.

    Raises:
        UnreadableImage: if that is enough to know that it cannot be used.
    """
    channels = preprocessing.channels
    if preprocessing.slices is None:
        return bands.looked(data, channels, most)
    if data.startswith(MAGIC):
        values = _slices_second(array_in(data), channels)
        count, height, width = values.shape[1:]
        notes: tuple[str, ...] = ()
        shares(values[:, [0]])  # whose kind tells for all; a range is looked at once it is read
    else:
        if is_video(data):
            raise UnreadableImage(
                "Films are not decoded here: save the frames as a GIF, or as an .npy array "
                "(frames height width channels)."
            )
        seen = looked_at(data, most, is_counted=True)
        count, height, width, notes = seen.slices or 1, seen.height, seen.width, seen.notes
        _check_pages(count, channels)
    if count * height * width > most or max(count, height, width) > MAX_SIDE:
        raise UnreadableImage(
            f"All slices together have more than {most / 1e6:.4g} megapixels (--max-pixels), "
            f"or a side is longer than {MAX_SIDE:,}."
        )
    given = preprocessing.slices or count
    if given * preprocessing.height * preprocessing.width > most:
        raise UnreadableImage(
            f"{given:,} slices of {preprocessing.height} x {preprocessing.width}, as the network "
            f"would be given, are more than {most / 1e6:.4g} megapixels (--max-pixels): give it "
            "fewer with --slices."
        )
    return Look(width, height, notes, count)


def picked_slices(available: int, count: int) -> list[int]:
    """Which slices stand for all: the middle ones of `count` equal parts, repeated if too few."""
    return [(2 * part + 1) * available // (2 * count) for part in range(count)]


def slice_notes(available: int | None, preprocessing: Preprocessing) -> Iterator[str]:
    """What was done to have as many slices as the network is given."""
    count = preprocessing.slices
    if available is None or count is None:
        return
    if available > count:
        yield f"The network is given {count} of its {available} slices, evenly spread."
    elif available < count:
        has = "1 slice, which is" if available == 1 else f"{available} slices, which are"
        yield f"It has {has} repeated to make {count}."


def _slices_second(values: Array, channels: int) -> Array:
    """(channels slices height width), where grey may have one channel less than is wanted."""
    shape = " x ".join(map(str, values.shape))
    if not values.size or values.ndim not in (3, 4):
        raise UnreadableImage(
            f"The array is {shape}, and the network takes volumes or videos: give {_FORMS}."
        )
    if values.ndim == 3 and channels == 1:
        return values[None]
    if values.ndim == 3:
        # Grey will do for colours, but for what may be a picture in colour.
        if channels == 3 and 3 not in (values.shape[0], values.shape[2]):
            return values[None]
        raise UnreadableImage(
            f"The array is {shape}, which may be one picture, and the network takes volumes or "
            f"videos of {channels} channels: give (channels slices height width), or the channels "
            "last."
        )
    is_first, is_last = (values.shape[axis] == channels for axis in (0, 3))
    if is_first and is_last:
        raise UnreadableImage(
            f"The array is {shape}, and either end may be the {channels} channels: save it with "
            "another width."
        )
    if not is_first and not is_last:
        noun = "channel" if channels == 1 else "channels"
        raise UnreadableImage(
            f"The array is {shape}, and the network takes {channels} {noun}: give {_FORMS}."
        )
    return values if is_first else values.transpose(3, 0, 1, 2)


def _repeated(values: FloatArray, channels: int) -> FloatArray:
    """Grey for a network that takes colours is the same in each of them."""
    return np.repeat(values, channels, axis=0) if len(values) < channels else values


def _check_pages(count: int, channels: int) -> None:
    if channels not in PICTURED:
        raise UnreadableImage(
            f"The network takes volumes or videos of {channels} channels, which picture files do "
            "not hold: give an .npy array (channels slices height width)."
        )
    if count < 2:
        raise UnreadableImage(
            "This is one picture, and the network takes volumes or videos: give a TIFF or GIF with "
            f"a page a slice, or an .npy array {_FORMS}."
        )


def _of_pages(data: bytes, channels: int, count: int, most: int) -> tuple[Array, tuple[str, ...]]:
    """Levels (channels slices height width) of pages, and what was done to read them."""
    found: dict[int, Array] = {}
    notes: dict[str, None] = {}
    with told(data, most):
        opened = opened_whole(data, most)
        picked = picked_slices(getattr(opened, "n_frames", 1), count)
        for index in dict.fromkeys(picked):
            opened.seek(index)
            width, height = opened.size
            if width * height * count > most:
                raise UnreadableImage(too_large(most))
            page, more = upright(opened)
            notes |= dict.fromkeys(more)
            levels = np.array(page.convert("L" if channels == 1 else "RGB"))
            found[index] = levels.reshape(*levels.shape[:2], channels).transpose(2, 0, 1)
    if len({levels.shape for levels in found.values()}) > 1:
        raise UnreadableImage("Its pages are of several sizes, and slices are of one.")
    return np.stack([found[index] for index in picked], axis=1), tuple(notes)
