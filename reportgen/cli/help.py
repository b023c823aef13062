"""What `-h` and `--help` print: the flags most used on one screen, or all of them in groups."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from reportgen.cli.groups import Flag
from reportgen.cli.kinds import Sections, section_names

SETTINGS = "Flags may also stand in reportgen.toml; `reportgen init` writes one with all defaults."


def grouped(command: click.Command) -> Mapping[str, list[click.Option]]:
    """The flags of a command by the titles of their groups, in the order of first appearance."""
    groups: dict[str, list[click.Option]] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            title = parameter.group if isinstance(parameter, Flag) else "Other"
            groups.setdefault(title, []).append(parameter)
    return groups


def default_of(parameter: click.Parameter, context: click.Context) -> str:
    """What holds where nothing is given, in words; empty where that is nothing."""
    if isinstance(parameter, click.Option) and isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.get_default(context, call=False)
    is_shown = isinstance(value, str | int | float | Path) and not isinstance(value, bool)
    return str(value) if is_shown else ""


def spelling(option: click.Option, context: click.Context) -> str:
    """`-b, --batch-size INTEGER RANGE`."""
    record = option.get_help_record(context)
    return record[0] if record else ""


def full_help(
    context: click.Context, examples: Iterable[str], formatter: click.HelpFormatter
) -> None:
    """Write every flag, with its default and its environment variable."""
    command = context.command
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    for title, options in grouped(command).items():
        with formatter.section(title):
            formatter.write_dl([_row(option, context, is_full=True) for option in options])
    if any(isinstance(option.type, Sections) for option in command.params):
        with formatter.section("Sections"):
            _write_prose(", ".join(section_names()), formatter)
    _write_examples(examples, formatter)


def short_help(context: click.Context, examples: Iterable[str]) -> str:
    """The flags most used, or all where none is marked so, without the environment."""
    command, formatter = context.command, context.make_formatter()
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    _write_examples(examples, formatter)
    options = [option for group in grouped(command).values() for option in group]
    essential = [one for one in options if isinstance(one, Flag) and one.is_essential]
    shown = essential or options
    with formatter.section("Options"):
        formatter.write_dl([_row(option, context, is_full=False) for option in shown])
    if essential:
        formatter.write_paragraph()
        settings = SETTINGS if any(option.envvar for option in options) else ""
        rest = f"`{context.command_path} --help` lists all {len(options)} options. {settings}"
        _write_prose(rest, formatter)
    return formatter.getvalue().rstrip("\n")


def _row(option: click.Option, context: click.Context, *, is_full: bool) -> tuple[str, str]:
    default, facts = default_of(option, context), []
    if default:
        facts.append(f"default: {default}")
    if option.required:
        facts.append("required")
    if is_full and option.envvar:
        facts.append(f"env: {option.envvar}")
    told = f"  [{'; '.join(facts)}]" if facts else ""
    return spelling(option, context), f"{option.help or ''}{told}".strip()


def _write_examples(examples: Iterable[str], formatter: click.HelpFormatter) -> None:
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':{formatter.current_indent}}{example}\n")


def _write_prose(text: str, formatter: click.HelpFormatter) -> None:
    indent = " " * formatter.current_indent
    wrapped = click.wrap_text(text, formatter.width, indent, indent)
    formatter.write(f"{wrapped}\n")
