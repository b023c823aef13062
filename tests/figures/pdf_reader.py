"""Looks into the PDFs that we write: sizes, and the fonts that they carry."""

import re
import zlib


def media_box(pdf: bytes) -> tuple[float, float]:
    """Width and height of the page in points."""
    found = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", pdf)
    assert found, "no page"
    return float(found[1]), float(found[2])


def fonts_in(pdf: bytes) -> list[bytes]:
    """Every embedded font program; all fonts have to have one, as TrueType."""
    assert b"/Type3" not in pdf and b"/Type1" not in pdf
    descriptors = re.findall(rb"/Type /FontDescriptor.*?>>", pdf, re.DOTALL)
    programs = [re.search(rb"/FontFile2 (\d+) 0 R", one) for one in descriptors]
    assert descriptors and all(programs), "a font is not embedded"
    return [_stream(pdf, int(found[1])) for found in programs if found]


def _stream(pdf: bytes, number: int) -> bytes:
    found = re.search(
        rb"\n%d 0 obj\n(<<.*?>>)\nstream\r?\n(.*?)\r?\nendstream" % number, pdf, re.DOTALL
    )
    assert found, f"object {number} is missing"
    return zlib.decompress(found[2]) if b"/FlateDecode" in found[1] else found[2]
