"""The table of what holds: every bar is there, and every test that it names exists."""

import ast
import re
from functools import cache

import pytest

from tests.documents.commands import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
BARS = {"G": 4, "L": 9, "D": 6, "I": 10, "O": 11, "R": 10, "S": 5}
"Bars of each kind; the numbers of each begin at 1."
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)))


def rows() -> dict[str, list[str]]:
    """The cells of each bar's row, by its name."""
    found = re.findall(r"^\| ([A-Z]-\d\d) \| (.*) \|$", PAGE, re.M)
    assert len(found) == len(dict(found)), "a bar that stands there twice"
    return {bar: rest.split(" | ") for bar, rest in found}


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_bar_has_a_row():
    wanted = [f"{kind}-{n:02}" for kind, count in BARS.items() for n in range(1, count + 1)]
    assert list(rows()) == wanted


def test_every_row_has_a_test_or_says_why_there_is_none():
    for bar, (what, tests, result) in rows().items():
        assert what and result, bar
        if tests == "none":
            assert len(result) > 40, bar
        else:
            assert re.fullmatch(r"(`[\w/]+\.py::test_\w+`(, )?)+", tests), bar


def test_every_point_of_the_issue_has_a_row():
    assert re.findall(r"^\| (\d)\. ", PAGE, re.M) == list("12345678")


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{f}-{n}" for f, n in NAMED])
def test_a_test_that_is_named_exists(file, name):
    assert name in functions_of(file)
