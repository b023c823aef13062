import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen.papers.latex import LONG, LatexTable, escaped, number
from tests.papers.latex_reader import printed, table_in

HOSTILE = r"\input{/etc/passwd} $x_1^2$ 100% #1 {a}b} ~<|>* [2] -- '' `` \\ & " + '"quoted"'


def as_printed(text: str) -> str:
    """A straight quotation mark is the one sign that is not printed as it is."""
    return re.sub(" +", " ", text.replace('"', "”"))


def test_hostile_text_is_printed_and_not_run():
    assert printed(escaped(HOSTILE)) == as_printed(HOSTILE)


@given(st.text(max_size=40))
def test_any_text_comes_out_as_it_went_in(text):
    blank = "".join(" " if c.isspace() and c != "\N{NO-BREAK SPACE}" else c for c in text)
    assert printed(escaped(text)) == as_printed(blank)


@pytest.mark.parametrize("text", ["猫", "🐈", "\udcff", "ð", "\x00", "Ω"])
def test_what_fonts_lack_is_named(text):
    assert escaped(text) == rf"\texttt{{U+{ord(text):04X}}}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1235496, "1,235,496"),
        (-7, "−7"),
        (0.0, "0.00"),
        (0.012345, "0.0123"),
        (-12.345, "−12.3"),
        (100.0, "100"),
        (999.7, "1,000"),
        (-12345.6, "−12,346"),
        (1.234e-5, "1.23 × 10⁻⁵"),
        (-2.5e12, "−2.50 × 10¹²"),
        (float("nan"), "NaN"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def made(rows: int) -> LatexTable:
    body = tuple((f"[{i}] {HOSTILE}", i, None, 0.5 * i) for i in range(rows))
    return LatexTable(
        "weights", f"About {HOSTILE}.", ("Name", "a_b", "%", "Mean"), body, ("*", 1, None, 2.0)
    )


@pytest.mark.parametrize("rows", [1, LONG, LONG + 1])
def test_a_table_reads_as_its_rows(rows):
    table = made(rows)
    source = table.source()
    found = table_in(source)
    assert found.caption == as_printed(table.caption) and found.label == "tab:weights"
    assert found.alignment == "@{}lrlr@{}"
    head = ["Name", "a_b", "%", "Mean"]
    assert found.rows[0] == head
    body = found.rows[1:]
    if rows > LONG:
        assert "longtable" in source and body.pop(0) == head, "on every page"
    else:
        assert "\\begin{table}" in source and "longtable" not in source
    assert len(body) == rows + 1
    first = as_printed(f"[0] {HOSTILE}")
    assert body[0] == [first, "0", "–", "0.00"]
    assert body[-1] == ["*", "1", "–", "2.00"]
    assert source.count("\\toprule") in (1, 2) and source.count("\\bottomrule") == 1
