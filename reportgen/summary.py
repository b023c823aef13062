"""A report in one screen of Markdown, for a pull request or the summary of a CI job."""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from reportgen.compare.records import Comparison
from reportgen.errors import OutputError
from reportgen.render.filters import number, percent, plural, si
from reportgen.report.records import Finding, Gate, Report
from reportgen.write import write_file

MOST_BYTES = 60_000
"GitHub takes 65,536 characters in a comment, and 1 MiB in the summary of a step."
STEP_BYTES = 2**20
FEWEST_BYTES = 16_000
"What is left without gates and findings is shorter."
LONGEST = 600
"Characters of one text."
_ROOM = 300
"Bytes kept for the sentence that says what was cut."

_INVISIBLE = {"Cc", "Cf", "Zl", "Zp"}
_URL = ":/?#=&%~.-_"
"What an address keeps as it is; spaces, brackets and the like are encoded."

_SEVERITIES = {"error": "🔺 Error", "warning": "🟧 Warning", "info": "🔵 Remark"}
_OUTCOMES = {"passed": "✅ passed", "tripped": "❌ failed", "unknown": "❌ not known"}


@dataclass(frozen=True)
class Summary:
    """What a summary says, in text that is still to be escaped."""

    title: str
    lead: str
    tiles: Sequence[tuple[str, str]]
    gates: Sequence[Gate]
    findings: Sequence[Finding]
    source: str
    "What it was made of and with."


def report_summary(report: Report) -> Summary:
    """The summary of one report."""
    model = report.model
    rectified = [layer for layer in report.layers if layer.dead_filters is not None]
    dead = sum(layer.dead_filters or 0 for layer in rectified)
    units = sum(layer.units for layer in rectified)
    tiles = [
        ("Parameters", si(model.parameters)),
        ("MACs per image", si(model.macs)),
        ("Images", number(len(report.images))),
        ("Dead filters", f"{number(dead)} of {number(units)}" if units else "not defined here"),
    ]
    if report.accuracy is not None:
        labelled = sum(image.true_index is not None for image in report.images)
        tiles.append(("Accuracy", f"{percent(report.accuracy)} of {number(labelled)}"))
    return Summary(
        report.title,
        report.verdict,
        tiles,
        report.gates,
        report.findings,
        f"{model.source}, SHA-256 {model.sha256[:12]}; reportgen {report.provenance.reportgen}",
    )


def comparison_summary(comparison: Comparison) -> Summary:
    """The summary of what changed between the first report and the last."""
    first, last = comparison.subjects[0], comparison.subjects[-1]
    numbers = comparison.metrics
    tiles = []
    if numbers["accuracy_a"] is not None and numbers["accuracy_b"] is not None:
        both = f"{percent(numbers['accuracy_a'])} → {percent(numbers['accuracy_b'])}"
        tiles.append(("Right answers", both))
    changed, seen = numbers["answers_changed"], numbers["images_compared"]
    if changed is not None:
        tiles.append(("Answers changed", f"{number(changed)} of {number(seen)}"))
    tiles += [
        ("Units that died", number(numbers["units_died"])),
        ("Units that came to life", number(numbers["units_born"])),
        ("Parameters", f"{si(first.parameters)} → {si(last.parameters)}"),
        ("MACs per image", f"{si(first.macs)} → {si(last.macs)}"),
    ]
    return Summary(
        comparison.title,
        comparison.verdict,
        tiles,
        comparison.gates,
        comparison.findings,
        f"{first.file}, SHA-256 {first.sha256[:12]} → {last.file}, {last.sha256[:12]}; "
        f"reportgen {comparison.reportgen}",
    )


