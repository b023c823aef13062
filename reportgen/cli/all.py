"""All commands under one name, in the order in which the help lists them."""

import click

from reportgen import __version__
from reportgen.cli import (
    build,
    channels,
    check,
    compare,
    completion,
    figures,
    init,
    inspect,
    open,
    prune,
    render,
)

EXAMPLES = """\b
Examples:
  reportgen build model.pth photos/
  reportgen inspect model.pth
  reportgen compare before/ after/ -o changes/
"""


class Commands(click.Group):
    """Commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return list(self.commands)


@click.group(
    cls=Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="reportgen")
@click.option("--debug", is_flag=True, help="Show the traceback of an error; may stand anywhere.")
def commands(debug: bool) -> None:
    """Show what a trained vision network learned, as a static site that needs no server."""


for module in (
    build,
    render,
    compare,
    figures,
    prune,
    inspect,
    channels,
    open,
    check,
    init,
    completion,
):
    commands.add_command(module.command)
