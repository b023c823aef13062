"""What the content of a file that is no usable image is, as far as its first bytes tell."""

import codecs
import re
from typing import TypeAlias

_Kinds: TypeAlias = tuple[tuple[int, bytes, str], ...]
"Where in a file some bytes stand, and what it then is."

_SIGNATURES: _Kinds = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypavi", "AVIF"),
    (4, b"jP  \r\n", "JPEG 2000"),
    (0, b"BM", "BMP"),
)
_OTHER_KINDS: _Kinds = (
    (4, b"ftyphe", "a HEIC picture"),
    (4, b"ftypmi", "a HEIF picture"),
    (4, b"ftyp", "a video"),
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"SIMPLE  =", "a FITS file"),
    (128, b"DICM", "a DICOM file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x93NUMPY", "a NumPy array"),
)


def is_video(data: bytes) -> bool:
    """Whether a file begins as films do."""
    return _kind(data, (*_SIGNATURES, *_OTHER_KINDS)) == "a video"


def _kind(data: bytes, kinds: _Kinds) -> str:
    """The first that fits; empty where none does."""
    return next((kind for start, magic, kind in kinds if data.startswith(magic, start)), "")


def unidentified(data: bytes) -> str:
    """Why Pillow did not take `data`, as far as its first bytes tell."""
    if name := _kind(data, _SIGNATURES):
        return f"The {name} file is damaged or of a kind that cannot be read."
    if kind := _kind(data, _OTHER_KINDS):
        return f"This is {kind}, not a format that is read here: save it as PNG or JPEG."
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "This is an SVG drawing, which has no pixels: save it as PNG."
    if _is_text(data[:4096]):
        return "This is text, not an image."
    return "The content is of no known image format."


def _is_text(head: bytes) -> bool:
    """Whether `head`, which may end inside a character, is UTF-8 without control bytes."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def damaged(data: bytes, error: Exception) -> str:
    """What to say of a file that opened and then failed."""
    name = _kind(data, _SIGNATURES) or "image"
    detail = one_line(str(error)) or type(error).__name__
    return f"The {name} file is cut short or damaged ({detail})."


def one_line(message: str) -> str:
    """A decoder's message without line breaks, memory addresses and its full stop."""
    text = re.sub(r"<[^<>]* at 0x[0-9a-f]+>|0x[0-9a-f]{6,}", "data", message)
    return " ".join(text.split())[:120].rstrip(". ")
