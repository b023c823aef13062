"""Volumes and videos from files: which slices are read, and what is said of what is none."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from reportgen.errors import ImageError, OptionError
from reportgen.load.decode import UnreadableImage
from reportgen.load.given_images import given_images
from reportgen.load.given_network import given_network
from reportgen.load.images import image_set
from reportgen.load.preprocessing import denormalise, input_pixels, normalise, preprocessing_for
from reportgen.load.volumes import FIRST, Volume, looked, picked_slices, read, slice_notes
from reportgen.options import Options
from reportgen.report.arrays import Array
from reportgen.report.records import Preprocessing

LEVELS = np.random.default_rng(4).integers(0, 256, (3, 5, 6, 9)).astype(np.uint8)
"(channels slices height width)"


def wanted(channels: int = 3, slices: int = 5, **other: object) -> Preprocessing:
    mean, std = (0.1, 0.2, 0.3)[:channels], (0.5, 0.4, 0.3)[:channels]
    made = Preprocessing(6, 9, 6, "bilinear", mean, std, channels, "", False, slices)
    return replace(made, **other)  # type: ignore[arg-type]


def saved(values: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def pages(levels: Array, kind: str = "TIFF") -> bytes:
    """Slices (slices height width [channels]) as pages of a picture file."""
    made = [Image.fromarray(np.ascontiguousarray(page)) for page in levels]
    stream = io.BytesIO()
    more = {"lossless": True} if kind == "WEBP" else {}
    made[0].save(stream, kind, save_all=True, append_images=made[1:], **more)
    return stream.getvalue()


def values(data: bytes, prepared: Preprocessing) -> Array:
    found, _ = read(data, prepared)
    assert isinstance(found, Volume)
    return found.values


@pytest.mark.parametrize(
    ("data", "channels", "expected"),
    [
        (saved(LEVELS), 3, LEVELS),
        (saved(LEVELS.transpose(1, 2, 3, 0)), 3, LEVELS),
        (saved(np.asfortranarray(LEVELS)), 3, LEVELS),
        (saved((LEVELS / 255).astype(np.float32)), 3, LEVELS),
        (saved(LEVELS.astype(np.uint16) * 257), 3, LEVELS),
        (saved(LEVELS[0]), 1, LEVELS[:1]),
        (saved(LEVELS[0]), 3, LEVELS[[0, 0, 0]]),
        (saved(LEVELS[:1]), 1, LEVELS[:1]),
        (saved(LEVELS[0][..., None]), 1, LEVELS[:1]),
        (saved(LEVELS[:2]), 2, LEVELS[:2]),
        (pages(LEVELS[0]), 1, LEVELS[:1]),
        (pages(LEVELS[0].astype(np.uint16) * 257), 1, LEVELS[:1]),
        (pages(LEVELS.transpose(1, 2, 3, 0)), 3, LEVELS),
        (pages(LEVELS.transpose(1, 2, 3, 0), "PNG"), 3, LEVELS),
        (pages(LEVELS.transpose(1, 2, 3, 0), "WEBP"), 3, LEVELS),
        (pages(LEVELS[0], "GIF"), 3, LEVELS[[0, 0, 0]]),
    ],
    ids=[
        *("channels first", "channels last", "column-major", "floats", "16 bits", "grey"),
        *("grey for colours", "one channel first", "one channel last", "two channels"),
        *("grey TIFF", "16-bit TIFF", "RGB TIFF", "animated PNG", "animated WebP", "grey GIF"),
    ],
)
def test_slices_are_read_from_arrays_and_pages(data: bytes, channels: int, expected: Array) -> None:
    prepared = wanted(channels) if channels < 3 else wanted()
    found = values(data, prepared)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected / 255, atol=1e-7)
    look = looked(data, prepared)
    assert (look.slices, look.height, look.width) == (5, 6, 9)


def test_picked_slices_are_the_middles_of_equal_parts() -> None:
    for available in range(1, 40):
        for count in range(1, 24):
            # Slice k covers [k, k + 1) of the whole; a part ends where the next begins.
            middles = [(part + 0.5) * available / count for part in range(count)]
            expected = [next(k for k in range(available) if k + 1 > m) for m in middles]
            assert picked_slices(available, count) == expected
    assert picked_slices(7, 7) == list(range(7))
    assert picked_slices(9, 3) == [1, 4, 7]
    assert picked_slices(2, 4) == [0, 0, 1, 1]


@pytest.mark.parametrize("data", [saved(LEVELS), pages(LEVELS.transpose(1, 2, 3, 0))])
@pytest.mark.parametrize("count", [2, 5, 8])
def test_as_many_slices_are_given_as_are_wanted(data: bytes, count: int) -> None:
    found = values(data, wanted(slices=count))
    np.testing.assert_allclose(found, LEVELS[:, picked_slices(5, count)] / 255, atol=1e-7)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_pages_that_store_only_what_changed_are_whole(kind: str) -> None:
    frames = np.zeros((7, 20, 30), np.uint8)
    for index in range(7):
        frames[index:, 2 * index : 2 * index + 3, 3 * index : 3 * index + 4] = 40 + 30 * index
    # Of seven the second, fourth and sixth: those between are read over.
    found = values(pages(frames, kind), wanted(1, 3))
    np.testing.assert_allclose(found[0], frames[[1, 3, 5]] / 255, atol=0.011)


@pytest.mark.parametrize(
    ("data", "channels", "says"),
    [
        (saved(LEVELS), 1, "The array is 3 x 5 x 6 x 9, and the network takes 1 channel: give"),
        (saved(LEVELS[:, :, :, :3]), 3, "either end may be the 3 channels"),
        (saved(LEVELS[:, 0]), 3, "The array is 3 x 6 x 9, which may be one picture"),
        (saved(LEVELS[:, 0].transpose(1, 2, 0)), 3, "which may be one picture"),
        (saved(LEVELS[0]), 2, "which may be one picture"),
        (saved(LEVELS[0, 0]), 1, "The array is 6 x 9, and the network takes volumes or videos"),
        (saved(LEVELS[:, :, :0]), 3, "give (slices height width) in grey"),
        (saved(LEVELS.astype(np.int32)), 3, "The array holds int32"),
        (saved(LEVELS / 100), 3, "scale them to 0..1"),
        (saved(LEVELS)[:-1], 3, "cut short or damaged"),
        (saved(np.zeros((1, 40_000, 1), np.uint8)), 1, "a side is longer than 32,768"),
        (pages(LEVELS[0, :1]), 1, "This is one picture, and the network takes volumes or videos"),
        (pages(LEVELS[0]), 2, "volumes or videos of 2 channels, which picture files do not hold"),
        (b"\0\0\0\x18ftypisom", 3, "Films are not decoded here: save the frames as a GIF"),
        (b"GIF89a", 3, "The GIF file is damaged"),
    ],
)
def test_what_is_no_volume_of_the_network_is_said(data: bytes, channels: int, says: str) -> None:
    with pytest.raises(UnreadableImage, match=re.escape(says)):
        looked(data, wanted(channels))
        read(data, wanted(channels))


def test_limits_are_of_all_slices_together() -> None:
    for data in (saved(LEVELS), pages(LEVELS.transpose(1, 2, 3, 0))):
        assert looked(data, wanted(), most=5 * 6 * 9).slices == 5
        with pytest.raises(UnreadableImage, match="All slices together have more than"):
            looked(data, wanted(), most=5 * 6 * 9 - 1)


def test_what_the_network_would_be_given_is_limited_too() -> None:
    tiny = saved(np.zeros((900, 1, 1), np.uint8))
    for slices in (FIRST, 900):
        large = wanted(1, slices, height=300, width=300)
        with pytest.raises(UnreadableImage, match="900 slices of 300 x 300, as the network would"):
            looked(tiny, large)
    assert looked(tiny, wanted(1, 700, height=300, width=300)).slices == 900


def test_pages_of_several_sizes_are_no_slices() -> None:
    first, other = (Image.fromarray(LEVELS[0, 0, :height]) for height in (6, 4))
    stream = io.BytesIO()
    first.save(stream, "TIFF", save_all=True, append_images=[other])
    with pytest.raises(UnreadableImage, match="pages are of several sizes"):
        read(stream.getvalue(), wanted(1, 2))


def test_each_slice_goes_through_what_a_picture_of_it_would() -> None:
    """Resize, crop and normalisation against Pillow and plain arithmetic, slice by slice."""
    prepared = wanted(height=3, width=4, resize=4)
    found = input_pixels(Volume(values(saved(LEVELS), prepared)), prepared)
    assert found.shape == (3, 5, 3, 4) and found.dtype == torch.float32
    for channel in range(3):
        for index in range(5):
            plane = Image.fromarray((LEVELS[channel, index] / 255).astype(np.float32))
            # A box of 4 x 16/3 covers 6 x 9 at the scale 2/3: 6 wide, of which the middle is cut.
            expected = np.asarray(plane.resize((6, 4), Image.Resampling.BILINEAR))[0:3, 1:5]
            np.testing.assert_allclose(found[channel, index], expected, atol=1e-6)
    given = normalise(found, prepared)
    for channel in range(3):
        plain = (found[channel] - prepared.mean[channel]) / prepared.std[channel]
        torch.testing.assert_close(given[channel], plain)
    torch.testing.assert_close(denormalise(given, prepared), found)


def folder_of(folder: Path, *counts: int) -> Path:
    for index, count in enumerate(counts):
        np.save(folder / f"{index}.npy", np.resize(LEVELS[0], (count, 6, 9)))
    return folder


def test_the_first_file_says_how_many_slices_all_have(tmp_path: Path) -> None:
    images = image_set([folder_of(tmp_path, 5, 9, 2)], wanted(1, FIRST))
    assert images.preprocessing.slices == 5
    assert [batch.shape for batch in images.batches(2)] == [(2, 1, 5, 6, 9), (1, 1, 5, 6, 9)]
    assert [file.notes for file in images.files] == [
        (),
        ("The network is given 5 of its 9 slices, evenly spread.",),
        ("It has 2 slices, which are repeated to make 5.",),
    ]
    assert [(file.width, file.height) for file in images.files] == [(9, 6)] * 3
    # The page shows the middle one of those that the network is given: of nine the fifth.
    raw = np.load(tmp_path / "1.npy")
    assert np.array_equal(images.thumbnail(1, 64)[..., 0], raw[4])


def test_a_damaged_first_file_says_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path, 9, 5, 2)
    damaged = np.resize(LEVELS[0] / 255, (9, 6, 9))
    damaged[4, 2, 3] = 7.0  # behind what is looked at before it is read
    np.save(tmp_path / "0.npy", damaged)
    images = image_set([tmp_path], wanted(1, FIRST))
    assert images.preprocessing.slices == 5
    assert [file.path for file in images.files] == ["1.npy", "2.npy"]
    assert [one.path for one in images.skipped] == ["0.npy"]


def test_frames_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    frames = [Image.fromarray(page) for page in LEVELS[0]]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:], exif=exif)
    seen = looked(stream.getvalue(), wanted(1))
    found = values(stream.getvalue(), wanted(1))
    assert (seen.slices, seen.height, seen.width) == (5, 9, 6) == found.shape[1:]
    np.testing.assert_allclose(found[0], np.rot90(LEVELS[0], -1, (1, 2)) / 255, atol=1e-7)


def test_a_picture_of_a_phone_is_no_film() -> None:
    with pytest.raises(UnreadableImage, match="HEIC picture"):
        looked(b"\0\0\0\x18ftypheic", wanted())
    with pytest.raises(UnreadableImage, match="Films are not decoded"):
        looked(b"\0\0\0\x18ftypisom", wanted())


def test_what_is_no_volume_is_skipped_with_the_reason(tmp_path: Path) -> None:
    folder_of(tmp_path, 5)
    Image.fromarray(LEVELS[0, 0]).save(tmp_path / "photo.png")
    np.save(tmp_path / "far.npy", np.stack([LEVELS[0] * 0.0, LEVELS[0] * 7.0])[:, 0])
    images = image_set([tmp_path], wanted(1, 2))
    assert [file.path for file in images.files] == ["0.npy"]
    reasons = {one.path: one.reason for one in images.skipped}
    assert "This is one picture" in reasons["photo.png"]
    assert "scale them to 0..1" in reasons["far.npy"]


class Net(nn.Module):
    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, 2, 3)


def test_a_network_that_begins_with_a_conv3d_takes_volumes() -> None:
    loaded = given_network(Net(2))
    assert loaded.takes_volumes and loaded.in_channels == 2
    assert not given_network(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Conv3d(1, 1, 1))).takes_volumes
    options = Options(Path(), (), input_size=(6, 9), mean=(0.1, 0.2), std=(0.5, 0.5))
    assumed = preprocessing_for(loaded, options)
    assert assumed.slices == FIRST and not assumed.is_assumed
    assert assumed.source.endswith("as many slices as the first file has (--slices)")
    stated = preprocessing_for(loaded, replace(options, slices=7, crop_pct=1.0))
    assert (stated.slices, stated.source) == (7, "stated by flag")
    pictures = given_network(nn.Conv2d(2, 2, 3))
    assert preprocessing_for(pictures, options).slices is None
    with pytest.raises(OptionError, match="--slices 7: this network takes pictures"):
        preprocessing_for(pictures, replace(options, slices=7))


def test_tensors_of_a_program_are_volumes_where_they_have_an_axis_more() -> None:
    tensor = torch.from_numpy(LEVELS)[None].repeat(2, 1, 1, 1, 1)
    given = given_images(tensor, is_normalised=False)
    assert (given.slices, given.size, len(given.items)) == (5, (6, 9), 2)
    images = given.prepared(wanted(slices=FIRST))
    assert images.preprocessing.slices == 5 and images.preprocessing.resize is None
    np.testing.assert_allclose(images.pixels(1), LEVELS / 255, atol=1e-7)
    (batch,) = images.batches(2)
    torch.testing.assert_close(batch[1], normalise(images.pixels(1), images.preprocessing))
    assert np.array_equal(images.thumbnail(0, 64), LEVELS[:, 2].transpose(1, 2, 0))
    assert images.files[0].sha256 == images.files[1].sha256
    with pytest.raises(ImageError, match=r"give a tensor \(n channels slices height width\)"):
        given_images(tensor[:, :, 0], is_normalised=False).prepared(wanted(slices=FIRST))
    with pytest.raises(ImageError, match="and the network takes pictures"):
        given.prepared(replace(wanted(), slices=None))


def test_pages_as_large_as_allowed_are_read() -> None:
    data = pages(LEVELS.transpose(1, 2, 3, 0))
    for count in (2, 5, 8):
        found, notes = read(data, wanted(slices=count), most=6 * 9 * count)
        assert isinstance(found, Volume) and found.values.shape == (3, count, 6, 9)
        assert notes == ()
        with pytest.raises(UnreadableImage, match="larger than"):
            read(data, wanted(slices=count), most=6 * 9 * count - 1)


def test_a_volume_is_pictured_by_its_middle_slice() -> None:
    for count, height, width in ((9, 2, 3), (2, 9, 3), (4, 3, 8)):
        levels = np.random.default_rng(1).integers(0, 256, (3, count, height, width))
        volume = Volume((levels / 255).astype(np.float32))
        assert volume.size == (width, height)
        shown = np.asarray(volume.convert("RGB")).transpose(2, 0, 1)
        assert np.array_equal(shown, levels[:, (count - 1) // 2])  # of two the first


@pytest.mark.parametrize(
    ("available", "count", "said"),
    [
        (None, 5, []),
        (5, None, []),
        (5, 5, []),
        (6, 5, ["The network is given 5 of its 6 slices, evenly spread."]),
        (4, 5, ["It has 4 slices, which are repeated to make 5."]),
        (1, 5, ["It has 1 slice, which is repeated to make 5."]),
    ],
)
def test_what_was_done_to_have_as_many_slices_is_said(
    available: int | None, count: int | None, said: list[str]
) -> None:
    assert list(slice_notes(available, replace(wanted(), slices=count))) == said


def test_limits_of_arrays_and_of_what_is_given() -> None:
    long = saved(np.zeros((32_769, 1, 1), np.uint8))
    with pytest.raises(UnreadableImage) as caught:
        looked(long, wanted(1, 2), most=10**6)
    assert str(caught.value) == (
        "All slices together have more than 1 megapixels (--max-pixels), or a side is longer than "
        "32,768."
    )
    assert looked(saved(np.zeros((32_768, 1, 1), np.uint8)), wanted(1, 2)).slices == 32_768
    given = wanted(1, 7, height=3, width=4)
    tiny = saved(np.zeros((2, 1, 1), np.uint8))
    assert looked(tiny, given, most=7 * 3 * 4).slices == 2
    with pytest.raises(UnreadableImage) as caught:
        looked(tiny, given, most=7 * 3 * 4 - 1)
    assert str(caught.value) == (
        "7 slices of 3 x 4, as the network would be given, are more than 8.3e-05 megapixels "
        "(--max-pixels): give it fewer with --slices."
    )
