import itertools
import re
import xml.etree.ElementTree as ET

import pytest

from reportgen.figures.svg import curves_svg, histogram_svg, number, with_unit
from reportgen.report.blocks import Curve, Curves, Histogram

COUNTS = (0, 3, 12, 7, 1)


def histogram(counts=COUNTS, low=-2.0, high=3.0):
    return Histogram(tuple(counts), low, high, "activation", "")


def heights(svg):
    """Height of each bar in view box units, from the path that draws them."""
    path, scale = bars_path(svg)
    steps = [int(step) for step in re.findall(r"v(-?\d+)h1", path)]
    return [-scale * height for height in itertools.accumulate(steps)]


def bars_path(svg):
    """The outline of the bars from the foot of the first, and how tall one of its units is."""
    path = ET.fromstring(svg).find(".//path[@class='bars']")
    place = re.fullmatch(r"translate\(2 142\)scale\(([\d.]+) ([\d.]+)\)", path.get("transform"))
    outline = path.get("d")
    assert re.fullmatch(r"M0 0(v-?\d+h1)+V0z", outline)
    # Each bar is one unit wide.
    assert outline.count("h1") * float(place[1]) == pytest.approx(396, rel=1e-4)
    return outline, float(place[2])


def curve(values, unit="share", name="Zeros"):
    slugs = tuple(f"layer{i}" for i in range(len(values)))
    return Curves(slugs, (Curve(name, unit, tuple(values), "Share of zeros."),), "")


def words(svg):
    return [text.text for text in ET.fromstring(svg).iter("text")]


def test_bars_are_as_high_as_their_counts():
    bars = heights(histogram_svg(histogram(), "a"))
    assert [round(bar, 1) for bar in bars] == [0, 30, 120, 70, 10]


def test_the_ends_zero_and_the_fullest_bin_are_in_words():
    svg = histogram_svg(histogram(), "Values of conv1")
    assert words(svg) == ["−2", "3", "0", "up to 12 in a bin"]
    root = ET.fromstring(svg)
    assert root.find("g").get("role") == "img"
    assert root.find("g/title").text == "Values of conv1"
    assert root.find("g/desc").text == (
        "23 values from −2 to 3 in 5 bins. The fullest, from 0 to 1, holds 12."
    )
    assert root.find(".//path[@class='zero']").get("d").startswith("M160.4 ")


def test_zero_is_not_marked_where_it_is_outside():
    svg = histogram_svg(histogram(low=0.5, high=2), "a")
    assert ET.fromstring(svg).find(".//path[@class='zero']") is None
    assert "0" not in words(svg)


def test_one_bin_that_dwarfs_the_rest_brings_a_log_scale_that_says_so():
    svg = histogram_svg(histogram((9, 0, 999, 99)), "a")
    assert [round(bar, 1) for bar in heights(svg)] == [40, 0, 120, 80]
    assert "up to 999 in a bin, log scale" in words(svg)
    assert "log scale" in ET.fromstring(svg).find("g/desc").text
    linear = histogram_svg(histogram((9, 0, 999, 99)), "a", log=False)
    assert [round(bar) for bar in heights(linear)] == [1, 0, 120, 12]
    assert "log" not in linear


@pytest.mark.parametrize("counts", [(0, 0, 0), (5,), (0, 7)])
def test_odd_histograms_are_drawn(counts):
    bars = heights(histogram_svg(histogram(counts, 1.0, 1.0), "a"))
    assert [bar == 120 for bar in bars] == [count > 0 for count in counts]


def test_fifty_bins_fit_in_two_kilobytes():
    counts = [1_000_000 - 12_345 * i for i in range(50)]
    assert len(histogram_svg(histogram(counts), "Values of features.12.weight").encode()) < 2048


def test_text_of_users_is_escaped():
    svg = histogram_svg(histogram(), '<script>"&')
    assert ET.fromstring(svg).find("g/title").text == '<script>"&'
    nasty = Curves(("a",), (Curve("<b>", "&", (1.0,), "</svg>"),), "")
    (svg,) = curves_svg(nasty, names=("<i>",), links=lambda slug: '"><script>')
    root = ET.fromstring(svg)
    assert root.find("g/title").text == "<b>"
    assert root.find(".//a").get("href") == '"><script>'
    assert root.find(".//a/path/title").text == "<i>: 1 &"


