"""Settings that stand in a file: `reportgen.toml`, or `[tool.reportgen]` in `pyproject.toml`.

Keys are the flags' names. Those of `build` stand at the top, those of another command in a table
of its name. What says the same to every command, such as `arch`, holds for all of them.
"""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from reportgen.cli.groups import SHARED, Flag
from reportgen.cli.kinds import Numbers, did_you_mean
from reportgen.errors import OptionError, first_line

OWN_FILE = "reportgen.toml"
PROJECT_FILE = "pyproject.toml"
MAIN = "build"
"The command whose keys stand at the top."

PREFIX = "REPORTGEN_"

_NOT_SET: tuple[object, ...] = ("", [])
"Values that are as good as none."


def is_setting(parameter: click.Parameter) -> bool:
    """Whether it may stand in a file or in the environment."""
    if isinstance(parameter, click.Argument):
        return is_shared(parameter)
    return not isinstance(parameter, Flag) or parameter.is_setting


def is_shared(parameter: click.Parameter) -> bool:
    """Whether it means the same to every command that has it."""
    if isinstance(parameter, click.Argument):
        return parameter.name in {"model", "images"}
    return isinstance(parameter, Flag) and parameter.group in SHARED


def own_settings(name: str, command: click.Command) -> list[click.Parameter]:
    """What stands in the table of a command: all of `build`, of others what is theirs alone."""
    return [
        one for one in command.params if is_setting(one) and not (name != MAIN and is_shared(one))
    ]


def key_of(parameter: click.Parameter) -> str:
    """How a setting is called in a file: `max-images`."""
    return (parameter.name or "").replace("_", "-")


def environment_name(command: str, parameter: click.Parameter) -> str:
    """`REPORTGEN_MAX_IMAGES`, or `REPORTGEN_PRUNE_OUTPUT` for what is another command's own."""
    is_plain = command == MAIN or is_shared(parameter)
    own = "" if is_plain else f"{command.upper()}_"
    return f"{PREFIX}{own}{(parameter.name or '').upper()}"


def with_settings(group: click.Command) -> Mapping[str, click.Command]:
    """The commands that read settings, by name."""
    commands = group.commands if isinstance(group, click.Group) else {group.name or "": group}
    return {name: one for name, one in commands.items() if getattr(one, "has_settings", False)}


def settings_file() -> Path | None:
    """The file of settings in the current folder; `reportgen.toml` goes before `pyproject.toml`."""
    for file in (Path(OWN_FILE), Path(PROJECT_FILE)):
        if file.is_file() and (file.name == OWN_FILE or _table(file) is not None):
            return file
    return None


def settings(file: Path, context: click.Context) -> dict[str, Any]:
    """What a file sets for the command of `context`, by the names of its parameters.

    Raises:
        OptionError: if anything in the file is not as it should be, for whichever command.
    """
    table = _table(file)
    if table is None:
        raise OptionError(f"{file} has no table [tool.reportgen].")
    commands = with_settings(context.find_root().command)
    others = [name for name in commands if name != MAIN]
    tables = {name: table[name] for name in others if isinstance(table.get(name), dict)}
    top = {key: value for key, value in table.items() if key not in tables}
    given = {MAIN: _checked(top, MAIN, "", file, context)}
    for name in others:
        own = _checked(tables.get(name, {}), name, f"{name}.", file, context)
        names = {one.name for one in commands[name].params if is_shared(one)}
        given[name] = {key: given[MAIN][key] for key in given[MAIN] if key in names} | own
    return {
        name: value
        for name, value in given[context.command.name or ""].items()
        if value not in _NOT_SET
    }


def mistyped_environment(group: click.Command) -> Iterator[str]:
    """A sentence for each variable that is nearly one of ours; others may begin like ours."""
    known = sorted(
        environment_name(name, parameter).removeprefix(PREFIX)
        for name, command in with_settings(group).items()
        for parameter in command.params
    )
    for name in sorted(os.environ):
        word = name.removeprefix(PREFIX)
        if word != name and word not in known and (near := get_close_matches(word, known, 1, 0.8)):
            yield f"{name} is not read; did you mean {PREFIX}{near[0]}?"


