"""Settings as TOML: a file with all defaults, or what is in effect and where it came from."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from reportgen.cli.config import MAIN, is_list, is_setting, key_of, own_settings, toml_value
from reportgen.cli.groups import SHARED
from reportgen.cli.help import default_of, grouped

TEMPLATE_HEAD = """\
# Settings of reportgen in this folder: `reportgen build` reads this file.
#
# What is typed as a flag goes before an environment variable (REPORTGEN_MAX_IMAGES=20), that
# before this file. Paths are relative to this file. Each setting stands here with its default:
# take away the # in front of one to change it. `reportgen build --show-config` shows the outcome.
"""


def template(commands: Mapping[str, click.Command]) -> str:
    """`reportgen.toml` with every setting as a comment, each with its default."""
    main = commands[MAIN]
    lines = [TEMPLATE_HEAD, "# The file of the network, and files or folders of images."]
    arguments = [one for one in main.params if isinstance(one, click.Argument)]
    lines += _settings_of(arguments, main)
    lines += _groups(main, set())
    for name, command in commands.items():
        if name != MAIN and own_settings(name, command):
            lines += ["", f"[{name}]"]
            if shared := sorted(SHARED & grouped(command).keys() - {"Messages"}):
                lines.append(f"# What is set above under {', '.join(shared)} holds here, too.")
            lines += _groups(command, SHARED)
    return "\n".join(lines) + "\n"


def in_effect(context: click.Context, file: Path | None) -> str:
    """Every setting of a command as TOML, with a comment that says where its value came from."""
    rows = []
    for parameter in filter(is_setting, context.command.params):
        name = parameter.name or ""
        origins = {
            ParameterSource.COMMANDLINE: "command line",
            ParameterSource.ENVIRONMENT: str(parameter.envvar),
            ParameterSource.DEFAULT_MAP: str(file),
            ParameterSource.DEFAULT: "default",
        }
        origin = origins[context.get_parameter_source(name) or ParameterSource.DEFAULT]
        value = context.params[name]
        shown = toml_value(() if value is None and is_list(parameter) else value)
        rows.append((f"{key_of(parameter)} = {shown}", origin))
    width = min(max(len(setting) for setting, _ in rows), 48)
    table = [] if context.command.name == MAIN else [f"[{context.command.name}]"]
    return "\n".join([*table, *(f"{setting:{width}}  # {origin}" for setting, origin in rows)])


def _groups(command: click.Command, left_out: Iterable[str]) -> Iterator[str]:
    """The settings of a command under the titles of their groups."""
    for title, options in grouped(command).items():
        shown = [one for one in options if is_setting(one)]
        if shown and title not in left_out:
            yield from ("", f"## {title}")
            yield from _settings_of(shown, command)


def _settings_of(parameters: Iterable[click.Parameter], command: click.Command) -> Iterator[str]:
    """A line for each setting that says what it is, and one with its default."""
    context = click.Context(command)
    for parameter in parameters:
        if isinstance(parameter, click.Option):
            words = (
                default_of(parameter, context) if isinstance(parameter.show_default, str) else ""
            )
            choices = getattr(parameter.type, "choices", ())
            told = [parameter.help or "", f"One of {', '.join(choices)}." if choices else ""]
            told.append(f"By default {words}." if words else "")
            yield ""
            yield f"# {' '.join(filter(None, told))}"
        yield f"#{key_of(parameter)} = {_default(parameter, context)}"


def _default(parameter: click.Parameter, context: click.Context) -> str:
    if getattr(parameter, "is_flag", False):
        return "false"
    if is_list(parameter):
        return "[]"
    value = parameter.get_default(context, call=False)
    return toml_value(value if isinstance(value, str | int | float | Path) else None)
