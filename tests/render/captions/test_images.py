from dataclasses import replace

import pytest

from reportgen.load.preprocessing import crop_box
from reportgen.render.captions import gradients, photos, phrases, units
from reportgen.report.records import Preprocessing
from tests.render.captions.made import image


def prepared(height: int, width: int, resize: int | None) -> Preprocessing:
    return Preprocessing(height, width, resize, "bilinear", (0.0,), (1.0,), 3, "", False)


@pytest.mark.parametrize(
    ("size", "crop"),
    [((451, 300), (224, 224, 256)), ((300, 451), (96, 160, 128)), ((640, 480), (48, 64, 56))],
)
def test_the_share_that_is_kept_is_that_of_the_box_which_is_cut_out(size, crop):
    height, width = size
    how = prepared(*crop)
    share, scale = photos.kept_share(replace(image(), height=height, width=width), how)
    left, top, right, bottom = crop_box(width, height, how)
    assert share == pytest.approx((right - left) * (bottom - top) / (width * height), rel=0.01)
    assert scale == pytest.approx(crop[0] / (bottom - top), rel=0.01)


def test_photos_say_what_was_left_of_the_file():
    square = replace(image(), height=256, width=512)
    assert photos.seen(square, prepared(224, 224, 256)) == (
        "The network saw 224 × 224 pixels: the middle 38.3 % of the picture, at its own size."
    )
    assert photos.seen(square, prepared(128, 256, 128)) == (
        "The network saw 128 × 256 pixels: the whole picture, with sides 0.5 times as long."
    )
    assert photos.seen(square, prepared(128, 128, None)) == (
        "The network saw 128 × 128 pixels: the whole picture, 0.5 times as high and 0.25 times "
        "as wide."
    )
    assert photos.file_alt(square) == "The file chelsea.png, 256 × 512 pixels"


def test_a_class_with_its_probability():
    assert phrases.named_class(image(), 3, "tabby") == "class tabby 55 %"
    assert phrases.named_class(image(), 4, "lynx") == "class lynx"


def test_parts_of_a_whole():
    assert phrases.part_of(3, 64, "channel") == "3 of 64 channels"
    assert phrases.part_of(64, 64, "channel") == "all 64 channels"
    assert phrases.part_of(0, 64, "channel") == "none of 64 channels"
    assert phrases.part_of(1, 1, "channel") == "the one channel"
    assert phrases.listed(["a"]) == "a" and phrases.listed(["a", "b", "c"]) == "a, b and c"


def test_where_gradients_are_strongest():
    maps = ("gradient", "smoothgrad", "integrated_gradients")
    said = gradients.caption(maps, ("top", "centre", "top"), (0.5, 0.25, 0.3))
    assert said == (
        "The strongest of nine parts is the top for Gradient (50 %) and Integrated gradients (30 %)"
        " and the centre for SmoothGrad (25 %). Evenly spread, each part would hold 11.1 %."
    )
    said = gradients.caption(maps, ("top",) * 3, (0.5, 0.13, 0.3))
    assert "30 %). SmoothGrad (13 %) has its strength spread out. Evenly" in said
    said = gradients.caption(maps[:2], ("top",) * 2, (0.12, 0.13))
    assert said.startswith("Gradient (12 %) and SmoothGrad (13 %) have their strength spread out.")
    assert gradients.caption(maps, (), ()) == gradients.caption(maps, ("",) * 3, (0.0,) * 3) == ""
    note = gradients.note(("top", ""), (0.5, 0.0), 0)
    assert gradients.alt(image(), "class tabby 55 %", "SmoothGrad", (0.0, 0.06), note) == (
        "SmoothGrad for chelsea.png, class tabby 55 %, 0 to 0.06; 50 % of it at the top"
    )
    assert gradients.note(("top",), (0.15,), 0) == (
        "spread out, no ninth of the image has more than 15 % of it"
    )
    assert gradients.note(("top", ""), (0.5, 0.0), 1) == gradients.note((), (), 0) == ""


def test_units_and_what_excites_them():
    assert units.patches([3.5, 2.0, 0.5], "a.png", "top") == (
        "Strongest on a.png, top: 3.5; the last of 3 patches has 0.5."
    )
    assert units.patches([3.5], "a.png", "") == "Strongest on a.png: 3.5, and on no other image."
    assert units.patches([], "", "").startswith("No image excites it")
    assert units.painted(31.2, 12.0, 6) == "reaches 31.2, 2.6 times the best of 6 images (12)"
    assert units.painted(31.2, None, 6) == "reaches 31.2"
    assert units.painted(3.0, -2.0, 1) == "reaches 3; the best of 1 image reaches −2"
