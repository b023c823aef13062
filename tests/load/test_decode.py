import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from reportgen.load.decode import UnreadableImage, decode, looked_at
from tests.load.picture_files import SIDES, noise, png, saved, stored_as


def pixels(data):
    return np.asarray(decode(data).picture)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_formats_give_the_pixels_that_were_saved(kind):
    values = noise(5, 8)
    decoded = decode(saved(Image.fromarray(values), kind))
    assert decoded.picture.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(decoded.picture), values)
    assert decoded.notes == ()


def test_grey_stays_grey():
    values = noise(5, 8, channels=1)
    decoded = decode(saved(Image.fromarray(values), "PNG"))
    assert decoded.picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(decoded.picture), values)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", SIDES)
def test_every_exif_orientation_is_turned_upright(kind, orientation):
    upright = noise(4, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(Image.fromarray(stored_as(upright, orientation)), kind, exif=exif, **options)
    decoded = decode(data)
    np.testing.assert_array_equal(np.asarray(decoded.picture), upright)
    assert ("Turned upright as its EXIF orientation says." in decoded.notes) == (orientation > 1)
    look = looked_at(data)
    assert (look.width, look.height, look.notes) == (7, 4, ())


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["JPEG", "MPO", "AVIF"])
def test_lossy_formats_are_turned_upright_too(kind, orientation):
    upright = np.zeros((16, 48, 3), np.uint8)
    upright[:8, :24] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    several = {"save_all": True} if kind == "MPO" else {}
    data = saved(Image.fromarray(stored_as(upright, orientation)), kind, exif=exif, **several)
    difference = pixels(data).astype(int) - upright
    assert np.abs(difference).mean() < 4


