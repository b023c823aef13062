"""The bytes of an image file to upright 8-bit pixels, or one plain sentence why not."""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from reportgen.load.image_kinds import damaged, one_line, unidentified
from reportgen.report.arrays import Array, ByteArray

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"What is read. Pillow knows more, some of which start other programs or unpack without a limit."
MAX_PIXELS = 64_000_000
"Unless another limit is asked for (`--max-pixels`)."
MAX_SIDE = 32_768
MAX_BYTES = 512 * 2**20

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112
_LYING = range(5, 9)
"Orientations in which width and height are exchanged."
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


class UnreadableImage(Exception):
    """An image file that cannot be used; the message says why, in one plain sentence."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Upright pixels of one image file."""

    picture: Image.Image
    "In Pillow's mode `L` (grey) or `RGB`."
    notes: tuple[str, ...]
    "What was done on the way that changes what is seen, one sentence each."


@dataclass(frozen=True)
class Look:
    """What the beginning of an image file tells."""

    width: int
    height: int
    "In pixels, upright."
    notes: tuple[str, ...]
    "What the decoder warns of."
    slices: int | None = None
    "Of a volume or a video."


def decode(data: bytes, most: int = MAX_PIXELS) -> Decoded:
    """The picture in `data`, whatever its file is called.

    Args:
        data: the content of the file.
        most: pixels that a picture may have; one that claims more is refused before it is unpacked.

    Raises:
        UnreadableImage: for everything that is not a whole picture with a defined range.
    """
    with _warnings() as caught:
        decoded = decoded_in_thread(data, most)
    return Decoded(decoded.picture, (*decoded.notes, *_warned(caught)))


def decoded_in_thread(data: bytes, most: int = MAX_PIXELS) -> Decoded:
    """As `decode`, without what the decoder warns of, which `looked_at` tells.

    Python's warnings are caught for all threads at once, so no thread beside others can know its
    own.

    Raises:
        UnreadableImage: as `decode` does.
    """
    with told(data, most):
        return Decoded(*_decode(data, most))


def looked_at(data: bytes, most: int = MAX_PIXELS, *, is_counted: bool = False) -> Look:
    """What the beginning of a picture tells, in a small part of the time that decoding it takes.

    Args:
        data: the content of the file.
        most: pixels that a picture may have.
        is_counted: whether its pages are counted, for which the whole file may be looked through.

    Raises:
        UnreadableImage: if that is enough to know that it cannot be used.
    """
    with _warnings() as caught, told(data, most):
        opened = _opened(data, most)
        width, height = opened.size
        # A PNG may state it after its pixels, which would all be read for it.
        is_known = opened.format != "PNG" or "exif" in opened.info
        is_lying = is_known and _stated_orientation(opened) in _LYING
        if is_lying and not isinstance(opened, TiffImageFile):  # whose size is upright already
            width, height = height, width
        pages = _page_count(opened) if is_counted else None
    return Look(width, height, _warned(caught), pages)


def _page_count(opened: ImageFile) -> int:
    """How many pictures a file holds, counted no further than there may be of them."""
    if not isinstance(opened, TiffImageFile):
        return int(getattr(opened, "n_frames", 1))
    count = 1
    while count <= MAX_SIDE:  # Pillow would look at all, each compared with those before it
        try:
            opened.seek(count)
        except EOFError:
            break
        count += 1
    return count


@contextmanager
def _warnings() -> Iterator[list[warnings.WarningMessage]]:
    """All warnings of what is done inside, but of the limit, which is ours and was asked for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield caught


@contextmanager
def told(data: bytes, most: int) -> Iterator[None]:
    """Turns what goes wrong inside into one plain sentence.

    Args:
        data: the content of the file that is read inside.
        most: pixels that a picture may have.

    Raises:
        UnreadableImage: for everything that is raised inside.
    """
    if not data:
        raise UnreadableImage("The file is empty.")
    try:
        yield
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(unidentified(data)) from None
    except Image.DecompressionBombError:
        raise UnreadableImage(too_large(most)) from None
    # Damaged files reach every kind of exception inside the decoders (SyntaxError,
    # RuntimeError, ValueError, struct.error): none may end the report.
    except Exception as error:
        raise UnreadableImage(damaged(data, error)) from error


def _opened(data: bytes, most: int) -> ImageFile:
    """The picture, none of it unpacked, if it is not too large."""
    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = opened.size
    if width * height > most or max(width, height) > MAX_SIDE:
        raise UnreadableImage(too_large(most))
    return opened


def opened_whole(data: bytes, most: int) -> ImageFile:
    """The picture, none of it unpacked, whose checksums are right and which is not too large."""
    opened = _opened(data, most)
    if opened.format == "PNG":
        # Loading alone does not look at the checksums, and gives wrong pixels in silence.
        Image.open(io.BytesIO(data), formats=("PNG",)).verify()
    return opened


def _decode(data: bytes, most: int) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture in mode `L` or `RGB`, upright, with notes."""
    opened = opened_whole(data, most)
    notes = []
    if getattr(opened, "is_animated", False):
        notes.append("The file holds several pictures; the first is used.")
    if opened.mode not in _SIXTEEN_BITS and _is_wide(opened):
        notes.append("16 bits a channel, cut to 8.")
    picture, more = upright(opened)
    return picture, (*notes, *more)


