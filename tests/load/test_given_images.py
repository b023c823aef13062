"""Images in memory: what is taken from each, and what is refused in a sentence that says why."""

from collections.abc import Callable
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
    with pytest.raises(OptionError, match=r"^2 classes are stated for 3 images\.$"):
        given([(batch, torch.tensor([2, 0]))])
    with pytest.raises(OptionError, match=r"^1 classes are stated for 3 images\.$"):
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
