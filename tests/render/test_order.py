import re

import pytest

from reportgen.analyses import ANALYSES
from reportgen.compare.findings import RULES
from reportgen.render.environment import single_stylesheet, stylesheet
from reportgen.render.meanings import MEANINGS, grouped
from reportgen.render.order import MenuItem, Place, in_menu, in_order
from reportgen.report.records import Finding

MENU = tuple(MenuItem(key.title(), f"{key}.html", key) for key in ("index", "weights", "about"))


def paths(stand):
    return tuple(place.path if place else None for place in (stand.before, stand.after))


def test_pages_of_one_kind_follow_each_other():
    stands = list(in_order([Place(f"{name}.html", name) for name in "abc"]))
    assert [paths(stand) for stand in stands] == [
        (None, "b.html"), ("a.html", "c.html"), ("b.html", None),
    ]  # fmt: skip
    assert [stand.position for stand in stands] == ["1 of 3", "2 of 3", "3 of 3"]


def test_pages_of_the_menu_follow_each_other():
    assert paths(in_menu(MENU, "index")) == (None, "weights.html")
    assert paths(in_menu(MENU, "weights")) == ("index.html", "about.html")
    assert paths(in_menu(MENU, "about")) == ("weights.html", None)
    assert in_menu(MENU, "about").position == ""


def test_the_pages_of_a_long_list_stand_between_their_neighbours():
    own = ("weights.html", "weights-2.html", "weights-3.html")
    around = [in_menu(MENU, "weights", own, at) for at in range(3)]
    assert [paths(stand) for stand in around] == [
        ("index.html", own[1]), (own[0], own[2]), (own[1], "about.html"),
    ]  # fmt: skip
    assert around[1].position == "page 2 of 3"
    assert around[1].after.title == "Weights, page 3"


def test_every_kind_of_finding_has_a_meaning_and_no_other_has():
    rules = [rule.kind for analysis in ANALYSES for rule in analysis.rules]
    assert set(MEANINGS) == {*rules, *(rule.kind for rule in RULES)}
    assert list(MEANINGS) == sorted(MEANINGS)


@pytest.mark.parametrize("kind", MEANINGS)
def test_a_meaning_is_a_plain_sentence(kind):
    text = MEANINGS[kind]
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) < 160


def test_findings_are_grouped_in_their_order():
    def made(severity, kind, text):
        return Finding(severity, kind, text, "index.html")

    found = (
        made("error", "b-kind", "1"), made("warning", "a", "2"), made("warning", "b-kind", "3"),
        made("warning", "a", "4"),
    )  # fmt: skip
    groups = grouped(found)
    assert [(g.severity, g.title, [f.text for f in g.findings]) for g in groups] == [
        ("error", "B kind", ["1"]),
        ("warning", "A", ["2", "4"]),
        ("warning", "B kind", ["3"]),
    ]


def test_every_name_of_the_theme_that_is_used_was_declared():
    """In the style of a site, and in what one file has beside it."""
    site = stylesheet().decode()
    declared = set(re.findall(r"(--[\w-]+):", site))
    assert {"--paper", "--accent", "--w"} <= declared
    for style in (site, single_stylesheet()):
        # What has a default after a comma is set by a script.
        assert set(re.findall(r"var\((--[\w-]+)\)", style)) <= declared | {"--gain"}
