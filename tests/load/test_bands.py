"""Images of other bands than grey or RGB: every number as it stands in the file."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen.load.bands import Bands, looked, read
from reportgen.load.decode import UnreadableImage
from reportgen.load.images import image_set
from reportgen.report.arrays import Array
from reportgen.report.records import Preprocessing

LEVELS = np.random.default_rng(4).integers(0, 256, (4, 6, 9)).astype(np.uint8)
"(bands height width)"


def saved(values: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def bands(data: bytes, channels: int = 4) -> Array:
    picture, notes = read(data, channels)
    assert not notes
    assert isinstance(picture, Bands)
    return picture.values


@pytest.mark.parametrize(
    "values",
    [
        LEVELS,
        LEVELS.transpose(1, 2, 0),
        np.asfortranarray(LEVELS),
        LEVELS.astype(np.uint16) * 257,
        LEVELS.astype(">u2") * 257,
        LEVELS / 255,
        (LEVELS / 255).astype(np.float32),
    ],
    ids=[
        "bands first",
        "bands last",
        "column-major",
        "16 bits",
        "big-endian",
        "float64",
        "float32",
    ],
)
def test_an_array_is_read_as_shares_of_its_range(values: Array) -> None:
    found = bands(saved(values))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, LEVELS / 255, atol=1e-7)


def test_the_pages_of_a_tiff_are_bands() -> None:
    for levels, kind in ((LEVELS[:2], np.uint8), (LEVELS[:2].astype(np.uint16) * 257, np.uint16)):
        pages = [Image.fromarray(band.astype(kind)) for band in levels]
        stream = io.BytesIO()
        pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
        np.testing.assert_allclose(bands(stream.getvalue(), 2), LEVELS[:2] / 255, atol=1e-7)


def test_a_picture_with_a_fourth_channel_has_four_bands() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(LEVELS.transpose(1, 2, 0))).save(stream, "PNG")
    np.testing.assert_allclose(bands(stream.getvalue()), LEVELS / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (saved(LEVELS[:3]), "The array is 3 x 6 x 9, and the network takes 4 channels."),
        (saved(LEVELS[..., :4]), "either end may be the 4 bands"),
        (saved(LEVELS[None]), "give (bands height width)"),
        (saved(LEVELS[:, :0]), "give (bands height width)"),
        (saved(LEVELS.astype(np.int16)), "The array holds int16"),
        (saved(LEVELS > 9), "The array holds bool"),
        (saved(LEVELS / 100), "The values lie from 0"),
        (saved(np.full((4, 2, 3), 1.01)), "The values lie from 1.01 to 1.01: scale them to 0..1"),
        (saved(np.full((4, 2, 3), -0.01)), "The values lie from -0.01 to -0.01: scale them"),
        (saved(np.where(LEVELS > 9, np.nan, 0.5)), "The values lie from nan to nan"),
        (saved(np.array([{}, {}])), "other data than its header says, or objects"),
        (saved(LEVELS)[:-1], "other data than its header says, or objects"),
        (saved(LEVELS) + b"\0", "other data than its header says, or objects"),
        (saved(LEVELS).replace(b"(4, 6, 9)", b"(-4,-6,9)"), "cut short or damaged"),
        (saved(LEVELS)[:40], "cut short or damaged"),
        (b"\x93NUMPY\x09\x09", "cut short or damaged"),
        (saved(np.zeros((4, 1, 40_000), np.uint8)), "larger than"),
    ],
)
def test_what_is_not_so_many_bands_in_a_range_is_said(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableImage, match=re.escape(says)):
        read(data, 4)


def test_a_picture_of_other_channels_is_refused() -> None:
    stream = io.BytesIO()
    Image.fromarray(LEVELS[0]).save(stream, "PNG")
    with pytest.raises(UnreadableImage, match="does not have the 6 channels"):
        read(stream.getvalue(), 6)


def test_numbers_of_colours_are_no_bands() -> None:
    pages = [Image.fromarray(band).convert("P") for band in LEVELS]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableImage, match="does not have the 4 channels"):
        read(stream.getvalue(), 4)


def test_no_page_is_larger_than_the_first() -> None:
    pages = [Image.fromarray(LEVELS[0]), Image.new("L", (90, 60))]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableImage, match="larger than"):
        read(stream.getvalue(), 2, most=100)


def test_a_picture_of_four_bands_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    stream = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(LEVELS.transpose(1, 2, 0)))
    picture.save(stream, "PNG", exif=exif)
    found = bands(stream.getvalue())
    np.testing.assert_allclose(found, np.rot90(LEVELS, -1, (1, 2)) / 255, atol=1e-7)


def prepared(height: int, width: int) -> Preprocessing:
    return Preprocessing(
        height, width, min(height, width), "bilinear", (0.5,) * 4, (0.5,) * 4, 4, "stated", False
    )


def test_a_folder_of_arrays_is_a_set_of_images(tmp_path: Path) -> None:
    np.save(tmp_path / "field.npy", LEVELS)
    images = image_set([tmp_path], prepared(6, 9))
    assert [(file.path, file.width, file.height) for file in images.files] == [("field.npy", 9, 6)]
    np.testing.assert_allclose(images.pixels(0).numpy(), LEVELS / 255, atol=1e-7)
    (batch,) = images.batches(2)
    np.testing.assert_allclose(batch.numpy()[0], LEVELS / 127.5 - 1, atol=1e-6)
    thumbnail = images.thumbnail(0, 9)
    np.testing.assert_array_equal(thumbnail, LEVELS[:3].transpose(1, 2, 0))  # the first three


def test_each_band_is_resized_as_a_picture_of_numbers_is() -> None:
    image = Bands((LEVELS / 255).astype(np.float32))
    from reportgen.load.preprocessing import input_pixels

    found = input_pixels(image, prepared(3, 4)).numpy()
    for band, own in zip(found, image.values, strict=True):
        # The box of 3 x 4 is covered by 3 x 4 of 6 x 9: sides by half, and the middle columns.
        whole = Image.fromarray(own).resize((4, 3), Image.Resampling.BILINEAR)
        assert band.shape == (3, 4)
        np.testing.assert_allclose(band, np.array(whole), atol=1e-6)


def test_arrays_and_pages_as_large_as_allowed_are_read() -> None:
    array, stream = saved(LEVELS), io.BytesIO()
    pages = [Image.fromarray(band) for band in LEVELS]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    for data in (array, stream.getvalue()):
        found, notes = read(data, 4, most=6 * 9)
        assert isinstance(found, Bands) and found.size == (9, 6) and notes == ()
        look = looked(data, 4, most=6 * 9)
        assert (look.width, look.height, look.notes, look.slices) == (9, 6, (), None)
        for of in (read, looked):
            with pytest.raises(UnreadableImage) as caught:
                of(data, 4, most=6 * 9 - 1)
            assert str(caught.value) == (
                "The picture is larger than 5.3e-05 megapixels (--max-pixels) "
                "or 32,768 pixels a side."
            )
    for side, fits in ((32_768, True), (32_769, False)):
        for shape in ((2, side, 1), (2, 1, side)):
            data = saved(np.zeros(shape, np.uint8))
            if fits:
                assert bands(data, 2).shape == shape
            else:
                with pytest.raises(UnreadableImage, match="32,768 pixels a side"):
                    read(data, 2)


@pytest.mark.parametrize("count", [2, 4])
def test_pages_of_several_sizes_are_no_bands(count: int) -> None:
    sizes = [(6, 4), *[(4, 6)] * (count - 1)]
    pages, stream = [Image.new("L", size) for size in sizes], io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(UnreadableImage) as caught:
        read(stream.getvalue(), count)
    assert str(caught.value) == (
        f"The picture does not have the {count} channels that the network takes: give an .npy "
        "array (bands height width), or a TIFF with one grey page a band."
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_first_bands_are_pictured(count: int) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (count, 4, 5)).astype(np.uint8)
    shown = levels[:1] if count < 3 else levels[:3]
    image = Bands((levels / 255).astype(np.float32))
    assert image.size == (5, 4)
    found = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(found, np.broadcast_to(shown, found.shape))
    assert image.convert("L").mode == "L"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_of_every_version_of_their_format_are_read(version: tuple[int, int]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, LEVELS, version)
    np.testing.assert_allclose(bands(stream.getvalue()), LEVELS / 255, atol=1e-7)


def test_an_array_of_two_axes_is_grey() -> None:
    for values in (LEVELS[0], LEVELS[0][None], LEVELS[0][..., None]):
        np.testing.assert_allclose(bands(saved(values), 1), LEVELS[:1] / 255, atol=1e-7)
    with pytest.raises(UnreadableImage) as caught:
        read(saved(LEVELS[0]), 4)
    assert str(caught.value) == "The array is 6 x 9, and the network takes 4 channels."
