"""The summary in Markdown: read by a parser that is not ours, with hostile text, and never long."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reportgen.errors import OutputError
from reportgen.report.records import Finding, Gate
from reportgen.summary import (
    LONGEST,
    MOST_BYTES,
    STEP_BYTES,
    escaped,
    markdown,
    report_summary,
    write_summary,
)
from tests.report.sample_report import sample_report

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = (
    "a|b `c` <img src=x onerror=alert(1)> **d** _e_ [f](http://g.h) "
    '@i #12 ~~j~~ \\| &lt; $k$ ![l]("m")'
)
GATES = (
    Gate("dead[a|b`c]>5%", "tripped", 0.1, HOSTILE),
    Gate("accuracy<0.9", "passed", 0.95, "95 %"),
    Gate("top5<1", "unknown", None, "the class of no image is known"),
)


@pytest.fixture(scope="module")
def report():
    return replace(
        sample_report(),
        title=HOSTILE,
        verdict=f"- {HOSTILE}",
        gates=GATES,
        accuracy=0.75,
        findings=(
            Finding("error", "k", HOSTILE, "layers/conv 1).html#c=3"),
            Finding("info", "k", "Second.", "index.html"),
        ),
    )


def plain(text):
    """Without the spaces of no width that keep names from being mentions."""
    return text.replace("\u200b", "")


def inlines(text):
    """(block around it, text, types of the tokens in it) of every inline part."""
    kinds = []
    found = []
    for token in PARSER.parse(text):
        if token.nesting == 1:
            kinds.append(token.tag)
        elif token.nesting == -1:
            kinds.pop()
        elif token.type == "inline":
            parts = token.children or ()
            words = plain("".join(part.content for part in parts if part.type == "text"))
            found.append((kinds[-1], words, {part.type for part in parts} - {"text"}))
        assert token.type != "html_block" or token.content.startswith("<sub>")
    return found


def test_it_says_what_the_report_says(report):
    found = inlines(markdown(report_summary(report)))
    texts = {kind: [words for tag, words, _ in found if tag == kind] for kind, _, _ in found}
    assert texts["h2"] == [HOSTILE]
    assert texts["h3"] == ["Gates: 2 of 3 failed", "Findings"]
    assert texts["th"] == [
        *("Parameters", "MACs per image", "Images", "Dead filters", "Accuracy"),
        *("Fails on", "Found", ""),
    ]
    assert texts["td"] == [
        *("1.24 M", "349 M", "2", "2 of 64", "75 % of 0"),
        *("dead[a|b`c]>5%", HOSTILE, "❌ failed"),
        *("accuracy<0.9", "95 %", "✅ passed"),
        *("top5<1", "the class of no image is known", "❌ not known"),
    ]
    assert texts["p"][:3] == [f"- {HOSTILE}", f"🔺 Error: {HOSTILE}", "🔵 Remark: Second."]


def test_outside_text_makes_no_markup_link_or_mention(report):
    text = markdown(report_summary(report))
    allowed = {"html_inline", "strong_open", "strong_close", "text_special"}
    for _, words, kinds in inlines(text):
        assert kinds <= allowed, words
    tags = {t.content for p in PARSER.parse(text) for t in p.children or () if "html" in t.type}
    assert tags <= {"<code>", "</code>", "<sub>", "</sub>"}
    read = "".join(part.content for token in PARSER.parse(text) for part in token.children or ())
    assert not re.search(r"[@#]\w|\w://|www\.", read)


@settings(deadline=None, derandomize=True)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_any_text_is_read_as_it_stands(text):
    words = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())
    (token,) = [
        t for t in PARSER.parse(f"| a |\n|---|\n| x{escaped(text)}x |\n") if t.type == "inline"
    ][1:]
    assert {part.type for part in token.children} <= {"text", "text_special"}
    read = plain("".join(part.content for part in token.children))
    assert re.sub(r"\s|[^\w\s]", "", read[1:-1]) == re.sub(r"\s|[^\w\s]", "", words)


def test_findings_are_links_only_where_the_site_has_an_address(report):
    summary = report_summary(report)
    assert "[evidence](" not in markdown(summary)
    text = markdown(summary, "https://me.github.io/my site/")
    links = [
        part.attrs["href"]
        for token in PARSER.parse(text)
        for part in token.children or ()
        if part.type == "link_open"
    ]
    assert links == [
        "https://me.github.io/my%20site/layers/conv%201%29.html#c=3",
        "https://me.github.io/my%20site/index.html",
    ]


def test_nothing_found_and_no_gates(report):
    text = markdown(report_summary(replace(report, findings=(), gates=())))
    assert "No rule was broken." in text
    assert "Gates" not in text
    passed = markdown(report_summary(replace(report, gates=GATES[1:2])))
    assert "### Gates: all passed" in passed


@pytest.mark.parametrize(("gates", "findings"), [(1, 5000), (5000, 5), (0, 100_000)])
def test_what_does_not_fit_is_cut_and_counted(report, gates, findings):
    worst = "🦓" * (LONGEST + 9)
    many = replace(
        report,
        title="&" * 900,
        verdict="@" * 900,
        gates=(Gate("dead>5%", "tripped", 0.1, worst),) * gates,
        findings=(Finding("error", "k", worst, "index.html"),) * findings,
    )
    text = markdown(report_summary(many), "https://a.b")
    assert MOST_BYTES - 5000 < len(text.encode()) <= MOST_BYTES
    rows = len(re.findall(r"^\| <code>", text, re.MULTILINE))
    items = len(re.findall(r"^- 🔺", text, re.MULTILINE))
    said = {
        noun: int(n.replace(",", "")) for n, noun in re.findall(r"([\d,]+) more (\w+?)s?\b", text)
    }
    assert (rows + said.get("gate", 0), items + said.get("finding", 0)) == (gates, findings)
    assert text.rstrip().endswith("</sub>")


def test_a_file_is_replaced_and_the_file_of_a_step_is_added_to(report, tmp_path, monkeypatch):
    file = tmp_path / "summary.md"
    file.write_text("old")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    summary = report_summary(report)
    write_summary(summary, file)
    assert file.read_text(encoding="utf-8") == markdown(summary)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.md"]
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "x" / ".." / "summary.md"))
    (tmp_path / "x").mkdir()
    file.write_text("earlier")
    write_summary(summary, file)
    write_summary(summary, file)
    assert file.read_text(encoding="utf-8") == "earlier" + f"\n{markdown(summary)}" * 2


def test_a_step_never_gets_more_than_it_may_hold(report, tmp_path, monkeypatch):
    file = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    many = replace(report, findings=(Finding("error", "k", "x" * 500, "index.html"),) * 500)
    file.write_bytes(b"x" * (STEP_BYTES - 20_000))
    write_summary(report_summary(many), file)
    assert STEP_BYTES - 3000 < file.stat().st_size < STEP_BYTES
    with pytest.raises(OutputError, match="nearly the 1 MiB"):
        write_summary(report_summary(many), file)


def test_names_that_are_no_unicode_are_written(report, tmp_path):
    odd = replace(report, title="\udcff", findings=())
    write_summary(report_summary(odd), tmp_path / "s.md")
    assert "## \\udcff" in (tmp_path / "s.md").read_text(encoding="utf-8")
