from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import (
    EfficientNet_B3_Weights,
    SqueezeNet1_1_Weights,
    Swin_T_Weights,
    ViT_B_16_Weights,
)
from torchvision.transforms import InterpolationMode, v2

from reportgen.errors import OptionError
from reportgen.load.model import LoadedModel
from reportgen.load.preprocessing import (
    crop_box,
    denormalise,
    input_pixels,
    normalise,
    preprocessing_for,
)
from reportgen.options import Options
from reportgen.report.records import Preprocessing

PHOTOS = sorted((Path(__file__).parents[2] / "sample_models" / "photos").iterdir())
PUBLISHED = Preprocessing(
    height=224,
    width=224,
    resize=256,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    channels=3,
    source="published with torchvision's weights",
    is_assumed=False,
)
GREY = replace(PUBLISHED, height=28, width=28, resize=28, mean=(0.5,), std=(0.5,), channels=1)


def loaded(**changes):
    known = LoadedModel(
        module=nn.Identity(),
        file="net.pth",
        sha256="",
        architecture="net",
        architecture_source="",
        format="state_dict",
        dtype="float32",
        preprocessing=PUBLISHED,
        labels=(),
        labels_source="",
        in_channels=3,
        input_size=None,
        notes=(),
    )
    return replace(known, **changes)


def options(**stated):
    return Options(Path("net.pth"), (Path("images"),), **stated)


def noise(height, width):
    values = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def as_preprocessing(weights):
    """A torchvision preset in our words."""
    preset = weights.transforms()
    return replace(
        PUBLISHED,
        height=preset.crop_size[0],
        width=preset.crop_size[0],
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.name)
@pytest.mark.parametrize(
    "weights",
    [SqueezeNet1_1_Weights, Swin_T_Weights, EfficientNet_B3_Weights, ViT_B_16_Weights],
    ids=lambda weights: weights.__name__,
)
def test_photos_come_out_as_from_torchvisions_own_preset(photo, weights):
    picture = Image.open(photo).convert("RGB")
    preprocessing = as_preprocessing(weights.DEFAULT)
    ours = normalise(input_pixels(picture, preprocessing), preprocessing)
    torch.testing.assert_close(ours, weights.DEFAULT.transforms()(picture), rtol=0, atol=0)


@pytest.mark.parametrize("size", [(301, 200), (200, 301), (257, 256), (1, 40), (40, 1), (1, 1)])
def test_odd_sizes_come_out_as_from_torchvision(size):
    picture = noise(*size)
    reference = v2.Compose([v2.Resize(36, antialias=True), v2.CenterCrop(31), v2.PILToTensor()])(
        picture
    )
    ours = input_pixels(picture, replace(PUBLISHED, height=31, width=31, resize=36))
    torch.testing.assert_close(ours, reference.float() / 255, rtol=0, atol=0)


def test_without_a_resize_the_image_is_squeezed():
    picture = noise(30, 50)
    reference = v2.functional.resize(picture, [16, 20], InterpolationMode.BICUBIC)
    squeezed = replace(PUBLISHED, height=16, width=20, resize=None, interpolation="bicubic")
    expected = torch.from_numpy(np.array(reference)).permute(2, 0, 1) / 255
    torch.testing.assert_close(input_pixels(picture, squeezed), expected, rtol=0, atol=0)
    assert crop_box(50, 30, squeezed) == (0, 0, 50, 30)


@pytest.mark.parametrize("size", [(60, 100), (100, 60), (100, 100), (24, 300)])
def test_a_crop_that_is_not_square_is_filled_by_the_picture(size):
    height, width = size
    wide = replace(PUBLISHED, height=20, width=40, resize=24)
    # The smallest picture of the same proportions that covers 24 x 48, then its centre.
    scale = max(24 / height, 48 / width)
    resized = [int(height * scale + 1e-9), int(width * scale + 1e-9)]
    picture = noise(height, width)
    reference = v2.functional.center_crop(
        v2.functional.resize(picture, resized, InterpolationMode.BILINEAR), [20, 40]
    )
    expected = torch.from_numpy(np.array(reference)).permute(2, 0, 1) / 255
    ours = input_pixels(picture, wide)
    assert ours.shape == (3, 20, 40)
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)


