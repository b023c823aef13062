"""Images in memory: what is taken from each, and what is refused in a sentence that says why."""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen.errors import ImageError, OptionError
from reportgen.load.given_images import GivenImages, given_images
from reportgen.load.preprocessing import input_pixels
from reportgen.load.volumes import Volume
from reportgen.report.records import Preprocessing
from tests.load.picture_files import noise

PREPROCESSING = Preprocessing(4, 6, None, "", (0.5,) * 3, (0.5,) * 3, 3, "stated by flag", False)


def given(images: Any) -> GivenImages:
    return given_images(images, is_normalised=False)


def test_a_batch_with_another_count_of_classes_is_refused_with_both_numbers() -> None:
    batch = torch.rand(3, 3, 4, 6)
    assert given([(batch, torch.tensor([2, 0, 1]))]).classes == (2, 0, 1)
    with pytest.raises(OptionError, match=r"^2 classes are stated for 3 images\."):
        given([(batch, torch.tensor([2, 0]))])
    with pytest.raises(OptionError, match=r"^1 classes are stated for 3 images\. Volumes"):
        given([(batch, 2)])


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ("photos", "str"),
        (b"\x89PNG", "bytes"),
        ({"images": torch.rand(1, 3, 4, 6)}, "dict"),
        (Image.new("RGB", (6, 4)), "Image"),
    ],
)
def test_what_could_be_walked_through_but_holds_no_images_is_named(images: Any, kind: str) -> None:
    with pytest.raises(OptionError, match=rf"^Images cannot be read from a {kind}\. Give paths"):
        given(images)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bool])
def test_numbers_that_are_no_pixels_are_named(dtype: torch.dtype) -> None:
    images = [torch.ones(3, 4, 6), torch.ones(3, 4, 6, dtype=dtype)]
    with pytest.raises(OptionError, match=rf"^Image 1 holds {dtype}, which are no pixels\.$"):
        given(images)


def inverted_inks(rgb: np.ndarray[Any, Any]) -> Image.Image:
    """A picture of these colours in four inks, of which black is not used."""
    inks = np.concatenate([255 - rgb, np.zeros_like(rgb[..., :1])], -1)
    return Image.fromarray(inks, "CMYK")


def hue_of(_: np.ndarray[Any, Any]) -> Image.Image:
    return Image.new("HSV", (6, 4), (85, 255, 255))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (inverted_inks, noise(4, 6)),
        (hue_of, np.broadcast_to(np.uint8([0, 255, 0]), (4, 6, 3))),
    ],
    ids=["CMYK", "HSV"],
)
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_colours_that_a_png_cannot_hold_are_converted(
    make: Callable[[Any], Image.Image], expected: np.ndarray[Any, Any]
) -> None:
    prepared = given([make(noise(4, 6))]).prepared(PREPROCESSING)
    np.testing.assert_allclose(np.asarray(prepared.picture(0), int), expected, atol=1)


COLOURS = noise(4, 6)
GREY = noise(4, 6, channels=1)
ALPHA = np.arange(24, dtype=np.uint8).reshape(4, 6) * 11


