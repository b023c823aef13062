import random
import zlib

import pytest
from PIL import Image

from reportgen.load.decode import FORMATS, UnreadableImage, decode
from tests.load.picture_files import noise, png, saved


def test_every_format_is_known_to_pillow():
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)


@pytest.mark.parametrize(
    ("width", "height"), [(20_000, 20_000), (80_000, 1), (2**31 - 1, 2**31 - 1)]
)
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_unpacked(width, height):
    with pytest.raises(
        UnreadableImage, match=r"larger than 64 megapixels .* or 32,768 pixels a side"
    ):
        decode(png(width, height, 8, 2, [b"\0" * 100]))


def test_a_compressed_text_bomb_is_refused():
    content = b"Comment\0\0" + zlib.compress(b"a" * 100_000_000)
    with pytest.raises(UnreadableImage, match="damaged"):
        decode(png(1, 1, 8, 0, [b"\0"], before_data=[(b"zTXt", content)]))


WHOLE = {
    "PNG": saved(Image.fromarray(noise(40, 60)), "PNG"),
    "JPEG": saved(Image.fromarray(noise(40, 60)), "JPEG"),
    "GIF": saved(Image.fromarray(noise(40, 60, channels=1)), "GIF"),
    "WEBP": saved(Image.fromarray(noise(40, 60)), "WEBP", lossless=True),
    "TIFF": saved(Image.fromarray(noise(40, 60)), "TIFF", compression="tiff_lzw"),
    "BMP": saved(Image.fromarray(noise(40, 60)), "BMP"),
}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_file_cut_short_is_refused(kind, share):
    whole = WHOLE[kind]
    with pytest.raises(UnreadableImage, match=r"cut short or damaged|is damaged or of a kind"):
        decode(whole[: int(len(whole) * share)])


def test_a_jpeg_without_its_end_is_refused():
    with pytest.raises(UnreadableImage, match="JPEG file is cut short"):
        decode(WHOLE["JPEG"][:-2])


def test_a_flipped_byte_in_png_data_is_refused():
    data = bytearray(WHOLE["PNG"])
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UnreadableImage, match="PNG file is cut short or damaged"):
        decode(bytes(data))


def test_a_picture_without_width_is_refused():
    with pytest.raises(UnreadableImage, match=r"damaged|no pixels"):
        decode(png(0, 10, 8, 2, [b""]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty."),
        (b"just some words, in a file\n", "This is text, not an image."),
        ("naïve ".encode() * 3000, "This is text, not an image."),
        (b"<!doctype html><p>hello", "This is text, not an image."),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7 \x80\x81", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (b"8BPS\0\1", "a Photoshop file"),
        (bytes(range(256)) * 20, "no known image format"),
    ],
)
def test_other_files_are_named_for_what_they_are(data, reason):
    with pytest.raises(UnreadableImage) as raised:
        decode(data)
    assert reason in str(raised.value)


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_files_give_a_picture_or_one_plain_sentence(kind):
    chance = random.Random(3)
    for _ in range(60):
        data = bytearray(WHOLE[kind])
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            decoded = decode(bytes(data))
        except UnreadableImage as reason:
            sentences = [str(reason)]
        else:
            assert decoded.picture.mode in {"L", "RGB"}
            sentences = list(decoded.notes)
        for sentence in sentences:
            assert sentence.endswith(".")
            assert "\n" not in sentence
            assert " at 0x" not in sentence
            assert len(sentence) < 220