def test_a_picture_of_the_right_size_passes_untouched():
    picture = noise(20, 40)
    exact = replace(PUBLISHED, height=20, width=40, resize=20)
    levels = (input_pixels(picture, exact) * 255).round().byte()
    np.testing.assert_array_equal(levels.permute(1, 2, 0).numpy(), np.asarray(picture))


def test_grey_becomes_rgb_by_repetition_and_rgb_grey_by_luma():
    grey = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
    small = replace(PUBLISHED, height=3, width=4, resize=3)
    repeated = input_pixels(grey, small)
    assert repeated.shape == (3, 3, 4)
    assert all(torch.equal(channel, repeated[0]) for channel in repeated)
    colours = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    luma = input_pixels(colours, replace(GREY, height=1, width=3, resize=1))
    assert luma.shape == (1, 1, 3)
    torch.testing.assert_close(
        luma.flatten(), torch.tensor([0.299, 0.587, 0.114]), rtol=0, atol=0.5 / 255
    )


def test_a_sliver_is_cropped_without_growing_past_memory():
    sliver = Image.fromarray(np.linspace(0, 255, 32_768).astype(np.uint8).reshape(1, -1))
    pixels = input_pixels(sliver, PUBLISHED)
    assert pixels.shape == (3, 224, 224)
    # The crop is 224/256 of one pixel wide: the middle of the ramp.
    torch.testing.assert_close(pixels, torch.full_like(pixels, 0.5), rtol=0, atol=1 / 255)


def test_the_two_ways_to_crop_agree(monkeypatch):
    picture = noise(30, 500)
    small = replace(PUBLISHED, height=28, width=28, resize=32)
    whole = input_pixels(picture, small)
    monkeypatch.setattr("reportgen.load.preprocessing.MAX_PIXELS", 1)
    torch.testing.assert_close(input_pixels(picture, small), whole, rtol=0, atol=1.01 / 255)


def test_the_crop_box_is_where_the_pixels_come_from():
    # A ramp across and another down tell from which place of the file a pixel came.
    height, width = 300, 452
    across = np.tile(np.linspace(0, 255, width), (height, 1))
    down = np.tile(np.linspace(0, 255, height)[:, None], (1, width))
    picture = Image.fromarray(np.stack([across, down, down], 2).round().astype(np.uint8))
    pixels = input_pixels(picture, PUBLISHED)
    left, top, right, bottom = crop_box(width, height, PUBLISHED)
    assert (right - left) == pytest.approx(bottom - top, rel=0.01)
    column = (left + (right - left) * (10 + 0.5) / 224 - 0.5) / (width - 1)
    row = (top + (bottom - top) * (200 + 0.5) / 224 - 0.5) / (height - 1)
    assert pixels[0, 100, 10].item() == pytest.approx(column, abs=1 / 255)
    assert pixels[1, 200, 50].item() == pytest.approx(row, abs=1 / 255)


def test_normalise_and_back():
    pixels = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    inputs = normalise(pixels, PUBLISHED)
    green = (pixels[1, 1, 2, 3].item() - 0.456) / 0.224
    assert inputs[1, 1, 2, 3].item() == pytest.approx(green, rel=1e-6)
    torch.testing.assert_close(denormalise(inputs, PUBLISHED), pixels)


def test_what_is_published_is_taken_whole():
    assert preprocessing_for(loaded(), options()) == PUBLISHED


def test_each_flag_overrides_its_part_alone():
    chosen = preprocessing_for(loaded(), options(input_size=(320, 240)))
    assert (chosen.height, chosen.width) == (320, 240)
    assert chosen.resize == 274  # 240 * 256 / 224, rounded down
    assert chosen.mean == PUBLISHED.mean
    assert chosen.source == (
        "size stated by flag; crop, mean and std published with torchvision's weights"
    )
    assert not chosen.is_assumed
    chosen = preprocessing_for(loaded(), options(crop_pct=0.9))
    assert (chosen.height, chosen.width, chosen.resize) == (224, 224, 248)
    chosen = preprocessing_for(loaded(), options(std=(0.5, 0.5, 0.5)))
    assert (chosen.mean, chosen.std) == (PUBLISHED.mean, (0.5, 0.5, 0.5))


