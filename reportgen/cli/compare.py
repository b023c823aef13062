"""`reportgen compare`: what changed between saved reports."""

from pathlib import Path
from typing import Any

import click

from reportgen.cli.command import Command
from reportgen.cli.flags import CI
from reportgen.cli.groups import PATH, flags, force, group, output
from reportgen.cli.outcome import tell

EXAMPLES = (
    "reportgen compare before/ after/ -o changes/",
    "reportgen compare step-10/ step-60/ step-200/ -o timeline/",
    'reportgen compare main/ site/ -o changes/ --fail-on "compare:accuracy_drop>1%"',
)

_output = group("Output")
OUTPUT = (
    output(None, required=True),
    _output(
        "--title", default="", help="Title of the comparison.", show_default="the reports' names"
    ),
    _output(
        "--image",
        default="",
        metavar="NAME",
        help="Image of the film strip, of three reports or more.",
        show_default="what changed most",
        is_essential=True,
    ),
    force("Replace a comparison whose files were changed by hand."),
)


@click.command(
    "compare", cls=Command, short_help="What changed between saved reports.", examples=EXAMPLES
)
@click.argument("reports", type=PATH, nargs=-1, required=True)
@flags(OUTPUT, CI)
def command(reports: tuple[Path, ...], output: Path, **given: Any) -> None:
    """Say what changed between saved REPORTS: two, or more in order as a timeline."""
    from reportgen.comparison import compare_reports

    written, problem = compare_reports(reports, output, **given)
    tell(written, problem)
