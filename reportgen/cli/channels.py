"""`reportgen channels`: every channel of a report's activations as a picture."""

from pathlib import Path

import click

from reportgen.cli.command import Command
from reportgen.cli.groups import PATH, flags, output

EXAMPLES = (
    "reportgen channels report/",
    "reportgen channels report/ conv2",
    'reportgen channels report/ "features.3.*" -o pngs/',
)

OUTPUT = (output("channels"),)


@click.command(
    "channels", cls=Command, short_help="Every channel of a report as a picture.", examples=EXAMPLES
)
@click.argument("report", type=PATH)
@click.argument("layers", nargs=-1, metavar="[LAYERS]...")
@flags(OUTPUT)
def command(report: Path, layers: tuple[str, ...], output: Path) -> None:
    """Write every channel of a REPORT built with --save-arrays as a PNG of the tensor's exact size.

    LAYERS are names or globs; all layers without them.
    """
    from reportgen.channels import write_channels

    written = write_channels(report, layers, output)
    click.echo(f"{written.count} pictures\n{written.folder}")