def test_all_flags_leave_nothing_to_assume():
    stated = {"input_size": (32, 32), "crop_pct": 1.0, "mean": (0.1,) * 3, "std": (0.2,) * 3}
    chosen = preprocessing_for(loaded(preprocessing=None), options(**stated))
    assert chosen.source == "stated by flag"
    assert not chosen.is_assumed
    assert chosen.resize == 32


def test_a_size_that_the_network_fixes_is_taken_over_the_published_one():
    chosen = preprocessing_for(loaded(input_size=(384, 384)), options())
    assert (chosen.height, chosen.resize) == (384, 438)
    assert chosen.source == (
        "size read from the network; crop, mean and std published with torchvision's weights"
    )
    assert not chosen.is_assumed


def test_nothing_known_is_assumed_and_said():
    chosen = preprocessing_for(loaded(preprocessing=None), options())
    assert (chosen.height, chosen.width, chosen.resize) == (224, 224, 224)
    assert chosen.mean == (0.485, 0.456, 0.406)
    assert chosen.is_assumed
    assert chosen.source == (
        "nothing states the preprocessing, so assumed: input size 224 x 224 (--input-size), the "
        "largest centred crop (--crop-pct), mean 0.485 0.456 0.406 (--mean) and "
        "std 0.229 0.224 0.225 (--std)"
    )


def test_a_grey_network_with_a_fixed_size():
    grey = loaded(preprocessing=None, in_channels=1, input_size=(28, 28))
    chosen = preprocessing_for(grey, options())
    assert (chosen.height, chosen.resize, chosen.mean, chosen.std) == (28, 28, (0.5,), (0.5,))
    assert chosen.is_assumed
    stated = preprocessing_for(grey, options(mean=(0.286,), std=(0.353,)))
    assert not stated.is_assumed
    assert stated.source == (
        "size read from the network; mean and std stated by flag; "
        "nothing states the rest, so assumed: the largest centred crop (--crop-pct)"
    )


def test_published_colours_do_not_fit_a_network_with_one_channel():
    chosen = preprocessing_for(loaded(in_channels=1), options())
    assert (chosen.mean, chosen.std, chosen.channels) == ((0.5,), (0.5,), 1)
    assert chosen.is_assumed


def test_an_assumption_of_the_loader_stays_one_until_all_of_it_is_overridden():
    guessed = replace(PUBLISHED, is_assumed=True, source="assumed by the loader")
    assert preprocessing_for(loaded(preprocessing=guessed), options(crop_pct=0.9)).is_assumed
    stated = {"input_size": (32, 32), "crop_pct": 1.0, "mean": (0.1,) * 3, "std": (0.2,) * 3}
    assert not preprocessing_for(loaded(preprocessing=guessed), options(**stated)).is_assumed


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"mean": (0.5,)}, "--mean has 1 value, and the network takes 3 channels"),
        ({"std": (0.5, 0.5)}, "--std has 2 values, and the network takes 3 channels"),
        ({"mean": (123.7, 116.3, 103.5)}, "--mean 123.7 116.3 103.5 does not fit"),
        ({"std": (0.2, 0.0, 0.2)}, "--std 0.2 0 0.2 does not fit"),
        ({"std": (0.2, float("nan"), 0.2)}, "--std 0.2 nan 0.2 does not fit"),
        ({"crop_pct": 1.5}, "--crop-pct .* not 1.5"),
        ({"crop_pct": 0.0}, "--crop-pct .* not 0"),
        ({"input_size": (0, 224)}, "--input-size 0 224 is no size"),
    ],
)
def test_flags_that_make_no_sense(stated, message):
    with pytest.raises(OptionError, match=message):
        preprocessing_for(loaded(), options(**stated))


def test_other_counts_of_channels_are_halved_by_assumption():
    found = preprocessing_for(loaded(in_channels=4), options())
    assert (found.channels, found.mean, found.std) == (4, (0.5,) * 4, (0.5,) * 4)
    assert found.is_assumed and "mean 0.5 0.5 0.5 0.5 (--mean)" in found.source


def test_a_picture_is_resized_to_the_nearest_pixels_where_that_is_asked_for():
    picture = noise(30, 51)
    expected = np.asarray(picture.resize((20, 12), Image.Resampling.NEAREST))
    for name in ("nearest", "nearest-exact"):
        plain = replace(PUBLISHED, height=12, width=20, resize=None, interpolation=name)
        found = (input_pixels(picture, plain) * 255).round().byte().permute(1, 2, 0)
        np.testing.assert_array_equal(found.numpy(), expected)


