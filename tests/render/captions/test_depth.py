import pytest

from reportgen.render.captions import depth, dwindling, fading, series, spectra
from reportgen.report.blocks import Curve, MapStrip
from tests.render.captions.made import PIXELS

NAMES = ("conv1", "fire2", "fire3", "fire9")

CASES = {
    "grows": (
        (0.12, 0.3, 0.5, 0.71),
        "share",
        "From 12 % at conv1 to 71 % at fire9.",
    ),
    "a hill and a step": (
        (0.1, 0.9, 0.6, 0.2),
        "share",
        "From 10 % at conv1 to 20 % at fire9; highest at fire2, 90 %. The largest step is from "
        "conv1 to fire2: 10 % to 90 %.",
    ),
    "a valley": (
        (4.0, 1.5, 2.5, 3.0),
        "px",
        "From 4 px at conv1 to 3 px at fire9; lowest at fire2, 1.5 px. The largest step is from "
        "conv1 to fire2: 4 px to 1.5 px.",
    ),
    "equal ends": (
        (0.0, 0.2, 0.1, 0.0),
        "share",
        "0 % at both ends, conv1 and fire9; highest at fire2, 20 %. The largest step is from conv1 "
        "to fire2: 0 % to 20 %.",
    ),
    "a comb": (
        (0.1, 0.9, 0.2, 0.8),
        "share",
        "From 10 % at conv1 to 80 % at fire9; highest at fire2, 90 %.",
    ),
    "gaps": ((None, 1.0, float("nan"), 2.0), "", "From 1 at fire2 to 2 at fire9."),
    "the same": ((0.0, 0.0, None, 0.0), "share", "0 % at all 3 layers that have a value."),
    "one": ((None, None, 0.5, None), "share", "Only fire3 has a value: 50 %."),
    "none": ((None,) * 4, "share", "Nothing to see: none of 4 layers has a value."),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_curve_has_its_sentence(case):
    values, unit, words = CASES[case]
    assert depth.curve(Curve("Zeros", unit, values, ""), NAMES) == words


def test_checkpoints_are_reports():
    assert series.caption("ABC", (0.4, None, 0.71), "share") == "From 40 % at A to 71 % at C."
    assert (
        series.caption("ABC", (None,) * 3, "") == "Nothing to see: none of 3 reports has a value."
    )


def strip(*ranges: tuple[float, float]) -> MapStrip:
    return MapStrip(tuple((f"s{i}", PIXELS, *ends) for i, ends in enumerate(ranges)), "", "")


def test_mean_maps_side_by_side():
    made = strip((0, 1), (-1, 3), (2, 2))
    assert depth.maps(made, NAMES[:3], ()) == (
        "The widest of 3 ranges is that of fire2, −1 to 3. 1 has one value everywhere, or none "
        "that is finite."
    )
    said = depth.maps(strip((0, 1), (-1, 3), (2, 4)), NAMES[:3], ("top", "centre", "top"))
    assert said.endswith(" Most often they peak at the top: 2 of 3.")
    said = depth.maps(strip((0, 1), (-1, 3)), NAMES[:2], ("top", "centre"))
    assert said.endswith(" No two maps peak at the same place.")
    said = depth.maps(strip(*[(0, 1)] * 4), NAMES, ("top", "left", "left", "top"))
    assert said.endswith(" Most often they peak at the top and left: 2 of 4 each.")
    said = depth.maps(strip(*[(0, 1)] * 4), NAMES, ("top",) * 4)
    assert said.endswith(" All 4 peak at the top.")
    assert depth.maps(strip((0, 1)), NAMES[:1], ("top",)) == "From 0 to 1. Its peak is at the top."
    assert depth.maps(strip((0, 0), (1, 1)), NAMES[:2], ("", "")) == (
        "Nothing to see: all 2 maps have one value everywhere, or none that is finite."
    )
    assert depth.map_alt("conv1", 0, 2.5, "top") == "Mean map of conv1, 0 to 2.5, peak top"
    nan = float("nan")
    assert depth.maps(strip((nan, nan), (0, 2), (0, 1)), NAMES[:3], ()).startswith(
        "The widest of 3 ranges is that of fire2, 0 to 2. 1 has"
    )
    assert depth.map_alt("conv1", nan, nan, "") == "Mean map of conv1: no finite value"
    assert depth.map_alt("conv1", 0, 2.5, "") == "Mean map of conv1, 0 to 2.5"
    assert depth.map_alt("conv1", 2, 2, "") == "Mean map of conv1: 2 everywhere"


def test_dead_units_dwindle():
    assert dwindling.caption([1, 2, 3], [12.0, 4.5, 3.0]) == (
        "12 after one image, 3 after all 3, 75 % fewer; the last one woke 1.5 on average."
    )
    assert dwindling.caption([1, 10, 100], [12.0, 3.5, 3.0]) == (
        "12 after one image, 3 after all 100, 75 % fewer; the last 90 images woke 0.5 on average."
    )
    assert dwindling.caption([1, 10, 100], [12.0, 3.0, 3.0]).endswith("; level from 10 on.")
    assert dwindling.caption([1, 2], [3.0, 3.0]) == (
        "3 after one image as after all 2: more images woke none."
    )


def test_how_soon_a_score_is_halved():
    taken = ((0.8, 0.4, 0.1, 0.0, 0.0), (0.8, 0.7, 0.6, 0.4, 0.0))
    back = ((0.0, 0.3, 0.6, 0.8, 0.8), (0.0, 0.1, 0.1, 0.2, 0.8))
    assert fading.caption(taken, back) == (
        "The probability is halved with 25 % of the pixels taken away (random: 75 %); half of it "
        "is back with 50 % of the pixels put back (random: 100 %)."
    )
    flat = (0.8, 0.7, 0.6)
    assert fading.caption((flat, flat), (flat, flat)).startswith(
        "The probability is halved never (random: never);"
    )


def test_spectra_are_named_by_their_peaks():
    nan = float("nan")
    curves = [("its kernels", (0.1, 1.0, 0.5, 0.2)), ("what it reads", (1.0, nan, 0.5, 0.2))]
    assert spectra.alt("conv1", curves) == (
        "Spectra of conv1, in cycles per pixel highest at 0.19 (its kernels) and 0.062 (what it "
        "reads)"
    )
    assert spectra.peak([nan, 0.2, 0.3, nan]) == pytest.approx(0.3125)
    assert (
        spectra.alt("conv1", [("its kernels", (nan,))]) == "Spectra of conv1: none could be "
        "computed"
    )