def see_through(colours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Colours with `ALPHA` on white."""
    share = ALPHA[..., None] / 255
    return np.asarray(colours * share + 255 * (1 - share))


def of_palette() -> Image.Image:
    """Of three colours, the second of which is not seen."""
    picture = Image.fromarray(GREY % 3).convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 255])
    picture.info["transparency"] = bytes([255, 0, 255])
    return picture


def with_alpha() -> Image.Image:
    """Of a palette, and seen through by pixel."""
    picture = Image.fromarray(GREY).convert("P")
    picture.putalpha(Image.fromarray(ALPHA))
    return picture


PALETTE = np.uint8([[10, 20, 30], [255, 255, 255], [0, 0, 255]])
GREYS = np.repeat(GREY[..., None], 3, -1)
KINDS: dict[str, tuple[Callable[[], Image.Image], Any]] = {
    "1": (lambda: Image.fromarray(GREY > 99), (GREY > 99) * 255),
    "L": (lambda: Image.fromarray(GREY), GREY),
    "LA": (lambda: Image.fromarray(np.stack([GREY, ALPHA], -1)), see_through(GREYS)),
    "P": (of_palette, PALETTE[GREY % 3]),
    "PA": (with_alpha, see_through(GREYS)),
    "La": (lambda: Image.fromarray(np.stack([GREY, ALPHA], -1)).convert("La"), see_through(GREYS)),
    "RGB": (lambda: Image.fromarray(COLOURS), COLOURS),
    "RGBA": (lambda: Image.fromarray(np.dstack([COLOURS, ALPHA])), see_through(COLOURS)),
    "RGBa": (
        lambda: Image.fromarray(np.dstack([COLOURS, ALPHA])).convert("RGBa"),
        see_through(COLOURS),
    ),
    "I;16": (lambda: Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
    **{
        mode: (lambda mode=mode: Image.frombytes(mode, (6, 4), GREY.repeat(2).tobytes()), GREY)
        for mode in ("I;16B", "I;16L", "I;16N")
    },
}


@pytest.mark.parametrize("mode", KINDS)
def test_pictures_of_every_kind_are_seen_as_from_a_file(mode: str) -> None:
    make, expected = KINDS[mode]
    picture = make()
    assert picture.mode == mode
    images = given([picture]).prepared(PREPROCESSING)
    found = images.picture(0)
    assert isinstance(found, Image.Image)
    assert found.mode == ("L" if mode in ("1", "L") or mode.startswith("I;16") else "RGB")
    np.testing.assert_allclose(np.asarray(found, float), expected, atol=2)
    file = images.files[0]
    assert (file.path, file.slug, file.width, file.height) == ("image-0", "image-0", 6, 4)
    size = hashlib.sha256(f"{found.mode} 4 6 ".encode() + found.tobytes()).hexdigest()
    assert file.sha256 == size


def test_tensors_are_known_by_their_shape_and_numbers() -> None:
    values = torch.rand(2, 3, 4, 6)
    images = given(values).prepared(replace(PREPROCESSING, resize=8, interpolation="bicubic"))
    assert images.preprocessing == replace(PREPROCESSING, resize=None, interpolation="")
    for file, one in zip(images.files, values, strict=True):
        content = b"3 4 6 " + one.numpy().tobytes()
        assert file.sha256 == hashlib.sha256(content).hexdigest()
    turned = given(values.transpose(2, 3)).prepared(PREPROCESSING).files
    content = b"3 6 4 " + values[1].transpose(1, 2).contiguous().numpy().tobytes()
    assert turned[1].sha256 == hashlib.sha256(content).hexdigest()


def test_pillow_images_are_prepared_as_files_are() -> None:
    picture = Image.fromarray(noise(8, 12))
    prepared = replace(PREPROCESSING, resize=4, interpolation="bilinear")
    images = given([(picture, 2), (Image.new("L", (1, 1)), None)]).prepared(prepared)
    assert images.preprocessing == prepared
    assert torch.equal(images.pixels(0), input_pixels(picture, prepared))
    assert [file.true_index for file in images.files] == [2, None]
    assert images.files[0].notes == ()
    assert images.files[1].notes == (
        "The file has only 1 x 1 pixels; the network sees it enlarged 6.0 times.",
    )


def test_a_picture_that_no_file_could_be_is_refused_by_its_number() -> None:
    pictures = [Image.new("L", (6, 4)), Image.new("L", (40_000, 1))]
    with pytest.raises(ImageError, match=r"^Image 1 cannot be used: .*(large|pixels)"):
        given(pictures).prepared(PREPROCESSING)


def test_values_that_the_network_takes_are_shown_as_the_pixels_that_they_were() -> None:
    pixels = torch.rand(2, 3, 4, 6)
    images = given_images((pixels - 0.5) / 0.5, is_normalised=True).prepared(PREPROCESSING)
    assert torch.allclose(images.pixels(1), pixels[1], atol=1e-6)
    plain = given(pixels).prepared(PREPROCESSING)
    assert torch.equal(plain.pixels(1), pixels[1]) and plain.preprocessing.resize is None
    assert [(file.path, file.width, file.height) for file in plain.files] == [
        ("image-0", 6, 4),
        ("image-1", 6, 4),
    ]
    levels = (255 * pixels[1]).round().permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(plain.picture(1), float), levels)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (5, "RGB")])
def test_tensors_of_any_channels_are_pictured_by_their_first(channels: int, mode: str) -> None:
    values = torch.rand(1, channels, 4, 6)
    one = replace(PREPROCESSING, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
    found = given(values).prepared(one).picture(0)
    shown = (255 * values[0, : 3 if mode == "RGB" else 1]).round().permute(1, 2, 0).numpy()
    assert found.mode == mode and isinstance(found, Image.Image)
    assert np.array_equal(np.asarray(found, float).reshape(shown.shape), shown)
    with pytest.raises(ImageError, match=f"have {channels} channels, and the network takes 4"):
        given(values).prepared(replace(one, channels=4))


def test_images_of_several_sizes_or_kinds_are_refused() -> None:
    for others in ([torch.rand(3, 4, 5)], [Image.new("L", (6, 4))]):
        with pytest.raises(OptionError, match="of several sizes or kinds"):
            given([torch.rand(3, 4, 6), *others])
    assert given([torch.rand(3, 4, 6), torch.rand(3, 4, 6)]).size == (4, 6)
    assert given([Image.new("L", (6, 4)), Image.new("L", (9, 9))]).size is None
    with pytest.raises(ImageError, match="There is no image among those given"):
        given([])


def test_entries_are_images_or_pairs_with_a_class() -> None:
    image = torch.rand(3, 4, 6)
    for entry, index in (
        (image, None),
        ((image,), None),
        ([image, 2], 2),
        ((image, np.array([1])), 1),
        ((image, torch.tensor(3)), 3),
    ):
        assert given([entry]).classes == (index,)
    assert given([(image[None], 4)]).classes == (4,)
    assert len(given(image).items) == 1 and len(given(image[None]).items) == 1
    for wrong in (True, 1.0, "cat", torch.tensor([1, 2])):
        with pytest.raises(OptionError, match="give its index among the network's outputs"):
            given([(image, wrong)])
    for shape in ((4, 6), (0, 4, 6), (1, 1, 1, 3, 4, 6)):
        with pytest.raises(OptionError, match=r"Image 0 has the shape"):
            given([torch.zeros(shape)])


def test_bytes_are_shares_of_255_and_other_numbers_are_refused() -> None:
    levels = torch.arange(72, dtype=torch.uint8).reshape(3, 4, 6)
    assert torch.equal(given([levels]).items[0], levels / 255)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"holds torch\.int16: give floats in 0\.\.1, or uint8"):
        given([levels.short()])
    for value in (-0.01, 1.01, float("nan")):
        with pytest.raises(OptionError, match=r"and pixels lie in 0\.\.1"):
            given([torch.full((3, 4, 6), value)])
    bounds = torch.zeros(3, 4, 6)
    bounds[0] = 1
    assert torch.equal(given([bounds]).items[0], bounds)  # type: ignore[arg-type]


def test_random_numbers_are_as_they_were() -> None:
    def images() -> Iterator[torch.Tensor]:
        for _ in range(2):
            yield torch.rand(3, 4, 6) * random.random() * float(np.random.rand())

    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    given(images())
    assert random.getstate() == states[0] and np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


class Photos:
    """A data set that is asked by number, as PyTorch's are."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index > 1:
            raise AssertionError("asked for more than there are")
        return torch.full((3, 4, 6), index / 2), index


def test_a_data_set_is_asked_by_number() -> None:
    found = given(Photos())
    assert found.classes == (0, 1) and float(found.items[1][0, 0, 0]) == 0.5  # type: ignore
    with pytest.raises(OptionError, match=r"^Images cannot be read from a int\."):
        given(3)


def test_what_is_no_image_is_named_by_its_number() -> None:
    with pytest.raises(OptionError, match=r"^Image 1 is a str\. Give paths"):
        given([torch.rand(3, 4, 6), "photo.png"])
    for mode in ("I", "F"):
        with pytest.raises(
            OptionError, match=rf"^Image 0 is in Pillow's mode {mode}, which has no"
        ):
            given([Image.new(mode, (6, 4))])


def test_volumes_outside_of_the_range_are_shown_as_its_ends() -> None:
    values = torch.linspace(-2, 2, 2 * 3 * 3 * 4 * 6).reshape(2, 3, 3, 4, 6)
    volumes = replace(PREPROCESSING, slices=3)
    images = given_images(values, is_normalised=True).prepared(volumes)
    assert torch.allclose(images.pixels(1), values[1] * 0.5 + 0.5)
    for index in range(2):
        shown = images.picture(index)
        assert isinstance(shown, Volume)
        expected = (values[index] * 0.5 + 0.5).clamp(0, 1).numpy()
        np.testing.assert_allclose(shown.values, expected, atol=1e-7)
    plain = given_images(values[:, :, 0], is_normalised=True).prepared(PREPROCESSING)
    levels = ((values[0, :, 0] * 0.5 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0)
    assert np.array_equal(np.asarray(plain.picture(0), float), levels.numpy())