def upright(opened: ImageFile) -> tuple[Image.Image, list[str]]:
    """What is open, in mode `L` or `RGB` and turned as it asks to be, with notes."""
    is_turned, turn_notes = _orientation(opened)
    opened.load()
    picture: Image.Image = opened
    # Pillow turns a TIFF while it loads.
    if is_turned and not isinstance(opened, TiffImageFile):
        picture = ImageOps.exif_transpose(opened)
    picture, colour_notes = _eight_bit(picture)
    return picture, [*turn_notes, *colour_notes]


def too_large(most: int) -> str:
    """What to say of a picture with more pixels than that, or too long a side."""
    return (
        f"The picture is larger than {most / 1e6:.4g} megapixels (--max-pixels) "
        f"or {MAX_SIDE:,} pixels a side."
    )


def _is_wide(picture: ImageFile) -> bool:
    """Whether the file stores more than 8 bits a channel, as its raw mode says (`RGB;16B`)."""
    return any(";16" in str(tile.args) for tile in picture.tile)


def _orientation(picture: Image.Image) -> tuple[bool, list[str]]:
    """Whether the file asks to be turned or mirrored, and what to say of it."""
    orientation = _stated_orientation(picture)
    if orientation is None:
        return False, ["Its EXIF data is damaged, so it is shown as stored."]
    if orientation in range(2, 9):
        return True, ["Turned upright as its EXIF orientation says."]
    return False, []


def _stated_orientation(picture: Image.Image) -> int | None:
    """The number of EXIF's tag, 1 where there is none; None where it cannot be read."""
    try:
        stated = picture.getexif().get(_ORIENTATION, 1)
    # Damaged EXIF data reaches every kind of exception, and leaves the pixels as they are.
    except Exception:
        return None
    return stated if isinstance(stated, int) else 1


def _eight_bit(picture: Image.Image) -> tuple[Image.Image, list[str]]:
    """`picture` in mode `L` or `RGB`: 16 bits scaled, transparency on white, colours converted."""
    notes = []
    if picture.mode in _SIXTEEN_BITS or (picture.mode == "I" and picture.format == "PPM"):
        picture = _scaled_from_sixteen_bits(picture)
        notes.append("16 bits a pixel, scaled to 8.")
    if picture.mode in {"I", "F"}:
        kind = "floating-point" if picture.mode == "F" else "32-bit or signed"
        raise UnreadableImage(
            f"The pixels are {kind} numbers with no defined range: "
            "save the picture with 8 or 16 bits."
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
            notes.append("Its transparent parts are shown on white.")
    if picture.mode == "CMYK":
        notes.append("CMYK, converted to RGB without its colour profile.")
    is_grey = picture.mode in {"1", "L"}
    return picture.convert("L" if is_grey else "RGB"), notes


def _scaled_from_sixteen_bits(picture: Image.Image) -> Image.Image:
    """0..65535 to 0..255, rounded, where Pillow's own conversion clips at 255."""
    values: Array = np.asarray(picture).astype(np.uint32)
    if isinstance(picture, TiffImageFile) and picture.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = 65_535 - values
    levels: ByteArray = ((values + 128) // 257).astype(np.uint8)
    key = picture.info.get("transparency")
    if isinstance(key, int):
        levels[values == key] = 255
    return Image.fromarray(levels)


def _warned(caught: Iterable[warnings.WarningMessage]) -> tuple[str, ...]:
    """What the decoder warned of, once each."""
    said = (one_line(str(warning.message)) for warning in caught)
    return tuple(dict.fromkeys(f"The decoder warns: {text}." for text in said))
