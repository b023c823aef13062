import re

import pytest

from reportgen.figures.series import HEIGHT, series_svg


def places(svg):
    """(x, y) of each dot."""
    path = re.search(r'class="dots"[^>]* d="([^"]*)"', svg)[1]
    return [tuple(map(float, place.split())) for place in re.findall(r"M([^h]+)h0", path)]


def test_dots_stand_at_their_share_of_the_scale():
    svg = series_svg("Dead", "share", ("A", "B", "C"), (0.0, 0.25, 0.5), highest=1.0)
    (x1, y1), (x2, y2), (x3, y3) = places(svg)
    assert x2 - x1 == x3 - x2 > 0
    assert (y1 - y2, y1 - y3) == pytest.approx((HEIGHT / 4, HEIGHT / 2), abs=0.1)
    assert "0 % → 50 %" in svg and 'aria-label="Dead: A 0 %, B 25 %, C 50 %"' in svg


def test_what_is_not_defined_leaves_a_gap():
    svg = series_svg("Norm", "", ("A", "B", "C", "D"), (1.0, None, 3.0, 4.0))
    assert len(places(svg)) == 3
    line = re.search(r'class="line"[^>]* d="([^"]*)"', svg)[1]
    assert (line.count("M"), line.count("L")) == (2, 1)
    assert "B not defined" in svg
    assert "1 → 4" in svg and "–" in series_svg("Norm", "", ("A", "B"), (None, 1.0))


def test_names_are_text_and_stand_where_there_is_room():
    names = [f"<{i}>" for i in range(40)]
    svg = series_svg("t", "", names, [float(i) for i in range(40)])
    assert "<0>" not in svg and "&lt;0&gt;" in svg and "&lt;39&gt;" in svg
    shown = re.findall(r">&lt;(\d+)&gt;</text>", svg)
    assert 3 <= len(shown) <= 8
    assert re.findall(r">(\w)</text>", series_svg("", "", "ABC", (1.0, 2.0, 3.0))) == [
        "A",
        "C",
        "B",
    ]
