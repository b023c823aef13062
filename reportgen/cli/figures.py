"""`reportgen figures`: the figures, tables and references of a saved report, for a paper."""

from pathlib import Path
from typing import Any

import click

from reportgen.cli.command import Command
from reportgen.cli.groups import PATH, flags, force, group, output
from reportgen.cli.kinds import Texts

EXAMPLES = (
    "reportgen figures report/",
    "reportgen figures report/ -o figs/ --formats pdf,svg --width 3.25in",
    "reportgen figures report/ --only '*-occlusion-*' --width 8.4cm",
)

_output = group("Output")
OUTPUT = (
    output("figures"),
    _output(
        "--formats",
        default="pdf,svg,png",
        metavar="NAME,...",
        help="Of each figure, with commas.",
        is_essential=True,
    ),
    _output(
        "--width",
        default="3.25in",
        metavar="LENGTH",
        help="Of a column or a page of the paper, in in, cm, mm or pt.",
        is_essential=True,
    ),
    _output(
        "--only",
        type=Texts(),
        multiple=True,
        metavar="GLOB",
        help="Figures of this name, such as '*-occlusion-*'.",
        show_default="all",
        is_essential=True,
    ),
    force("Replace figures that were changed by hand."),
)


@click.command(
    "figures", cls=Command, short_help="Figures and tables for a paper.", examples=EXAMPLES
)
@click.argument("report", type=PATH)
@flags(OUTPUT)
def command(report: Path, output: Path, **given: Any) -> None:
    """Draw the figures of a saved REPORT for a paper, with tables, references and methods."""
    from reportgen.printing import write_figures

    click.echo(write_figures(report, output, **given).summary())
