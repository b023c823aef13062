"""How a command that wrote a report ends: what to know of it, where it lies, what failed."""

import click

from reportgen.errors import ReportgenError
from reportgen.written import Written


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