def test_points_of_a_curve_stand_at_their_layers_and_values():
    (svg,) = curves_svg(curve([0.0, 0.25, None, 0.5]))
    root = ET.fromstring(svg)
    points = re.findall(r"M([\d.]+) ([\d.]+)h0", root.find(".//path[@class='dots']").get("d"))
    assert [(float(x), float(y)) for x, y in points] == [(50, 118), (150, 70), (350, 22)]
    line = root.find(".//path[@class='line']").get("d")
    assert line == "M50 118L150 70L350 22"
    assert words(svg) == ["Zeros", "50 %", "first layer", "last of 4"]
    assert root.find("g/desc").text == (
        "Share of zeros. 3 of 4 layers have a value, from 0 % to 50 %."
    )


def test_pointing_at_a_layer_tells_its_value():
    (svg,) = curves_svg(curve([0.1, None, 0.5]), names=("a", "b", "c"))
    root = ET.fromstring(svg)
    targets = root.find("g[@class='targets']")
    assert [path.find("title").text for path in targets] == ["a: 10 %", "c: 50 %"]
    assert targets[1].get("d") == "M266.7 22h133.3v96h-133.3z"
    assert root.find(".//a") is None
    (svg,) = curves_svg(curve([0.1]), links="layers/{}.html".format)
    assert ET.fromstring(svg).find(".//a").get("href") == "layers/layer0.html"


def test_an_image_for_readers_of_text_holds_no_links():
    (svg,) = curves_svg(curve([0.1, 0.2]), links=str)
    assert ET.fromstring(svg).find("g[@role='img']").find(".//a") is None


def test_many_layers_share_targets_that_tell_the_highest_among_them():
    values = [i % 7 / 10 for i in range(200)]
    (svg,) = curves_svg(curve(values), links=str)
    root = ET.fromstring(svg)
    links = root.findall(".//a")
    assert len(links) == 50
    for group, link in enumerate(links):
        index = int(link.get("href").removeprefix("layer"))
        inside = values[4 * group : 4 * group + 4]
        assert index // 4 == group and values[index] == max(inside)
    assert len(root.find(".//path[@class='dots']").get("d").split("M")) == 201
    assert len(svg) < 12_000


def test_a_curve_over_many_orders_has_a_log_scale_that_says_so():
    (svg,) = curves_svg(curve([0.01, 1.0, 100.0], unit="std"))
    ys = re.findall(r"M[\d.]+ ([\d.]+)h0", svg)
    assert [float(y) for y in ys] == [118, 70, 22]
    assert "log scale from 0.01" in words(svg)


def test_zero_keeps_a_curve_linear():
    (svg,) = curves_svg(curve([0.0, 1.0, 1000.0], unit="px"))
    assert [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)h0", svg)] == [118, 117.9, 22]


def test_a_curve_below_zero_is_drawn_from_its_lowest_value():
    (svg,) = curves_svg(curve([-1.0, 1.0], unit=""))
    assert [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)h0", svg)] == [118, 22]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_curve_without_values_says_so(value):
    (svg,) = curves_svg(curve([value, value]))
    assert "nowhere defined" in words(svg)
    assert ET.fromstring(svg).find(".//path[@class='line']") is None


def test_one_drawing_for_each_curve():
    both = Curves(("a",), (*curve([1]).curves, *curve([2], name="Dead").curves), "")
    titles = [ET.fromstring(svg).find("g/title").text for svg in curves_svg(both)]
    assert titles == ["Zeros", "Dead"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.12345, "−0.123"), (12345.6, "12,346"), (1e-7, "1e−07"), (2.5e9, "2.5e+09")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_shares_are_percent():
    assert with_unit(0.0312, "share") == "3.12 %"
    assert with_unit(7, "px") == "7 px"
    assert with_unit(7, "") == "7"
