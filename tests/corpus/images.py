"""The image corpus: every file is made here, beside one good image, with what is to be said of it.

Bars I-01 to I-05 and I-10 of the specification; names and links stand in `image_folders.py`.
"""

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.load.picture_files import SIDES, noise, png, saved, stored_as

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class BadImage:
    """A file that is skipped."""

    name: str
    data: Callable[[], bytes]
    reason: str
    "Pattern of what the report says of it."
    ending: str = ".png"


@dataclass(frozen=True)
class OddImage:
    """A file that is read."""

    name: str
    data: Callable[[], bytes]
    levels: Callable[[], Levels]
    "What it shows, upright, (h w) or (h w 3)."
    notes: tuple[str, ...] = ()
    "Patterns of what the report says of it, in this order."
    ending: str = ".png"
    apart: float = 0
    "How far the levels may be from those expected, on average, where the format loses some."


def picture(height: int = 24, width: int = 36, channels: int = 3) -> Levels:
    """Seeded noise."""
    values: Levels = noise(height, width, channels)
    return values


def stored(kind: str, **options: Any) -> bytes:
    """A good picture of some format."""
    return bytes(saved(Image.fromarray(picture()), kind, **options))


def cut(kind: str, share: float) -> Callable[[], bytes]:
    """The first part of a good file."""

    def data() -> bytes:
        whole = stored(kind)
        return whole[: int(len(whole) * share)]

    return data


def flipped() -> bytes:
    """A PNG with one wrong byte in its pixels."""
    data = bytearray(stored("PNG"))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def claiming(width: int, height: int, colour: int = 2) -> Callable[[], bytes]:
    """A PNG whose header claims this size, and which has but a few bytes of pixels."""
    return lambda: bytes(png(width, height, 8, colour, [b"\0" * 100]))


def whole_bomb(width: int, height: int, colour: int) -> Callable[[], bytes]:
    """A PNG of this size, all black: as many pixels as it says, in a thousandth of the bytes."""

    def data() -> bytes:
        packer = zlib.compressobj(9)
        row = b"\0" * (1 + width * (3 if colour == 2 else 1))
        body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
        start = b"\x89PNG\r\n\x1a\n"
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
        return start + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")

    return data


def chunk(kind: bytes, content: bytes) -> bytes:
    """One piece of a PNG."""
    return (
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )  # fmt: skip


def packed_text(kind: bytes, megabytes: int) -> Callable[[], bytes]:
    """A PNG of one pixel with a text, or a colour profile, that unpacks to that much."""
    content = {b"zTXt": b"Comment\0\0", b"iCCP": b"profile\0\0"}[kind]
    return lambda: bytes(
        png(
            1,
            1,
            8,
            0,
            [b"\0"],
            before_data=[(kind, content + zlib.compress(b"a" * (megabytes << 20)))],
        )
    )


def fits_bomb() -> bytes:
    """A packed FITS table, which Pillow unpacked without a limit once."""
    cards = [b"SIMPLE  =                    T", b"BITPIX  =                    8", b"END"]
    head = b"".join(card.ljust(80) for card in cards).ljust(2880)
    return head + gzip.compress(b"\0" * (200 << 20))


LARGE = r"The picture is larger than 64 megapixels \(--max-pixels\) or 32,768 pixels a side"
SHORT = "file is cut short|file is damaged"

