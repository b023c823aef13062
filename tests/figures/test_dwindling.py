"""The drawing of a falling count: places, scale, words."""

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from reportgen.figures.dwindling import HEIGHT, WIDTH, dwindling_svg


def drawing(*args, **changes):
    return ElementTree.fromstring(dwindling_svg(*args, **changes))


def path(svg, name):
    (found,) = svg.iterfind(f".//path[@class='{name}']")
    return found.get("d")


def test_points_lie_at_the_logarithm_of_the_images_and_at_their_count():
    svg = drawing("Dead", [1, 2, 10, 20], [40.0, 30.0, 5.0, 0.0])
    places = [tuple(map(float, p.split())) for p in re.split("[ML]", path(svg, "line"))[1:]]
    xs, ys = zip(*places, strict=True)
    assert xs == pytest.approx([xs[-1] * math.log(n) / math.log(20) for n in (1, 2, 10, 20)], 1e-3)
    assert ys[3] - ys[0] == pytest.approx(HEIGHT)
    assert [(ys[3] - y) / HEIGHT for y in ys] == pytest.approx([1, 0.75, 0.125, 0], abs=1e-3)
    assert min(xs) >= 0 and max(xs) < WIDTH


def test_every_point_tells_its_numbers_and_the_columns_cover_the_plot():
    svg = drawing("Dead", [1, 3, 9], [2.25, 1.0, 1.0])
    titles = [title.text for title in svg.iterfind(".//g[@class='targets']//title")]
    assert titles == ["After 1: 2.25", "After 3: 1", "After 9: 1"]
    boxes = [p.get("d") for p in svg.iterfind(".//g[@class='targets']/path")]
    edges = [tuple(map(float, re.match(r"M(\S+) \S+H([\d.]+)V", box).groups())) for box in boxes]
    assert edges[0][0] == 0
    assert [right for _, right in edges[:-1]] == [left for left, _ in edges[1:]]


def test_a_mean_is_rounded_once():
    # As the page says it above the drawing: 135, where 135.45 by way of 135.5 would be 136.
    assert (
        drawing("Dead", [1, 20], [135.45, 39.0])
        .find("g")
        .get("aria-label")
        .startswith("Dead: 135 after 1 image")
    )


def test_ticks_and_names_are_words_and_outside_text_is_escaped():
    svg = drawing("a <b> & c", [1, 50, 50_000], [3, 2, 1])
    words = [text.text for text in svg.iter("text")]
    assert words == [
        "a <b> & c",
        "3",
        "1",
        "1 image",
        "10",
        "100",
        "1,000",
        "10,000",
        "50,000 images",
    ]
    assert svg.find("g").get("aria-label") == "a <b> & c: 3 after 1 image, 1 after 50,000."


def test_a_count_that_is_always_zero_lies_on_the_axis():
    svg = drawing("Dead", [1, 2], [0.0, 0.0])
    assert {p.split()[1] for p in re.split("[ML]", path(svg, "line"))[1:]} == {str(22 + HEIGHT)}
