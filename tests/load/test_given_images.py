"""Images in memory: what is taken from each, and what is refused in a sentence that says why."""

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
