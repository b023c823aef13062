"""Image files for tests, written by hand where the bytes matter."""

import io
import itertools
import struct
import zlib

import numpy as np


def png(width, height, depth, colour, rows, *, before_data=()):
    """A PNG written by hand: `rows` are raw bytes, `before_data` are (type, content) chunks."""

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    extra = b"".join(chunk(*pair) for pair in before_data)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height, width, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


# EXIF 2.3, tag 0x0112: which visual side the first stored row and the first stored column are.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_as(upright, orientation):
    """The array that a camera stores for `upright`, literally by the EXIF definition."""
    first_row, first_column = SIDES[orientation]
    height, width = upright.shape[:2]
    is_turned = first_row in {"left", "right"}
    stored = np.zeros_like(upright.swapaxes(0, 1) if is_turned else upright)
    for row, column in itertools.product(*map(range, stored.shape[:2])):
        along = {first_row: row, first_column: column}
        y = along["top"] if "top" in along else height - 1 - along["bottom"]
        x = along["left"] if "left" in along else width - 1 - along["right"]
        stored[row, column] = upright[y, x]
    return stored
