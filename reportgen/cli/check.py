"""`reportgen check`: whether a report is still whole."""

from pathlib import Path

import click

from reportgen.cli.command import Command
from reportgen.cli.groups import PATH
from reportgen.errors import OutputError

EXAMPLES = (
    "reportgen check",
    "reportgen check site/",
    "reportgen check changes/",
)


@click.command(
    "check",
    cls=Command,
    short_help="Whether a report is still whole.",
    examples=EXAMPLES,
    has_settings=False,
)
@click.argument("report", type=PATH, default="report")
def command(report: Path) -> None:
    """Say whether every file of REPORT is as it was written, and every link leads somewhere.

    REPORT is the folder of a report or of a comparison; `report` without it.
    """
    from reportgen.check import check

    checked = check(report)
    for problem in checked.problems:
        click.echo(problem)
    if checked.problems:
        raise OutputError(
            f"{report} is not whole (see above): of {checked.files} files and {checked.links} links"
            f" {len(checked.problems)} are not in order; build or render it again"
        )
    click.echo(f"{checked.files} files and {checked.links} links are in order\n{report}")