def test_a_16_bit_grey_picture_is_turned_too():
    upright = (noise(4, 7, channels=1).astype(np.uint16)) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(stored_as(upright, 6)), "PNG", exif=exif)
    np.testing.assert_array_equal(pixels(data), upright // 257)


def test_damaged_exif_leaves_the_picture_as_stored():
    values = noise(4, 7)
    data = saved(Image.fromarray(values), "PNG", exif=b"Exif\0\0not a TIFF header")
    decoded = decode(data)
    np.testing.assert_array_equal(np.asarray(decoded.picture), values)
    assert decoded.notes == ("Its EXIF data is damaged, so it is shown as stored.",)


def test_16_bit_grey_png_is_scaled_and_not_clipped():
    decoded = decode(png(4, 1, 16, 0, [struct.pack(">4H", 0, 0x00FF, 0x80FF, 0xFFFF)]))
    assert decoded.picture.mode == "L"
    assert np.asarray(decoded.picture).tolist() == [[0, 1, 128, 255]]
    assert decoded.notes == ("16 bits a pixel, scaled to 8.",)


def test_16_bit_grey_png_shows_its_transparent_value_as_white():
    row = struct.pack(">3H", 0x1000, 0x80FF, 0)
    data = png(3, 1, 16, 0, [row], before_data=[(b"tRNS", struct.pack(">H", 0x1000))])
    assert pixels(data).tolist() == [[255, 128, 0]]


@pytest.mark.parametrize(("order", "photometric"), [("<", 0), ("<", 1), (">", 1)])
def test_16_bit_grey_tiff_in_both_byte_orders_and_polarities(order, photometric):
    values = [0, 0x80FF, 0xFFFF, 65_535 - 128]
    short, long = 3, 4
    entries = [
        (256, long, 4),
        (257, long, 1),
        (258, short, 16),
        (259, short, 1),
        (262, short, photometric),
        (273, long, 8 + 2 + 12 * 9 + 4),
        (277, short, 1),
        (278, long, 1),
        (279, long, 8),
    ]
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    for tag, kind, value in entries:
        packed = struct.pack(order + ("H2x" if kind == short else "I"), value)
        data += struct.pack(order + "HHI", tag, kind, 1) + packed
    data += struct.pack(order + "I4H", 0, *values)
    expected = [0, 128, 255, 255] if photometric == 1 else [255, 127, 0, 0]
    assert pixels(data).tolist() == [expected]


def test_16_bit_pgm_is_scaled_by_its_own_maximum():
    data = b"P5\n3 1\n65535\n" + struct.pack(">3H", 0, 0x80FF, 0xFFFF)
    assert pixels(data).tolist() == [[0, 128, 255]]
    data = b"P5\n3 1\n1000\n" + struct.pack(">3H", 0, 500, 1000)
    assert pixels(data).tolist() == [[0, 128, 255]]


def test_16_bit_rgb_png_is_cut_to_8_and_says_so():
    decoded = decode(png(1, 1, 16, 2, [struct.pack(">3H", 0x12FF, 0x80FF, 0xFFFF)]))
    assert np.asarray(decoded.picture).tolist() == [[[0x12, 0x80, 0xFF]]]
    assert decoded.notes == ("16 bits a channel, cut to 8.",)


@pytest.mark.parametrize(("mode", "kind"), [("F", "floating-point"), ("I", "32-bit or signed")])
def test_numbers_without_a_range_are_refused(mode, kind):
    data = saved(Image.new(mode, (5, 3), 1), "TIFF")
    with pytest.raises(UnreadableImage) as caught:
        decode(data)
    assert str(caught.value) == (
        f"The pixels are {kind} numbers with no defined range: save the picture with 8 or 16 bits."
    )


def test_alpha_is_laid_on_white():
    values = noise(5, 8, channels=4)
    decoded = decode(saved(Image.fromarray(values, "RGBA"), "PNG"))
    colour, alpha = values[..., :3].astype(float), values[..., 3:].astype(float) / 255
    expected = colour * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(np.asarray(decoded.picture), expected, atol=1)
    assert decoded.notes == ("Its transparent parts are shown on white.",)


def test_grey_with_alpha_is_laid_on_white():
    data = png(3, 1, 8, 4, [bytes([0, 255, 0, 0, 100, 51])])
    assert pixels(data)[..., 0].tolist() == [[0, 255, 224]]


def test_an_opaque_alpha_channel_changes_nothing_and_is_not_mentioned():
    values = noise(5, 8, channels=4)
    values[..., 3] = 255
    decoded = decode(saved(Image.fromarray(values, "RGBA"), "PNG"))
    np.testing.assert_array_equal(np.asarray(decoded.picture), values[..., :3])
    assert decoded.notes == ()


def test_palette_with_a_transparent_entry():
    palette = bytes([10, 20, 30, 200, 100, 50, 0, 0, 255])
    chunks = [(b"PLTE", palette), (b"tRNS", bytes([255, 0]))]
    data = png(3, 1, 8, 3, [bytes([0, 1, 2])], before_data=chunks)
    assert pixels(data).tolist() == [[[10, 20, 30], [255, 255, 255], [0, 0, 255]]]


def test_palette_without_transparency():
    palette = bytes([10, 20, 30, 200, 100, 50])
    data = png(2, 1, 8, 3, [bytes([1, 0])], before_data=[(b"PLTE", palette)])
    assert pixels(data).tolist() == [[[200, 100, 50], [10, 20, 30]]]


def test_one_bit_is_black_and_white():
    assert pixels(png(4, 1, 1, 0, [bytes([0b01010000])])).tolist() == [[0, 255, 0, 255]]


def test_cmyk_is_converted():
    inks = np.array([[[0, 255, 255, 0], [0, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    decoded = decode(saved(Image.fromarray(inks, "CMYK"), "TIFF"))
    expected = [[[255, 0, 0], [0, 0, 0], [0, 255, 255], [204, 204, 204]]]
    assert np.asarray(decoded.picture).tolist() == expected
    assert decoded.notes == ("CMYK, converted to RGB without its colour profile.",)


def test_cmyk_jpeg_with_inverted_inks():
    red = Image.new("CMYK", (16, 8), (0, 255, 255, 0))
    middle = pixels(saved(red, "JPEG", quality=95))[4, 8]
    np.testing.assert_allclose(middle, [255, 0, 0], atol=4)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_used(kind):
    first, second = Image.new("RGB", (6, 4), (255, 0, 0)), Image.new("RGB", (6, 4), (0, 0, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(saved(first, kind, save_all=True, append_images=[second], **options))
    assert np.asarray(decoded.picture)[2, 3].tolist() == [255, 0, 0]
    assert decoded.notes == ("The file holds several pictures; the first is used.",)


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_is_none_turns_nothing(orientation):
    values, exif = noise(4, 7), Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(values), "PNG", exif=exif)
    decoded = decode(data)
    np.testing.assert_array_equal(np.asarray(decoded.picture), values)
    look = looked_at(data)
    assert decoded.notes == () and (look.width, look.height) == (7, 4)


@pytest.mark.parametrize(("pages", "counted"), [(1, 1), (2, 2), (8, 8), (9, 9), (11, 9)])
@pytest.mark.parametrize("kind", ["TIFF", "GIF"])
def test_pages_are_counted_no_further_than_there_may_be(pages, counted, kind, monkeypatch):
    monkeypatch.setattr("reportgen.load.decode.MAX_SIDE", 8)
    made = [Image.new("L", (7, 4), 9 * page) for page in range(pages)]
    data = saved(made[0], kind, save_all=True, append_images=made[1:])
    found = looked_at(data, is_counted=True).slices
    assert found == (counted if kind == "TIFF" else pages)
    assert looked_at(data).slices is None


def test_a_picture_as_large_as_allowed_is_read():
    data = saved(Image.fromarray(noise(4, 7)), "PNG")
    assert decode(data, 28).picture.size == (7, 4)
    for of in (decode, looked_at):
        with pytest.raises(UnreadableImage) as caught:
            of(data, 27)
        assert str(caught.value) == (
            "The picture is larger than 2.7e-05 megapixels (--max-pixels) or 32,768 pixels a side."
        )


def test_what_the_decoder_warns_of_is_said_once(monkeypatch):
    data = saved(Image.fromarray(noise(4, 7)), "PNG")
    from reportgen.load import decode as module

    whole = module._decode

    def warning(*given):
        for text in ("odd  thing.", "odd thing", "other at <x at 0x12ab>"):
            warnings.warn(text, UserWarning, stacklevel=1)
        return whole(*given)

    monkeypatch.setattr(module, "_decode", warning)
    assert decode(data).notes == (
        "The decoder warns: odd thing.",
        "The decoder warns: other at data.",
    )


@pytest.mark.parametrize("is_before", [True, False])
def test_the_orientation_of_a_png_is_known_early_where_it_stands_early(is_before):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(noise(4, 7)), "PNG", exif=exif)
    if not is_before:
        at = data.index(b"eXIf") - 4
        chunk = data[at : at + 12 + int.from_bytes(data[at : at + 4], "big")]
        data = data.replace(chunk, b"").replace(data[-12:], chunk + data[-12:])
    look = looked_at(data)
    assert (look.width, look.height) == ((4, 7) if is_before else (7, 4))
    assert decode(data).picture.size == (4, 7)
