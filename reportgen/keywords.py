"""Keyword arguments of a Python program to `Options`: each of them known, and of the right kind."""

import os
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

from reportgen.errors import OptionError
from reportgen.options import Options

OF_THE_CALL = ("labels", "normalised", "output", "progress")
"Keywords of `reportgen.build` that it takes itself."

_LOWEST = {
    "max_images": 1,
    "slices": 1,
    "batch_size": 1,
    "visualise": 0,
    "seed": 0,
    "max_pixels": 1,
    "threads": 1,
    "workers": 0,
}
_WITH_COMMAS = {"sections", "exclude"}


def options_from(
    model: Path, images: tuple[Path, ...], output: Path | None, given: Mapping[str, Any]
) -> Options:
    """The options of one build.

    Args:
        model: the file; empty where the network is in memory.
        images: files and folders; none where they are in memory.
        output: the folder to write; None for the default.
        given: options by name.

    Raises:
        OptionError: if there is no option of a name, or a value is of another kind than it takes.
    """
    hints = typing.get_type_hints(Options)
    known = [field.name for field in fields(Options) if field.name not in {"model", "images"}]
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            near = get_close_matches(name, {*known, *OF_THE_CALL}, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            raise OptionError(f"There is no option {name}; {hint}")
        if name in _WITH_COMMAS and isinstance(value, str):
            value = tuple(word.strip() for word in value.split(",") if word.strip())
        values[name] = _fitting(name, value, hints[name])
    if output is not None:
        values["output"] = output
    return Options(model=model, images=images, **values)


def _fitting(name: str, value: Any, hint: Any) -> Any:
    """The value as `Options` keeps it."""
    kinds = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in kinds:
            raise OptionError(f"{name} is one of {', '.join(kinds)}, not {value!r}.")
        return value
    if origin is tuple:
        return _several(name, value, kinds)
    if origin is not None:  # such as `float | None`
        if value is None and type(None) in kinds:
            return None
        return _fitting(name, value, next(kind for kind in kinds if kind is not type(None)))
    return _one(name, value, hint)


def _several(name: str, value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    if kinds[-1] is Ellipsis:
        return tuple(_one(name, item, kinds[0]) for item in (value if is_list else [value]))
    items = tuple(value) if is_list else (value,) * len(kinds)
    if len(items) != len(kinds):
        raise OptionError(f"{name} takes {len(kinds)} numbers, (down, across), not {value!r}.")
    if min(found := tuple(map(_one, [name] * len(items), items, kinds))) < 1:
        raise OptionError(f"{name} counts pixels, at least 1, so it cannot be {value!r}.")
    return found


def _one(name: str, value: Any, kind: type) -> Any:
    is_bool = isinstance(value, bool)
    if kind is bool and is_bool:
        return value
    if kind is int and isinstance(value, Integral) and not is_bool:
        lowest = _LOWEST.get(name)
        if lowest is not None and value < lowest:
            raise OptionError(f"{name} is {value}; it must be at least {lowest}.")
        return int(value)
    if kind is float and isinstance(value, Real) and not is_bool:
        return float(value)
    if kind is str and isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if kind is str and isinstance(value, Integral) and not is_bool:
        return str(int(value))  # such as `target=281`
    if kind is Path and isinstance(value, (str, os.PathLike)):
        return Path(value)
    words = {bool: "True or False", int: "a whole number", float: "a number", Path: "a path"}
    raise OptionError(f"{name} is {words.get(kind, 'a text')}, not {value!r}.")


def call_of(options: Options, model: str, images: str, more: Mapping[str, str]) -> str:
    """The call that makes the same report; file names stand for the folders of this machine.

    Args:
        options: what was asked for.
        model: how the network stands in the call.
        images: how the images do.
        more: keywords that are no options, as they stand in it.
    """
    words = [model, images]
    for name, shown in options.changed():
        value = getattr(options, name)
        # What is a text stands without the folders of this machine there.
        words.append(f"{name}={shown[0]!r}" if isinstance(value, str) else f"{name}={value!r}")
    words += [f"{name}={text}" for name, text in more.items()]
    return f"reportgen.build({', '.join(words)})"
