"""`reportgen render`: the pages of a saved report made again."""

from pathlib import Path
from typing import Any

import click

from reportgen.cli.command import Command
from reportgen.cli.flags import CI, SIZE
from reportgen.cli.groups import PATH, flags, force, output
from reportgen.cli.outcome import tell

EXAMPLES = (
    "reportgen render report/",
    "reportgen render report/ -o site/",
    'reportgen render report/ --fail-on "accuracy<0.95"',
)

OUTPUT = (
    output(None, show_default="REPORT"),
    force("Replace a report whose files were changed by hand."),
)


@click.command(
    "render", cls=Command, short_help="The pages of a saved report, made again.", examples=EXAMPLES
)
@click.argument("report", type=PATH)
@flags(OUTPUT, SIZE, CI)
def command(report: Path, output: Path | None, **given: Any) -> None:
    """Make the pages of a saved REPORT again, without the network."""
    from reportgen.rerender import rerender

    written, problem = rerender(report, output or report, **given)
    tell(written, problem)
