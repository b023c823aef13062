"""A command whose flags stand in groups and may be set in a file or in the environment, too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from reportgen.cli.config import (
    PREFIX,
    environment_name,
    is_setting,
    mistyped_environment,
    settings,
    settings_file,
)
from reportgen.cli.groups import PATH, Flag
from reportgen.cli.help import full_help, short_help
from reportgen.cli.kinds import Numbers
from reportgen.cli.listing import in_effect

_NO_CONFIG = "reportgen.no_config"
_CONFIG = "reportgen.config"


class Command(click.Command):
    """A command of `reportgen`.

    Args:
        examples: command lines that the help shows.
        has_settings: whether a file and the environment may set its flags.
    """

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), has_settings: bool = True, **settings: Any
    ) -> None:
        super().__init__(*args, **settings | {"add_help_option": False})
        self.examples = examples
        self.has_settings = has_settings
        if has_settings:
            for parameter in filter(is_setting, self.params):
                parameter.envvar = environment_name(self.name or "", parameter)
            self.params += _settings_flags()
        self.params += _help_flags()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let `--mean 0.5 0.5 0.5` be typed without quotes: click fixes the number of words."""
        numbers = {
            name for one in self.params if isinstance(one.type, Numbers) for name in one.opts
        }
        joined: list[str] = []
        for word in args:
            if len(joined) > 1 and joined[-2] in numbers and _is_number(word):
                joined[-1] += f" {word}"
            else:
                joined.append(word)
        return super().parse_args(ctx, joined)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what `--help` prints."""
        full_help(ctx, self.examples, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, or say with what it would run."""
        if ctx.params.pop("show_config", False):
            click.echo(in_effect(ctx, ctx.meta.get(_CONFIG)))
            return None
        return super().invoke(ctx)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _settings_flags() -> list[click.Parameter]:
    """The flags that say where settings come from; the first two are read before all others."""
    return [
        Flag(
            ["--no-config"],
            group="Settings",
            is_setting=False,
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_without_file,
            help="Read no file of settings.",
        ),
        Flag(
            ["--config"],
            group="Settings",
            is_setting=False,
            type=PATH,
            is_eager=True,
            expose_value=False,
            callback=_with_file,
            envvar=f"{PREFIX}CONFIG",
            metavar="FILE",
            help="File of settings.",
            show_default="reportgen.toml here, else [tool.reportgen] of pyproject.toml",
        ),
        Flag(
            ["--show-config"],
            group="Settings",
            is_setting=False,
            is_flag=True,
            help="Show every setting and where it came from, and do nothing else.",
        ),
    ]


def _help_flags() -> list[click.Parameter]:
    """`--debug`, which is taken out of the words before they come here, and the two helps."""
    common: dict[str, Any] = {
        "group": "Messages",
        "is_setting": False,
        "is_flag": True,
        "expose_value": False,
    }
    return [
        Flag(["--debug"], **common, help="Show the traceback of an error."),
        Flag(["-h"], **common, is_eager=True, callback=_say_short, help="The flags most used."),
        Flag(["--help"], **common, is_eager=True, callback=_say_all, help="All flags."),
    ]


def _say_short(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        command = context.command
        examples = command.examples if isinstance(command, Command) else ()
        click.echo(short_help(context, examples))
        context.exit()


def _say_all(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        click.echo(context.get_help())
        context.exit()


def _without_file(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and _CONFIG in context.meta:
        raise click.UsageError("--config and --no-config exclude each other.", context)
    context.meta[_NO_CONFIG] = is_asked


def _with_file(context: click.Context, parameter: click.Parameter, given: Path | None) -> None:
    """Take the defaults of the flags from the file of settings."""
    if context.resilient_parsing:
        return
    for sentence in mistyped_environment(context.find_root().command):
        click.echo(f"reportgen: {sentence}", err=True)
    if context.meta.get(_NO_CONFIG):
        source = context.get_parameter_source("config")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--config and --no-config exclude each other.", context)
        return
    if file := given or settings_file():
        context.meta[_CONFIG] = file
        context.default_map = settings(file, context)