def _table(file: Path) -> dict[str, Any] | None:
    """What a file says of us; None where it is another's and says nothing."""
    try:
        content = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise OptionError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # of TOML or of UTF-8
        raise OptionError(
            f"{file} is not valid TOML: {first_line(error)} (--no-config reads no file)."
        ) from error
    if file.name != PROJECT_FILE:
        return content
    tools = content.get("tool", {})
    table = tools.get("reportgen") if isinstance(tools, dict) else None
    return table if isinstance(table, dict) else None


def _checked(
    table: Mapping[str, Any], command: str, place: str, file: Path, context: click.Context
) -> dict[str, Any]:
    """The values of a table by the names of a command's parameters.

    Raises:
        OptionError: if a key is unknown or a value is not what it takes.
    """
    commands = with_settings(context.find_root().command)
    known = {one.name: one for one in commands[command].params if is_setting(one)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise OptionError(
                f"{file}: {place}{key} is no setting.{_where(key, command, commands)}"
            )
        if name in values:
            raise OptionError(f"{file}: {place}{key} stands there twice.")
        values[name] = value
        if value in _NOT_SET:
            continue
        values[name] = _placed(known[name], value, f"{file}: {place}{key}", file.parent)
        try:
            known[name].type_cast_value(context, values[name])
        except click.BadParameter as error:
            raise OptionError(f"{file}: {place}{key}: {error.message}") from error
    return values


def _where(key: str, command: str, commands: Mapping[str, click.Command]) -> str:
    """Where a key that a command has not may belong, as a question; else where to look."""
    keys = {
        name: [key_of(one) for one in known.params if is_setting(one)]
        for name, known in commands.items()
    }
    if key == MAIN:
        return " Its settings stand at the top, in no table of their own."
    if key in commands:
        return f" [{key}] must be a table."
    for name, others in keys.items():
        if key.replace("_", "-") in others:
            return f" It belongs {f'in [{name}]' if name != MAIN else 'at the top'}."
    tables = [name for name in commands if command == MAIN and name != MAIN]
    near = did_you_mean(key.replace("_", "-"), [*keys[command], *tables])
    return near or f" `reportgen {command} --help` lists what there is."


def toml_value(value: object) -> str:
    """A value of a flag as TOML; what is not set is an empty text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, int | float):
        return repr(value)
    text = value.as_posix() if isinstance(value, Path) else str(value if value is not None else "")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def is_list(parameter: click.Parameter) -> bool:
    """Whether it takes several values."""
    return parameter.multiple or parameter.nargs != 1 or isinstance(parameter.type, Numbers)


def wanted(parameter: click.Parameter) -> str:
    """What a value must be, in words."""
    if getattr(parameter, "is_flag", False):
        return "true or false"
    if isinstance(parameter.type, click.types.IntParamType):
        one, many = "a whole number", "whole numbers"
    elif isinstance(parameter.type, click.types.FloatParamType | Numbers):
        one, many = "a number", "numbers"
    else:
        one, many = "a text in quotes", "texts in quotes"
    count = f"{parameter.nargs} " if parameter.nargs > 1 else ""
    return f"a list of {count}{many}" if is_list(parameter) else one


def _placed(parameter: click.Parameter, value: Any, where: str, folder: Path) -> Any:
    """A value as the command line would have it, with the paths of `folder` as seen from here.

    Raises:
        OptionError: if it is of another type.
    """
    kind, takes_many = parameter.type, is_list(parameter)
    parts = value if takes_many and isinstance(value, list) else [value]
    is_count = parameter.nargs < 2 or len(parts) == parameter.nargs
    if not is_count or not all(_is_of(kind, part) for part in parts):
        raise OptionError(f"{where} takes {wanted(parameter)}, not {toml_value(value)}.")
    if isinstance(kind, click.Path):
        parts = [str(folder / part) for part in parts]
    elif placed := getattr(kind, "placed", None):
        parts = [placed(part, folder) for part in parts]
    return parts if takes_many else parts[0]


def _is_of(kind: click.ParamType[Any], value: object) -> bool:
    if isinstance(value, bool) or isinstance(kind, click.types.BoolParamType):
        return isinstance(value, bool) and isinstance(kind, click.types.BoolParamType)
    if isinstance(kind, click.types.IntParamType):
        return isinstance(value, int)
    if isinstance(kind, click.types.FloatParamType | Numbers):
        return isinstance(value, int | float)
    # The index of a class may stand there without quotes.
    may_be_index = type(kind) is click.types.StringParamType and isinstance(value, int)
    return isinstance(value, str) or may_be_index