BAD: tuple[BadImage, ...] = (
    # I-01
    BadImage("no byte", bytes, "The file is empty"),
    BadImage("words", lambda: b"no picture, but words\n" * 9, "This is text, not an image", ".jpg"),
    BadImage("html", lambda: b"<!doctype html><p>404", "This is text, not an image", ".jpg"),
    BadImage("svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    BadImage("pdf", lambda: b"%PDF-1.7 \x80\x81", "This is a PDF, not a format", ".pdf"),
    BadImage("eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "This is PostScript", ".eps"),
    BadImage("heic", lambda: b"\0\0\0\x18ftypheic\0\0\0\0", "This is a HEIC picture", ".heic"),
    *(
        BadImage(f"{kind} cut at {share:.0%}", cut(kind, share), SHORT, f".{kind.lower()}")
        for kind in ("JPEG", "PNG")
        for share in (0.1, 0.5, 0.99)
    ),
    BadImage("no end of a JPEG", lambda: stored("JPEG")[:-2], "The JPEG file is cut short", ".jpg"),
    BadImage("flipped byte", flipped, "The PNG file is cut short or damaged"),
    BadImage("no width", claiming(0, 10), "no pixels|The PNG file is (damaged|cut short)"),
    BadImage("two billion a side", claiming(2**31 - 1, 2**31 - 1), LARGE),
    # I-02
    BadImage("bomb of 400 megapixels", whole_bomb(20_000, 20_000, 2), LARGE),
    BadImage("bomb of 144 grey megapixels", whole_bomb(12_000, 12_000, 0), LARGE),
    BadImage("bomb of one row", whole_bomb(80_000_000, 1, 0), LARGE),
    BadImage("bomb in a text", packed_text(b"zTXt", 200), "The PNG file is cut short or damaged"),
    BadImage("bomb in a profile", packed_text(b"iCCP", 200), "The PNG file is cut short or dam"),
    BadImage("bomb of FITS", fits_bomb, "This is a FITS file", ".fits"),
    # I-03
    BadImage(
        "floats",
        lambda: bytes(saved(Image.new("F", (5, 3), 0.5), "TIFF")),
        "floating-point numbers with no defined range",
        ".tif",
    ),
    BadImage(
        "integers",
        lambda: bytes(saved(Image.new("I", (5, 3), 70_000), "TIFF")),
        "32-bit or signed numbers with no defined range",
        ".tif",
    ),
)


def on_white(values: Levels) -> Levels:
    """Colours with alpha, laid on white by the formula."""
    alpha = values[..., -1:].astype(float) / 255
    mixed: Levels = np.rint(values[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return mixed.repeat(3, axis=-1) if mixed.shape[-1] == 1 else mixed


def smooth() -> Levels:
    """A picture that lossy formats keep."""
    rows, columns = np.mgrid[:24, :36]
    values: Levels = np.stack([rows * 10, columns * 7, rows + columns], axis=-1).astype(np.uint8)
    return values


def sixteen(values: Mapping[int, int], colour: int) -> Callable[[], bytes]:
    """A PNG of one row with 16 bits a channel, the same in all channels."""
    row = b"".join(struct.pack(">H", value) * (3 if colour == 2 else 1) for value in values)
    return lambda: bytes(png(len(values), 1, 16, colour, [row]))


TO_EIGHT = {0: 0, 0x80FF: 128, 0xFFFF: 255}
PALETTE = bytes([10, 20, 30, 200, 100, 50, 0, 0, 255])
ON_WHITE = "Its transparent parts are shown on white"
FIRST = "The file holds several pictures; the first is used"
ENLARGED = r"The file has only \d+ x \d+ pixels; the network sees it enlarged"


def turned(orientation: int) -> Callable[[], bytes]:
    """A PNG that a camera held another way."""

    def data() -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = stored_as(picture(), orientation)
        return bytes(saved(Image.fromarray(upright), "PNG", exif=exif))

    return data


def several(kind: str, **options: Any) -> Callable[[], bytes]:
    """A file of two pictures, the first of them red."""
    red, blue = (Image.new("RGB", (36, 24), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    return lambda: bytes(saved(red, kind, save_all=True, append_images=[blue], **options))


def red() -> Levels:
    """24 x 36 pixels of red."""
    return np.broadcast_to(np.array([255, 0, 0], np.uint8), (24, 36, 3)).copy()


def in_mode(mode: str, kind: str = "PNG", **options: Any) -> Callable[[], bytes]:
    """A smooth picture in a mode of Pillow's."""
    return lambda: bytes(saved(Image.fromarray(smooth()).convert(mode), kind, **options))


def shown_in(mode: str) -> Callable[[], Levels]:
    """What is left of the smooth picture in that mode."""
    return lambda: np.asarray(
        Image.fromarray(smooth()).convert(mode).convert("L" if mode in {"1", "L"} else "RGB")
    )


def sized(height: int, width: int) -> Callable[[], Levels]:
    """Grey noise of this size."""
    return lambda: picture(height, width, 1)


def odd_sizes() -> Iterator[OddImage]:
    """I-10."""
    kept = r"The centre crop keeps only 0\.\d+% of the picture"
    for height, width, notes in ((1, 1, ()), (1, 5000, (kept,)), (5000, 1, (kept,))):
        levels = sized(height, width)
        yield OddImage(
            f"{height} by {width}",
            lambda levels=levels: bytes(saved(Image.fromarray(levels()), "PNG")),  # type: ignore[misc]
            levels,
            (ENLARGED, *notes),
        )


ODD: tuple[OddImage, ...] = (
    # I-03
    OddImage(
        "cmyk",
        lambda: bytes(saved(Image.new("CMYK", (36, 24), (0, 255, 255, 0)), "TIFF")),
        red,
        ("CMYK, converted to RGB without its colour profile",),
        ".tif",
    ),
    OddImage("ycbcr", in_mode("RGB", "JPEG", quality=95), smooth, (), ".jpg", apart=4),
    OddImage("grey", in_mode("L"), shown_in("L")),
    OddImage(
        "grey with alpha",
        lambda: bytes(saved(Image.fromarray(picture(channels=2), "LA"), "PNG")),
        lambda: on_white(picture(channels=2)),
        (ON_WHITE,),
        apart=1,
    ),
    OddImage("palette", in_mode("P"), shown_in("P")),
    OddImage(
        "palette with a clear entry",
        lambda: bytes(
            png(
                3,
                1,
                8,
                3,
                [bytes([0, 1, 2])],
                before_data=[
                    (b"PLTE", PALETTE),
                    (b"tRNS", bytes([255, 0])),
                ],
            )
        ),
        lambda: np.array([[[10, 20, 30], [255, 255, 255], [0, 0, 255]]], np.uint8),
        (ON_WHITE, ENLARGED),
    ),
    OddImage("one bit", in_mode("1"), shown_in("1")),
    OddImage(
        "alpha",
        lambda: bytes(saved(Image.fromarray(picture(channels=4), "RGBA"), "PNG")),
        lambda: on_white(picture(channels=4)),
        (ON_WHITE,),
        apart=1,
    ),
    OddImage(
        "16 bits of grey",
        sixteen(TO_EIGHT, 0),
        lambda: np.array([[*TO_EIGHT.values()]], np.uint8),
        ("16 bits a pixel, scaled to 8", ENLARGED),
    ),
    OddImage(
        "16 bits of colour",
        sixteen(TO_EIGHT, 2),
        lambda: np.repeat(np.array([[*TO_EIGHT.values()]], np.uint8)[..., None], 3, axis=2),
        ("16 bits a channel, cut to 8", ENLARGED),
    ),
    # I-04
    *(
        OddImage(
            f"orientation {orientation}",
            turned(orientation),
            picture,
            ("Turned upright as its EXIF orientation says",) if orientation > 1 else (),
        )
        for orientation in SIDES
    ),
    OddImage("frames of GIF", several("GIF"), red, (FIRST,), ".gif"),
    OddImage("frames of WebP", several("WEBP", lossless=True), red, (FIRST,), ".webp"),
    OddImage("frames of APNG", several("PNG"), red, (FIRST,)),
    OddImage("pages of TIFF", several("TIFF"), red, (FIRST,), ".tif"),
    # I-05
    OddImage("png called jpg", lambda: stored("PNG"), picture, (), ".jpg"),
    OddImage("png without an ending", lambda: stored("PNG"), picture, (), ""),
    *odd_sizes(),
)
