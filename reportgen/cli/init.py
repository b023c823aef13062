"""`reportgen init`: a file of settings with every default in it."""

from pathlib import Path

import click

from reportgen.cli.command import Command
from reportgen.cli.config import OWN_FILE, PROJECT_FILE, settings_file, with_settings
from reportgen.cli.groups import flags, output
from reportgen.cli.listing import template
from reportgen.errors import OutputError

EXAMPLES = (
    "reportgen init",
    "reportgen init -o nightly.toml",
    "reportgen build model.pth photos/ --config nightly.toml",
)

OUTPUT = (output(OWN_FILE, "File to write."),)


@click.command(
    "init",
    cls=Command,
    short_help="A file of settings with every default.",
    examples=EXAMPLES,
    has_settings=False,
)
@flags(OUTPUT)
@click.pass_context
def command(context: click.Context, output: Path) -> None:
    """Write a file with every setting and its default, for you to change."""
    from reportgen.write import write_file

    used = settings_file()
    if used and used.name == PROJECT_FILE and output == Path(OWN_FILE):
        raise OutputError(
            f"{used} holds settings already, which {output} would take the place of; change them"
            " there, or give another file with -o"
        )
    if output.exists() or output.is_symlink():
        raise OutputError(f"{output} is there already; change that, or give another file with -o")
    write_file(output, template(with_settings(context.find_root().command)).encode())
    click.echo(output)
