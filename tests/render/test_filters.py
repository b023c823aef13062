import math

import pytest

from reportgen.render import filters
from reportgen.report.blocks import Link


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (1234567, "1,234,567"),
        (-5, "−5"),
        (3.14159265, "3.142"),
        (-0.000123456, "−0.0001235"),
        (0.0000123456, "1.235 × 10⁻⁵"),
        (1e-5, "1 × 10⁻⁵"),
        (123456.7, "123,500"),
        (12345678.0, "1.235 × 10⁷"),
        (0.5, "0.5"),
        (100.0, "100"),
        (9.9999, "10"),
        (999999.9, "1,000,000"),
        (9999999.9, "1 × 10⁷"),
        (math.nan, "not a number"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, "–"),
    ],
)
def test_number(value, text):
    assert filters.number(value) == text


@pytest.mark.parametrize("value", [1.23456e-7, -0.0123456, 45.6789, 98765.4321, 5.4321e12])
def test_number_is_within_half_a_unit_of_its_fourth_digit(value):
    text = filters.number(value).replace(",", "").replace("−", "-")
    mantissa, _, power = text.partition(" × 10")
    exponent = int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)
    assert float(f"{mantissa}e{exponent}") == pytest.approx(value, rel=5e-4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (10000, "10 k"),
        (1_235_496, "1.24 M"),
        (349_151_936, "349 M"),
        (17_560_000_000, "17.6 G"),
        (999_999, "1 M"),
    ],
)
def test_si(value, text):
    assert filters.si(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.012345, "1.23 %"),
        (0.9996, "99.96 %"),
        (0.99999, "> 99.99 %"),
        (0.00005, "< 0.01 %"),
        (0.0001, "0.01 %"),
        (None, "–"),
        (math.nan, "not a number"),
    ],
)
def test_percent(share, text):
    assert filters.percent(share) == text


def test_cells_are_shown_by_kind():
    assert filters.cell(True) == "yes"
    assert filters.cell(0.25, "share") == "25 %"
    assert filters.cell(0.25) == "0.25"
    assert filters.cell(Link("a", "b.html")) == "a"
    assert filters.cell("64 x 55 x 7") == "64 × 55 × 7"
    assert filters.cell("x x y") == "x x y"
    assert filters.cell(None) == "–"


def test_words_around_numbers():
    assert filters.plural(1, "image") == "1 image"
    assert filters.plural(0, "image") == "no images"
    assert filters.plural(2048, "unit") == "2,048 units"
    assert filters.shape((64, 55, 7)) == "64 × 55 × 7"
    assert filters.shape(()) == "1 value"
    assert filters.points(0.01) == "1 point"
    assert filters.points(3e-6) == "less than 0.01 points"
    assert filters.times("3 x 3 from -0.5 (-2), a-1") == "3 × 3 from −0.5 (−2), a-1"
    assert filters.points(0.4119) == "41.2 points"


def test_anchors_are_those_of_the_findings():
    from reportgen.analyses.weights import parameter_link

    name = "features.0 weight/ä<>"
    assert parameter_link(name) == f"weights.html#{filters.anchor(name)}"
