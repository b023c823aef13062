"""docs/cli.md and docs/config.md, made of the commands: `python -m reportgen.cli.reference`."""

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from reportgen import errors
from reportgen.cli.all import commands
from reportgen.cli.config import MAIN, is_setting, key_of, own_settings, wanted, with_settings
from reportgen.cli.groups import SHARED
from reportgen.cli.help import default_of, grouped, spelling
from reportgen.write import write_file

_MADE = "<!-- Made from the code by `make docs`. Change that, not this. -->"

_CLI_HEAD = f"""\
# The command line

{_MADE}

`reportgen -h` lists the commands, `reportgen build -h` the flags most used on one screen, and
`reportgen build --help` all of them. A mistyped command, flag, section or choice is answered with
the nearest there is. Any flag may also be set [in a file or in the environment](config.md).
Progress and errors go to standard error; the last line of standard output is the path written.
"""

_CONFIG_HEAD = f"""\
# Settings in a file

{_MADE}

What you would type each time may stand in `reportgen.toml`, or under `[tool.reportgen]` in
`pyproject.toml`, of the folder you are in. Then `reportgen build` alone is enough:

```toml
model = "checkpoints/model.pth"
images = ["val"]
input-size = [224, 224]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
fail-on = ["dead>5%", "accuracy<0.9"]

[prune]
max-drop = 0.01
```

- `reportgen init` writes a `reportgen.toml` with every setting and its default as comments. It
  replaces no file.
- **Order**: a flag on the command line, then the environment (`REPORTGEN_MAX_IMAGES=20`), then
  the file, then the default. A list takes the place of the next one; it is not added to it. An
  empty text or list is as good as none.
- **Which file**: `reportgen.toml` goes before `pyproject.toml`; they are not mixed, and no folder
  above is searched. `--config FILE` (or `REPORTGEN_CONFIG`) names another, `--no-config` reads
  none.
- **Keys** are the flags' names, with `-` or `_`; MODEL and IMAGES are `model` and `images`. Those
  of `build` stand at the top, those of another command in a table of its name. The settings
  of {", ".join(sorted(SHARED))}, and `model` and `images`, mean the same to every command:
  at the top they hold for all, and a command's own table goes before.
- **Paths** in the file are relative to the file, also in `arch` and `labels`.
- An unknown key or a value of another type ends the command with exit code 2. The sentence names
  the file, the key and the nearest there is. The whole file is checked, whatever command reads it.
- In the environment, several values stand in one variable like words of a shell
  (`REPORTGEN_FAIL_ON="'dead > 5%' accuracy<0.9"`, `REPORTGEN_INPUT_SIZE="224 224"`), images as in
  `PATH`; 1 switches on, 0 off.
- `reportgen build --show-config` prints, as TOML, what would be used and where each value came
  from.
- The command that a report shows has all of it as flags, so nobody needs your file to make the
  report again. File names in it come without their folders.
"""


def cli_page() -> str:
    """docs/cli.md."""
    lines = [_CLI_HEAD]
    for name, command in commands.commands.items():
        context = click.Context(command, info_name=f"reportgen {name}")
        usage = " ".join([f"reportgen {name}", *command.collect_usage_pieces(context)])
        text = inspect.cleandoc(command.help or "")
        examples = "\n".join(f"    {example}" for example in getattr(command, "examples", ()))
        lines += [f"## {name}", "", f"    {usage}", "", text, "", examples, ""]
        for title, options in grouped(command).items():
            if own := list(filter(is_setting, options)):
                lines += [f"**{title}**", "", *_flags(own, context), ""]
    every = [one for options in grouped(commands.commands[MAIN]).values() for one in options]
    common = [one for one in every if not is_setting(one)]
    lines += ["## Flags of every command", "", *_flags(common, context), ""]
    lines += ["## Exit codes", "", *_exit_codes()]
    return "\n".join(lines) + "\n"


def config_page() -> str:
    """docs/config.md."""
    lines = [_CONFIG_HEAD]
    for name, command in with_settings(commands).items():
        if own := own_settings(name, command):
            lines += ["## At the top" if name == MAIN else f"## [{name}]", ""]
            lines += [*_keys(own, click.Context(command)), ""]
    return "\n".join(lines).rstrip() + "\n"


def pages() -> Mapping[str, str]:
    """The pages by name."""
    return {"cli.md": cli_page(), "config.md": config_page()}


def _flags(options: Iterable[click.Option], context: click.Context) -> Iterator[str]:
    yield from ("| flag | default | |", "|---|---|---|")
    for option in options:
        default = "required" if option.required else default_of(option, context)
        yield _row(f"`{spelling(option, context)}`", default, option.help or "")


def _keys(parameters: Iterable[click.Parameter], context: click.Context) -> Iterator[str]:
    yield from ("| key | value | default | environment |", "|---|---|---|---|")
    for one in parameters:
        choices = getattr(one.type, "choices", ())
        value = ", ".join(f"`{choice}`" for choice in choices) or wanted(one)
        key, variable = f"`{key_of(one)}`", f"`{one.envvar}`"
        yield _row(key, value, default_of(one, context), variable)


def _exit_codes() -> Iterator[str]:
    """What each code means, in the words of the error that carries it."""
    told: dict[int, list[str]] = {0: ["All is well."]}
    for kind in vars(errors).values():
        if (
            isinstance(kind, type)
            and issubclass(kind, errors.ReportgenError)
            and kind.exit_code < 70
        ):
            told.setdefault(kind.exit_code, []).append(inspect.cleandoc(kind.__doc__ or ""))
    told |= {70: ["A fault in reportgen itself."], 130: ["Interrupted."], 143: ["Terminated."]}
    yield from ("| code | |", "|---|---|")
    for code, sentences in sorted(told.items()):
        yield _row(str(code), " ".join(sentences))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, text in pages().items():
        write_file(folder / name, text.encode())
