"""How a command that wrote a report ends: what to know of it, where it lies, what failed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from reportgen.errors import ReportgenError, SkippedError
from reportgen.written import Written

if TYPE_CHECKING:
    from reportgen.report.records import Report


def remarks(report: "Report", problem: ReportgenError | None) -> Iterator[str]:
    """What was undone, assumed or left out on the way to a report, one sentence each."""
    yield from report.notes
    if report.skipped and not isinstance(problem, SkippedError):  # which names them
        first, more = report.skipped[0], len(report.skipped) - 1
        others = f" {more:,} more are listed in the report." if more else ""
        yield f"Skipped {first.path}: {first.reason}{others}"


def tell(written: Written, problem: ReportgenError | None) -> None:
    """What was written on stdout, what to know of it on stderr.

    Raises:
        ReportgenError: the problem, if there is one.
    """
    for line in written.warnings:
        click.echo(f"reportgen: {line}", err=True)
    click.echo(written.summary())
    if problem:
        raise problem