def markdown(summary: Summary, base: str = "", most_bytes: int = MOST_BYTES) -> str:
    """The summary as GitHub's Markdown, with no line of it that outside text could break out of.

    Args:
        summary: what to say.
        base: address of the folder that the site is published in; findings are links only with it.
        most_bytes: of the text in UTF-8; what does not fit is cut, and a sentence says so.
    """
    head = f"## {escaped(summary.title)}\n\n**{escaped(summary.lead)}**\n\n"
    head += _table([name for name, _ in summary.tiles], [[value for _, value in summary.tiles]])
    foot = f"\n<sub>{escaped(summary.source)}</sub>\n"
    room = most_bytes - _size(head) - _size(foot) - _ROOM
    kept = ""
    lines = [*_gate_lines(summary.gates), *_finding_lines(summary.findings, base)]
    for index, (_, line) in enumerate(lines):
        room -= _size(line)
        if room < 0:
            kept += f"\n{_cut([kind for kind, _ in lines[index:]])}\n"
            break
        kept += line
    return head + kept + foot


def write_summary(summary: Summary, file: Path, base: str = "") -> None:
    """Write the summary to a file of its own, or to the end of the one that GitHub shows.

    A step's file may hold what earlier commands wrote, so it is added to; any other is replaced.

    Raises:
        OutputError: if it cannot be written, or GitHub would not take it.
    """
    shown = os.environ.get("GITHUB_STEP_SUMMARY", "")
    append = bool(shown) and file.resolve() == Path(shown).resolve()
    most_bytes = MOST_BYTES
    if append and file.is_file():
        most_bytes = min(most_bytes, STEP_BYTES - 1 - file.stat().st_size)
    if most_bytes < FEWEST_BYTES:
        raise OutputError(f"{file} is nearly the 1 MiB that GitHub takes; give another file")
    text = ("\n" if append else "") + markdown(summary, base, most_bytes - 1)
    write_file(file, text.encode("utf-8", "backslashreplace"), append=append)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _cut(kinds: Sequence[str]) -> str:
    """What was cut, in a sentence."""
    counts = [(kinds.count(noun), noun) for noun in ("gate", "finding")]
    words = " and ".join(plural(count, f"more {noun}") for count, noun in counts if count)
    return f"_This summary ends here: {words} stand in the report._"


def _gate_lines(gates: Sequence[Gate]) -> Iterator[tuple[str, str]]:
    """Lines, each with what is lost without it."""
    if gates:
        failed = sum(gate.outcome != "passed" for gate in gates)
        title = f"{failed} of {len(gates)} failed" if failed else "all passed"
        yield "", f"\n### Gates: {title}\n\n| Fails on | Found | |\n|---|---|---|\n"
    for gate in gates:
        cells = f"<code>{escaped(gate.condition)}</code> | {escaped(gate.words)}"
        yield "gate", f"| {cells} | {_OUTCOMES[gate.outcome]} |\n"


def _finding_lines(findings: Sequence[Finding], base: str) -> Iterator[tuple[str, str]]:
    yield "", "\n### Findings\n\n"
    if not findings:
        yield "", "No rule was broken.\n"
    for finding in findings:
        text = escaped(finding.text)
        if base:
            address = quote(f"{base.rstrip('/')}/{finding.href}", safe=_URL)
            text += f" ([evidence]({address}))"
        yield "finding", f"- {_SEVERITIES[finding.severity]}: {text}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escaped(text: str) -> str:
    """Outside text as it reads, in Markdown, HTML and a table's cell: no markup, link or mention.

    Control characters, line ends among them, become spaces; what is very long is cut.
    """
    text = "".join(" " if unicodedata.category(c) in _INVISIBLE else c for c in text)
    text = " ".join(text.split())
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 1]}…"
    text = re.sub(r"([\\`*_\[\]|~$#!])", r"\\\1", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # GitHub looks for addresses, names and numbers of issues in what Markdown made of the text,
    # where an escape is gone; a space of no width parts them for good.
    return re.sub(r"(?i)(:(?=//)|@(?=\S)|#(?=\S)|\bwww(?=\.))", "\\1\u200b", text)