def test_flags_at_their_limits():
    stated = {"mean": (0.0, 1.0, 0.5), "std": (1.0, 1e-300, 0.5), "crop_pct": 1.0}
    chosen = preprocessing_for(loaded(), options(**stated, input_size=(8_000, 8_000)))
    assert (chosen.mean, chosen.std) == (stated["mean"], stated["std"])
    assert (chosen.height, chosen.width, chosen.resize) == (8_000, 8_000, 8_000)
    assert preprocessing_for(loaded(), options(input_size=(1, 2))).width == 2
    range_of = {
        "mean": "does not fit pixels that run from 0 to 1: give values from 0 to 1.",
        "std": "does not fit pixels that run from 0 to 1: give values above 0, up to 1.",
    }
    for name, value in (("mean", -1e-9), ("mean", 1.5), ("std", 0.0), ("std", 1.5)):
        with pytest.raises(OptionError) as caught:
            preprocessing_for(loaded(), options(**{name: (0.5, value, 0.5)}))
        assert str(caught.value) == f"--{name} 0.5 {value:g} 0.5 {range_of[name]}"
    for size in ((0, 5), (5, 0), (8_000, 8_001)):
        with pytest.raises(OptionError) as caught:
            preprocessing_for(loaded(), options(input_size=size))
        said = f"--input-size {size[0]} {size[1]} is no size that an image can have."
        assert str(caught.value) == said


def test_the_box_of_any_crop_in_the_pixels_of_the_file():
    # 24 of 32 rows, and of a picture so large that the shorter side fits.
    crop = replace(PUBLISHED, height=24, width=48, resize=32)
    assert crop_box(128, 64, crop) == (16, 8, 112, 56)
    assert crop_box(64, 32, crop) == (8, 4, 56, 28)
    assert crop_box(64, 64, crop) == (8, 20, 56, 44)  # 64 x 64 after the resize
    tall = replace(PUBLISHED, height=48, width=24, resize=32)
    assert crop_box(64, 128, tall) == (8, 16, 56, 112)
    squeezed = replace(crop, resize=None)
    assert crop_box(13, 7, squeezed) == (0, 0, 13, 7)


def test_a_network_of_pictures_says_nothing_of_slices():
    chosen = preprocessing_for(loaded(), options(input_size=(20, 30), crop_pct=0.5))
    assert chosen.slices is None and (chosen.height, chosen.width, chosen.resize) == (20, 30, 40)
    assert chosen.source == (
        "size and crop stated by flag; mean and std published with torchvision's weights"
    )
    volumes = loaded(takes_volumes=True, slices=9)
    chosen = preprocessing_for(volumes, options())
    assert chosen.slices == 9 and chosen.source == (
        "size, crop, mean and std published with torchvision's weights; "
        "slices read from the network"
    )
    published = loaded(takes_volumes=True, preprocessing=replace(PUBLISHED, slices=16))
    chosen = preprocessing_for(published, options())
    assert (chosen.slices, chosen.source) == (16, PUBLISHED.source)
    chosen = preprocessing_for(published, options(slices=4))
    assert chosen.slices == 4 and chosen.source == (
        "size, crop, mean and std published with torchvision's weights; slices stated by flag"
    )


@pytest.mark.parametrize(("most", "is_whole"), [(533 * 32, True), (533 * 32 - 1, False)])
def test_a_picture_is_resized_whole_as_far_as_memory_goes(most, is_whole, monkeypatch):
    """Beyond, the part that is cropped is made alone."""
    whole, given = Image.Image.resize, []

    def noted(self, size, resample=None, box=None, **more):
        given.append((size, box))
        return whole(self, size, resample, box)

    monkeypatch.setattr(Image.Image, "resize", noted)
    monkeypatch.setattr("reportgen.load.preprocessing.MAX_PIXELS", most)
    small = replace(PUBLISHED, height=28, width=28, resize=32)
    assert input_pixels(noise(30, 500), small).shape == (3, 28, 28)
    expected = ((533, 32), None) if is_whole else ((28, 28), crop_box(500, 30, small))
    assert given == [expected]
