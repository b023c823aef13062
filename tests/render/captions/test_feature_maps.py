import numpy as np
import pytest

from reportgen.render.captions import feature_maps
from reportgen.report.records import Panel
from tests.render.captions.made import atlas, image, layer, strip

CASES = {
    "some silent": (
        [-1.0, 0.0, 0.0, 0.0], [0.02, 3.1, 0.0, 0.5],
        "Channel 1 is strongest: 3.1. Half of the 4 channels stay at 0.02 or below. 1 of 4 "
        "channels is zero everywhere on this image.",
    ),
    "odd number": (
        [0.0, 0.0, 0.0], [1.0, 2.0, 3.0],
        "Channel 2 is strongest: 3. Half of the 3 channels stay at 2 or below.",
    ),
    "constant but not zero": (
        [0.0, 2.0, 3.0], [1.0, 2.0, 3.0],
        "Channel 2 is strongest: 3. Half of the 3 channels stay at 2 or below. 2 of 3 channels "
        "give one value everywhere.",
    ),
    "most are silent": (
        [0.0, 0.0, 0.0], [0.0, 2.5, 0.0],
        "Channel 1 is strongest: 2.5. 2 of 3 channels are zero everywhere on this image.",
    ),
    "some without a finite value": (
        [0.0, np.nan, 0.0], [1.0, np.nan, 2.0],
        "Channel 2 is strongest: 2. 1 of 3 channels holds no finite value.",
    ),
    "nothing finite": (
        [np.nan], [np.nan], "Nothing to see: no channel holds a finite value.",
    ),
    "all zero": (
        [0.0, 0.0], [0.0, 0.0],
        "Nothing to see: all 2 channels are zero everywhere on this image.",
    ),
    "all flat": (
        [1.0, 0.0], [1.0, 0.0],
        "Nothing to see: 1 of 2 channels is zero everywhere on this image and 1 of 2 channels "
        "gives one value everywhere.",
    ),
    "one flat": ([1.0], [1.0], "Nothing to see: the one channel gives one value everywhere."),
    "one": ([-1.0], [2.5], "Channel 0 goes from −1 to 2.5."),
    "negative": (
        [-3.0, -2.0], [-1.0, -0.5],
        "No channel is above zero here: the highest value is −0.5, of channel 1. Half of the 2 "
        "channels stay at −1 or below.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_atlas_has_its_sentence(case):
    low, high, words = CASES[case]
    assert feature_maps.caption(layer(len(low)), atlas(low, high)) == words


def test_half_means_half():
    high = np.random.default_rng(3).random(65)
    said = feature_maps.caption(layer(65), atlas(np.zeros(65), high))
    bar = float(said.split("stay at ")[1].split(" or")[0])
    assert (high <= bar + 5e-4).sum() >= 32.5 and (high < bar - 5e-4).sum() < 32.5


def test_a_part_of_the_channels_is_said_to_be_one():
    said = feature_maps.caption(layer(2048), atlas([0, 0], [1, 2], labels=("4", "900")), "top")
    assert said.startswith("Channel 900 is strongest: 2, at the top. Half of the 2 channels shown")


def test_what_may_be_nan_is_not_called_zero():
    said = feature_maps.caption(layer(2, nonfinite=7), atlas([0, 0], [0, 1]))
    assert "1 of 2 channels is zero or not finite everywhere" in said


def test_the_place_of_the_peak_is_where_the_strongest_position_lies():
    images = (image("a.png"), image("b.png"))
    arrays = {
        "image": np.array([[1, 0], [0, -1]]),
        "row": np.array([[3, 0], [1, -1]]),
        "column": np.array([[0, 5], [2, -1]]),
    }
    block = atlas([0, 0], [2, 1])
    made = layer(2, patches=Panel({}, arrays), activations=Panel({}, {}, {"image:a": block}))
    place = feature_maps.peak_place
    assert place(made, images[1], images, block) == "lower left"
    assert place(made, images[0], images, block) == "upper right"
    assert place(made, images[1], images, atlas([0, 0], [1, 2])) == ""
    assert place(layer(2), images[0], images, block) == ""
    assert feature_maps.place_in_map(made, 1, 2) == "centre"
    assert feature_maps.place_in_map(layer(2), 1, 2) == ""


def test_the_words_in_place_of_the_picture():
    made, block = layer(2), atlas([0, 0], [1, 1340.4])
    assert feature_maps.alt(made, image(), block, "left") == (
        "2 feature maps of features.3 for chelsea.png; channel 1 is strongest, 1,340, left"
    )
    assert feature_maps.alt(made, image(), block).endswith("strongest, 1,340")
    assert feature_maps.alt(made, image(), atlas([1], [1])).endswith(
        "1 feature map of features.3 for chelsea.png, none of which varies"
    )
    assert feature_maps.units_alt(made, image(), strip([0.5, 7])) == (
        "2 units of features.3 for chelsea.png; unit 1 is largest, 7"
    )
    assert feature_maps.units_alt(made, image(), strip([np.nan])).endswith("none of them finite")


def test_units_without_a_map():
    assert feature_maps.units(strip([0.5, -1, 7, 0.25])) == (
        "Unit 2 is largest: 7, then unit 0 with 0.5. Half of the 4 units are at 0.25 or below. "
        "One bar a unit, from −1 (dark) to 7 (bright)."
    )
    assert feature_maps.units(strip([2.0])) == "One unit: 2."
    assert feature_maps.units(strip([2.0, 2.0])) == "Nothing to see: all 2 units give 2."
    assert feature_maps.units(strip([np.nan, 1.0])) == "One unit: 1. 1 value is not finite."
    assert feature_maps.units(strip([np.nan] * 2)) == "Nothing to see: 2 values are not finite."
