"""`reportgen open`: a report in the browser."""

from pathlib import Path

import click

from reportgen.cli.command import Command
from reportgen.cli.groups import PATH
from reportgen.errors import OptionError

EXAMPLES = (
    "reportgen open",
    "reportgen open site/",
    "reportgen open report.html",
)


@click.command(
    "open",
    cls=Command,
    short_help="A report in the browser.",
    examples=EXAMPLES,
    has_settings=False,
)
@click.argument("report", type=PATH, default="report")
def command(report: Path) -> None:
    """Open REPORT in the browser, where there is one, and print the path of its first page.

    REPORT is a folder, or a report in a single file; `report` without it.
    """
    import webbrowser

    page = report / "index.html" if report.is_dir() else report
    if not page.is_file():
        raise OptionError(f"{page} is not there; `reportgen build` writes a report.")
    webbrowser.open(page.resolve().as_uri())
    click.echo(page)
