"""What flags take, the nearest word to a mistyped one, and what a shell completes."""

import ast
import gzip
import json
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

TORCHVISION = "torchvision:"
_PACKAGE = Path(__file__).parent.parent

# Names of sections and architectures are read from their files: the modules import torch, for
# which nobody waits who asks for help or presses Tab.


@cache
def section_names() -> tuple[str, ...]:
    """Names of the sections in their order, read from the file that lists them."""
    source = (_PACKAGE / "analyses" / "__init__.py").read_text(encoding="utf-8")
    return tuple(
        node.value.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr == "ANALYSIS"
        and isinstance(node.value, ast.Name)
    )


@cache
def architecture_names() -> tuple[str, ...]:
    """Names of torchvision's classifiers, from the shipped index."""
    packed = (_PACKAGE / "load" / "architectures.json.gz").read_bytes()
    return tuple(sorted(entry["name"] for entry in json.loads(gzip.decompress(packed))))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that ends a sentence; empty where nothing known is near."""
    close = get_close_matches(word, list(known), 1)
    return f" Did you mean {close[0]}?" if close else ""


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers as words of one text, `0.5 0.5 0.5` or `0.5,0.5,0.5`, or as a list."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """The numbers of a text or a list."""
        words = value.replace(",", " ").split() if isinstance(value, str) else value
        try:
            return tuple(float(word) for word in words)
        except (TypeError, ValueError):
            self.fail(f"it takes numbers, such as 0.5 0.5 0.5, not {value!r}.", param, ctx)


class Choice(click.Choice[str]):
    """One of a few words."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Names all words, and the nearest one again."""
        message = super().get_invalid_choice_message(value, ctx)
        return message + did_you_mean(str(value), map(str, self.choices))


class Texts(click.types.StringParamType):
    """Any text, of a flag that may be given again."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """Words as a shell reads them: `'dead > 5%' skipped>0` are two."""
        return shlex.split(rv)


class Sections(Texts):
    """Names of sections, several with commas between them."""

    name = "section"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it was, once every name in it is known."""
        for name in filter(None, value.split(",")):
            if name not in section_names():
                near = did_you_mean(name, section_names())
                self.fail(
                    f"there is no such section as {name}.{near} There are"
                    f" {', '.join(section_names())}.",
                    param,
                    ctx,
                )
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The sections, after the last comma."""
        before, comma, name = incomplete.rpartition(",")
        return [
            CompletionItem(f"{before}{comma}{known}")
            for known in section_names()
            if known.startswith(name)
        ]


class Architecture(click.types.StringParamType):
    """`FILE.py:NAME` or `torchvision:NAME`."""

    name = "architecture"

    def placed(self, value: str, folder: Path) -> str:
        """A file's name in `folder`, as it is called from here."""
        return str(folder / value) if ".py:" in value else value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Architectures whose name begins so, with or without `torchvision:`; else files."""
        known = (TORCHVISION + name for name in (architecture_names() if incomplete else ()))
        beginnings = (incomplete, TORCHVISION + incomplete)
        return _named_or_file(incomplete, [name for name in known if name.startswith(beginnings)])


class Labels(click.types.StringParamType):
    """A file of class names, or `imagenet`."""

    name = "labels"

    def placed(self, value: str, folder: Path) -> str:
        """A file's name in `folder`, as it is called from here."""
        return value if value.lower() == "imagenet" else str(folder / value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """`imagenet` where it may be meant, else files."""
        is_meant = incomplete and "imagenet".startswith(incomplete)
        return _named_or_file(incomplete, ["imagenet"] if is_meant else [])


def _named_or_file(incomplete: str, names: Sequence[str]) -> list[CompletionItem]:
    if names:
        return [CompletionItem(name) for name in names]
    return [CompletionItem(incomplete, type="file")]
