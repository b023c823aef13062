"""What images go through in a folder of transformers, number by number; what is not followed."""

from typing import Any

import pytest

from reportgen.load.hub_images import hub_preprocessing
from reportgen.report.records import Preprocessing

COLOURS = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
EXPECTED = Preprocessing(
    height=32,
    width=32,
    resize=None,
    interpolation="bilinear",
    mean=(0.1, 0.2, 0.3),
    std=(0.5, 0.6, 0.7),
    channels=3,
    source="the folder",
    is_assumed=False,
)


def changed(**given: Any) -> Preprocessing:
    return Preprocessing(**{**vars(EXPECTED), **given})


def found(given: dict[str, Any], channels: int = 3) -> Any:
    return hub_preprocessing({"size": 32, **COLOURS, **given}, channels, "the folder")


SHORT = {"shortest_edge": 40}
FOLLOWED: list[tuple[dict[str, Any], Preprocessing]] = [
    ({}, EXPECTED),
    ({"size": {"height": 24, "width": 48}}, changed(height=24, width=48)),
    ({"size": 2}, changed(height=2, width=2)),
    ({"size": 1, "crop_pct": 0.5}, changed(height=1, width=1, resize=2)),
    ({"do_resize": True, "do_center_crop": False, "crop_size": 8}, EXPECTED),
    (
        {"size": SHORT, "crop_size": {"height": 24, "width": 28}, "do_center_crop": True},
        changed(height=24, width=28, resize=40),
    ),
    (
        {"size": SHORT, "crop_size": 36, "do_center_crop": True},
        changed(height=36, width=36, resize=40),
    ),
    (
        {"size": {"shortest_edge": 1}, "crop_size": 2, "do_center_crop": True},
        changed(height=2, width=2, resize=1),
    ),
    ({"size": 32, "crop_size": 32, "do_center_crop": True}, EXPECTED),
    ({"size": SHORT, "crop_pct": 0.8}, changed(height=40, width=40, resize=50)),
    ({"size": 40, "crop_pct": 0.9}, changed(height=40, width=40, resize=44)),
    ({"size": SHORT, "crop_pct": None}, changed(height=40, width=40, resize=40)),
    (
        {"size": {"shortest_edge": 383}, "crop_pct": 0.875},
        changed(height=383, width=383, resize=437),
    ),
    ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, changed(height=384, width=384)),
    *(
        ({"resample": number}, changed(interpolation=name))
        for number, name in enumerate(
            ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
        )
    ),
    ({"do_rescale": True, "rescale_factor": 1 / 255}, EXPECTED),
    ({"rescale_factor": 1 / 255 * (1 + 5e-7)}, EXPECTED),
    ({"do_normalize": False}, changed(mean=(0.0,) * 3, std=(1.0,) * 3)),
    ({"do_normalize": False, "image_mean": None}, changed(mean=(0.0,) * 3, std=(1.0,) * 3)),
    ({"do_flip_channel_order": False}, EXPECTED),
    (
        {"image_mean": [0, 0, 0], "image_std": [1, 1, 1e-9]},
        changed(mean=(0.0,) * 3, std=(1.0, 1.0, 1e-9)),
    ),
]


@pytest.mark.parametrize(("given", "expected"), FOLLOWED, ids=str)
def test_what_images_go_through(given: dict[str, Any], expected: Preprocessing) -> None:
    assert found(given) == (expected, ())


def test_images_of_one_channel() -> None:
    grey = {"image_mean": [0.25], "image_std": [0.5]}
    assert found(grey, 1) == (changed(mean=(0.25,), std=(0.5,), channels=1), ())
    bare = changed(mean=(0.0,), std=(1.0,), channels=1)
    assert found({"do_normalize": False}, 1) == (bare, ())


def test_a_folder_that_says_nothing_of_images() -> None:
    assert hub_preprocessing({}, 3, "the folder") == (None, ())


UNKNOWN = "how it resizes and crops is not understood"
NO_NUMBERS = "it holds no numbers where there should be"
LEFT: list[tuple[dict[str, Any], str]] = [
    ({"rescale_factor": 1 / 127.5}, "pixels are scaled by 0.00784314 there"),
    ({"rescale_factor": 1 / 255 * (1 + 2e-6)}, "pixels are scaled by 0.00392158 there"),
    ({"rescale_factor": -1 / 255}, "pixels are scaled by -0.00392157 there"),
    ({"do_rescale": False}, "pixels are scaled by 0.00392157 there"),
    ({"do_flip_channel_order": True}, "its colours are in the order blue, green, red"),
    ({"resample": 6}, "it resizes in the way 6"),
    ({"resample": -1}, "it resizes in the way -1"),
    ({"image_mean": [0.5]}, "image_mean is not one number for each of 3 channels"),
    ({"image_mean": None}, "image_mean is not one number for each of 3 channels"),
    ({"image_mean": "abc"}, "image_mean is not one number for each of 3 channels"),
    ({"image_std": [0.5] * 4}, "image_std is not one number for each of 3 channels"),
    ({"image_std": [0.5, 0, 0.5]}, "image_std holds no positive numbers"),
    ({"image_std": [0.5, float("nan"), 0.5]}, "image_std holds no positive numbers"),
    ({"image_std": [0.5, "x", 0.5]}, NO_NUMBERS),
    ({"image_mean": [0.5, "x", 0.5]}, NO_NUMBERS),
    ({"rescale_factor": "x"}, NO_NUMBERS),
    ({"resample": [2]}, NO_NUMBERS),
    ({"do_resize": False}, UNKNOWN),
    ({"size": None}, UNKNOWN),
    ({"size": SHORT}, UNKNOWN),
    ({"size": {"height": 0, "width": 2}}, UNKNOWN),
    ({"size": 40, "crop_size": 32, "do_center_crop": True}, UNKNOWN),
    ({"size": SHORT, "do_center_crop": True}, UNKNOWN),
    ({"size": {"shortest_edge": 40.0}, "crop_size": 32, "do_center_crop": True}, UNKNOWN),
    ({"size": {"shortest_edge": 0}, "crop_size": 32, "do_center_crop": True}, NO_NUMBERS),
    ({"size": {"shortest_edge": 0}, "crop_pct": 0.875}, NO_NUMBERS),
    ({"size": {"shortest_edge": -5}, "crop_pct": 0.875}, NO_NUMBERS),
    ({"size": SHORT, "crop_pct": 41.0}, NO_NUMBERS),
    ({"size": SHORT, "crop_pct": "x"}, NO_NUMBERS),
    ({"size": SHORT, "crop_pct": 1e-320}, NO_NUMBERS),
]


@pytest.mark.parametrize(("given", "words"), LEFT, ids=str)
def test_what_is_not_followed(given: dict[str, Any], words: str) -> None:
    note = f"The folder's preprocessor_config.json is not followed: {words}."
    assert found(given) == (None, (note,))
