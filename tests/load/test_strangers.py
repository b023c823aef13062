"""Every kind of file that is told by its first bytes or its ending, by an example of its own."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen.errors import ModelError
from reportgen.load.decode import FORMATS, MAX_BYTES, MAX_PIXELS, MAX_SIDE, UnreadableImage, decode
from reportgen.load.formats import kind_of
from reportgen.load.listing import listing

MODELS = {
    b"\x1f\x8b\x08": "gzip archive; unpack",
    b"BZh9": "bzip2 archive; unpack",
    b"\xfd7zXZ\0": "xz archive; unpack",
    b"7z\xbc\xaf\x27": "7z archive; unpack",
    b"Rar!\x1a": "rar archive; unpack",
    b"\x93NUMPY\x01": "NumPy array, not a PyTorch",
    b"\x89HDF\r\n": "HDF5 file",
    b"GGUF\x03": "GGUF language model",
    b"\x89PNG\r\n": "PNG image; the model comes first",
    b"\xff\xd8\xff\xe0": "JPEG image; the model comes first",
    b"%PDF-1.7": "PDF document",
    b"\x1c\0\0\0TFL3": "TensorFlow Lite",
    b"\x08\x07\x12\x07pytorch": "ONNX graph",
    b"version https://git-lfs.github.com/spec/v1\n": "git-lfs pointer",
    b" \n<!DocType HTML>": "web page",
    b"<html lang=en>": "web page",
    b"<head><title>": "web page",
    b"\x80\x02}.": "plain pickle",
    b"\x80\x03}.": "plain pickle",
    b"\x80\x04}.": "plain pickle",
    b"\x80\x05}.": "plain pickle",
    bytes(257) + b"ustar": "tar archive",
    "größe".encode(): "text file",
    b"a\x07": "not a model file that reportgen knows",
    b"\xd0\xcf\x11\xe0": r"begins with d0 cf 11 e0",
}

DAMAGED = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff\xe0": "JPEG",
    b"GIF87a": "GIF",
    b"RIFF\0\0\0\0WEBP": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x1cftypavif": "AVIF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"BM\0\0": "BMP",
}
OTHERS = {
    b"\0\0\0\x18ftypheic": "This is a HEIC picture,",
    b"\0\0\0\x18ftypmif1": "This is a HEIF picture,",
    b"\0\0\0\x18ftypisom": "This is a video,",
    b"%PDF-1.7": "This is a PDF,",
    b"%!PS-Adobe": "This is PostScript,",
    b"8BPS\0\x01": "This is a Photoshop file,",
    b"SIMPLE  =   T": "This is a FITS file,",
    bytes(128) + b"DICM": "This is a DICOM file,",
    b"PK\x03\x04": "This is a ZIP archive,",
    b"\x1f\x8b\x08": "This is a gzip archive,",
    b"\x93NUMPY\x01": "This is a NumPy array,",
    b"\xef\xbb\xbf \n<SVG viewBox": "This is an SVG drawing, which has no pixels",
    b"a,b\t1\r\n\f": "This is text, not an image.",
    b"a\x07b": "The content is of no known image format.",
}
ENDINGS = [
    *("txt", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "ini", "log", "md"),
    *("rst", "html", "py", "ipynb", "db", "npz", "pth", "pt", "safetensors", "zip"),
    *("tar", "gz", "parquet", "arrow"),
]


@pytest.mark.parametrize("start", MODELS)
def test_what_is_given_in_place_of_a_model_is_named(start: bytes) -> None:
    with pytest.raises(ModelError, match=MODELS[start]):
        kind_of(io.BytesIO(start), "m.pth")


@pytest.mark.parametrize("start", DAMAGED)
def test_a_picture_that_cannot_be_opened_is_named(start: bytes) -> None:
    words = rf"^The {DAMAGED[start]} file is (damaged or of a kind|cut short or damaged)"
    with pytest.raises(UnreadableImage, match=words):
        decode(start + b"\xf0\xf1")


@pytest.mark.parametrize("start", OTHERS)
def test_what_is_no_picture_is_named(start: bytes) -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode(start)
    assert str(caught.value).startswith(OTHERS[start])


def test_endings_that_nobody_takes_for_pictures_are_counted_one_by_one(tmp_path: Path) -> None:
    for ending in ENDINGS:
        (tmp_path / f"a.{ending.upper()}").touch()
    (tmp_path / "b.png").touch()
    (tmp_path / ".hidden").touch()
    found = listing([tmp_path])
    assert [candidate.path for candidate in found.candidates] == ["b.png"]
    (said,) = found.notes
    assert said.startswith(f"{len(ENDINGS) + 1} entries that are plainly not images were left out")
    assert all(f"1 .{ending}" in said for ending in ENDINGS) and said.endswith("1 hidden).")


def test_one_entry_that_is_left_out_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    assert listing([tmp_path]).notes == (
        "1 entry that is plainly not an image was left out of the folder (1 .log).",
    )
    assert listing([tmp_path / "a.log"]).notes == ()


def test_what_is_read_and_how_large_it_may_be_is_as_stated() -> None:
    assert set(FORMATS) == {
        *["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"]
    }
    assert (MAX_PIXELS, MAX_SIDE, MAX_BYTES) == (64_000_000, 32_768, 536_870_912)


@pytest.mark.parametrize(("size", "fits"), [((32_768, 1), True), ((32_769, 1), False)])
def test_the_side_of_a_picture_is_limited(size: tuple[int, int], fits: bool) -> None:
    stream = io.BytesIO()
    Image.new("L", size).save(stream, "PNG")
    if fits:
        assert decode(stream.getvalue()).picture.size == size
    else:
        with pytest.raises(UnreadableImage, match=r"64 megapixels .*32,768 pixels a side"):
            decode(stream.getvalue())


def zipped(**records: bytes) -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return bytearray(stream.getvalue())


def test_an_archive_of_arrays_is_named() -> None:
    arrays = io.BytesIO()
    np.savez(arrays, weight=np.ones((2, 3)), bias=np.ones(2))
    words = r"^m\.pth is an archive of NumPy arrays \(\.npz\), not a PyTorch model\.$"
    with pytest.raises(ModelError, match=words):
        kind_of(arrays, "m.pth")
    with pytest.raises(ModelError, match="is an ordinary zip archive"):
        kind_of(io.BytesIO(zipped(**{"weight.npy": b"1", "model/data.pkl": b"2"})), "m.pth")


def test_an_encrypted_record_is_refused() -> None:
    whole = zipped(**{"m/data.pkl": b"\x80\x02}.", "m/version": b"3"})
    assert kind_of(io.BytesIO(whole), "m.pth") == "zip"
    flags = whole.rindex(b"PK\x01\x02") + 8
    whole[flags] |= 1
    with pytest.raises(ModelError, match=r"^m\.pth holds an encrypted record \(m/version\)\.$"):
        kind_of(io.BytesIO(whole), "m.pth")
