"""Finds words in bytes however they are packed: compressed, in Base64, in chunks, in UTF-16."""

import base64
import binascii
import gzip
import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from html import unescape
from urllib.parse import unquote_to_bytes

from PIL import Image

DEEPEST = 6
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_PDF_HEX = re.compile(rb"<([0-9A-Fa-f]{8,})>")
_ESCAPED = re.compile(rb"\\u([0-9a-fA-F]{4})")


def words_in(content: bytes, words: Iterable[str]) -> set[str]:
    """The words that stand somewhere in `content`."""
    return {word for _, word in found_in({"": content}, words)}


def found_in(files: Mapping[str, bytes], words: Iterable[str]) -> set[tuple[str, str]]:
    """The words that stand somewhere in some files, each behind the way that led there."""
    wanted = {form: word for word in words for form in _forms(word)}
    known: set[bytes] = set()
    return {
        (way, word)
        for path, content in files.items()
        for way, layer in layers(content, path, known)
        for form, word in wanted.items()
        if form in layer
    }


def _forms(word: str) -> Iterator[bytes]:
    """A word as bytes, in lower case: as text, and as the arrays of text that NumPy keeps."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
        yield word.lower().encode(encoding)


def layers(
    content: bytes, way: str, known: set[bytes], depth: int = 0
) -> Iterator[tuple[str, bytes]]:
    """`content`, and all that can be unpacked from it, in lower case, with the way that led there.

    What is `known` already is passed over.
    """
    digest = hashlib.sha256(content).digest()
    if digest in known or depth > DEEPEST:
        return
    known.add(digest)
    yield way, content.lower()
    for step, inner in _unpacked(content):
        yield from layers(inner, f"{way}/{step}", known, depth + 1)


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        yield from _png(content)
    elif content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        yield from ((f"webp {kind!r}", data) for kind, data in _riff(content))
    elif content.startswith(b"PK\x03\x04"):
        yield from _zip(content)
    elif content.startswith(b"\x1f\x8b"):
        yield "gzip", gzip.decompress(content)
    elif content.startswith(b"%PDF"):
        for stream in _PDF_STREAM.findall(content):
            yield from _inflated("pdf stream", stream)
        yield "pdf text", b"\n".join(map(_from_hex, _PDF_HEX.findall(content)))
    else:
        yield from _text(content)


def _text(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What may stand in a page, a script or JSON."""
    for run in _BASE64.findall(content):
        try:
            decoded = base64.b64decode(run + b"=" * (-len(run) % 4))
        except binascii.Error:
            continue
        yield "base64", decoded
        yield from _inflated("base64 deflated", decoded)
    if b"%" in content and (plain := unquote_to_bytes(content)) != content:
        yield "percent", plain
    if b"&" in content and b"<" in content:
        text = content.decode("utf-8", "replace")
        if (shown := unescape(text)) != text:
            yield "entities", shown.encode("utf-8", "replace")
    if b"\\u" in content:
        yield "escapes", _ESCAPED.sub(lambda found: _character(found[1]), content)


def _character(code: bytes) -> bytes:
    return chr(int(code, 16)).encode("utf-8", "replace")


def _from_hex(digits: bytes) -> bytes:
    return binascii.unhexlify(digits[: len(digits) // 2 * 2])


def _inflated(step: str, packed: bytes) -> Iterator[tuple[str, bytes]]:
    """What zlib makes of it, with its header or without."""
    for bits in (15, -15):
        try:
            content = zlib.decompressobj(bits).decompress(packed, 1 << 26)
        except zlib.error:
            continue
        if len(content) > len(packed) // 2:
            yield step, content
            return


def _png(content: bytes) -> Iterator[tuple[str, bytes]]:
    at, image = 8, b""
    while at + 8 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        at += 12 + size
        if kind == b"IDAT":
            image += data
        else:
            yield f"png {kind!r}", kind + data
        if kind in {b"zTXt", b"iCCP", b"iTXt"}:
            for start in [found.end() for found in re.finditer(rb"\0+", data)][:4]:
                yield from _inflated("png text", data[start:])
    yield from _inflated("png rows", image)
    with suppress(OSError), Image.open(io.BytesIO(content)) as picture:
        yield "png pixels", picture.tobytes()


def _riff(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(content):
        (size,) = struct.unpack("<I", content[at + 4 : at + 8])
        yield content[at : at + 4], content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _zip(content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield "zip comment", archive.comment
        for entry in archive.infolist():
            yield f"zip {entry.filename}", entry.filename.encode() + b"\n" + archive.read(entry)


def chunks(content: bytes) -> set[str]:
    """Kinds of the chunks of a PNG or WebP file."""
    if content.startswith(b"\x89PNG"):
        return {way[6:-1] for way, _ in _png(content) if way.startswith("png b'")} | {"IDAT"}
    return {kind.decode("latin-1") for kind, _ in _riff(content)}
