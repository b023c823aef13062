"""A snippet for the section "Model Examination" of a Hugging Face model card."""

from collections.abc import Iterator

from reportgen.papers.latex import number
from reportgen.papers.tables import latex_tables
from reportgen.report.records import Report
from reportgen.summary import escaped, report_summary

MOST_FINDINGS = 12
LINK = "REPORT_URL"
"Stands for the address of the published report, which only the user knows."
_TABLE = ("trust", "predictions")
"Of which the first that there is goes into the card."
_ROWS = 12


def examination(report: Report) -> str:
    """Facts, findings and a table in Markdown; `REPORT_URL` is to be replaced."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    summary = report_summary(report)
    yield "## Model Examination"
    yield ""
    yield f"<!-- Replace {LINK} with the address of the published report. -->"
    yield ""
    yield f"{escaped(summary.lead)} [Full report]({LINK})."
    yield ""
    for name, value in summary.tiles:
        yield f"- **{escaped(name)}:** {escaped(value)}"
    yield f"- **Network:** {escaped(report.model.source)}, SHA-256 `{report.model.sha256}`"
    yield ""
    yield "### Findings"
    yield ""
    for finding in report.findings[:MOST_FINDINGS]:
        yield f"- {finding.severity.capitalize()}: {escaped(finding.text)}"
    left = len(report.findings) - MOST_FINDINGS
    if left > 0:
        yield f"- And {left:,} more in the [full report]({LINK}#findings)."
    if not report.findings:
        yield "No rule was broken."
    yield ""
    yield from _table(report)
    yield f"Made with reportgen {escaped(report.provenance.reportgen)}."


def _table(report: Report) -> Iterator[str]:
    tables = {table.name: table for table in latex_tables(report)}
    name = next((name for name in _TABLE if name in tables), None)
    if name is None:
        return
    table = tables[name]
    yield f"### {'Trust in its attribution maps' if name == 'trust' else 'Answers'}"
    yield ""
    yield escaped(table.caption)
    yield ""
    yield f"| {' | '.join(escaped(column) for column in table.columns)} |"
    yield f"|{'---|' * len(table.columns)}"
    for row in table.rows[:_ROWS]:
        cells = ("–" if c is None else c if isinstance(c, str) else number(c) for c in row)
        yield f"| {' | '.join(escaped(cell) for cell in cells)} |"
    yield ""
