"""Flags that know under which heading the help lists them."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)

SHARED = frozenset({"Model", "Images", "Compute", "Messages"})
"Groups that mean the same to every command: what is set for `build` holds for the others too."


class Flag(click.Option):
    """A flag with its group, and with what the help says of it."""

    def __init__(
        self,
        *names: Any,
        group: str,
        is_essential: bool = False,
        is_setting: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(*names, **settings)
        self.group = group
        self.is_essential = is_essential
        "Whether the one screen of `-h` shows it."
        self.is_setting = is_setting
        "Whether it may stand in the environment or in a file of settings."


def group(title: str) -> Callable[..., Decorator]:
    """What makes the flags of a group."""
    return partial(click.option, cls=Flag, group=title)


def flags(*groups: Iterable[Decorator]) -> Decorator:
    """Gives a command the flags of some groups, in this order."""
    decorators = [flag for group in groups for flag in group]

    def given(command: Callable[..., Any]) -> Callable[..., Any]:
        for flag in reversed(decorators):
            command = flag(command)
        return command

    return given


_output = group("Output")


def output(default: str | None, help: str = "Folder to write.", **settings: Any) -> Decorator:
    """The flag `-o` of a command."""
    path = Path(default) if default else None
    return _output(
        "-o", "--output", type=PATH, default=path, help=help, is_essential=True, **settings
    )


def force(help: str) -> Decorator:
    """The flag `--force` of a command."""
    return _output("--force", is_flag=True, help=help)
