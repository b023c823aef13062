import math
import re
import xml.etree.ElementTree as ET

import pytest

from reportgen.figures.spectra import DECADES, spectrum_svg

NOTHING = (math.nan,) * 4


def drawn(kernels=NOTHING, read=NOTHING, given=NOTHING, stride=1, words="a layer"):
    return ET.fromstring(spectrum_svg(words, kernels, read, given, (1 / 8, 1 / 4), stride))


def lines(svg):
    """Places of each curve by its class, in view box units."""
    found = {}
    for path in svg.iter("path"):
        if path.get("stroke-width") == "2":
            pairs = re.findall(r"([\d.]+) ([\d.]+)", path.get("d"))
            found[path.get("class")] = [(float(x), float(y)) for x, y in pairs]
    return found


def test_curves_are_on_a_log_scale_over_frequency():
    (line,) = lines(drawn(kernels=(1, 0.1, 10.0**-DECADES, 0.5))).values()
    assert [x for x, _ in line] == [50, 150, 250, 350]
    top, bottom = line[0][1], line[2][1]
    assert bottom > line[3][1] > top
    assert line[1][1] - top == pytest.approx((bottom - top) / DECADES, rel=0.01)


def test_a_curve_ends_where_it_leaves_the_scale():
    (line,) = lines(drawn(kernels=(1, 1e-9, 0, 0))).values()
    assert [x for x, _ in line] == [50, 150]


def test_rings_without_a_value_are_passed_over_and_each_curve_is_told_apart():
    found = lines(drawn((1, 1, 1, 1), (math.nan, 1, math.nan, 0.5), (0.2, 1, 1, 1), 2))
    assert {kind: len(line) for kind, line in found.items()} == {"dots": 4, "rule": 2, "zero": 4}
    assert lines(drawn()) == {}


@pytest.mark.parametrize(("stride", "left"), [(2, 200), (4, 100), (16, 25)])
def test_what_the_stride_cannot_carry_is_shaded(stride, left):
    """Half a cycle per pixel is at 400, so a stride of 2 carries up to 200."""
    (shade,) = [path for path in drawn(stride=stride).iter("path") if path.get("opacity")]
    assert shade.get("d").startswith(f"M{left} ")


def test_without_a_stride_nothing_is_shaded():
    assert not [path for path in drawn().iter("path") if path.get("opacity")]


def test_words_are_escaped():
    assert drawn(words='a "<layer>"').get("aria-label") == 'a "<layer>"'
