"""Which calls are meant by the globs that a user gives."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reportgen.errors import OptionError
from reportgen.probe.evidence import CallKey


def matching(keys: Sequence[CallKey], globs: Sequence[str]) -> set[CallKey]:
    """The calls whose name, with or without number, matches a glob; all where there are none."""
    if not globs:
        return set(keys)
    matching: set[CallKey] = set()
    for glob in globs:
        found = {key for key in keys if is_named(key, glob)}
        if not found:
            raise OptionError(f"--layers {glob}: {no_such_layer(keys, glob)}")
        matching |= found
    return matching


def is_named(key: CallKey, glob: str) -> bool:
    """Whether a glob means a call: `relu` all calls of it, `relu#1` the first alone."""
    return fnmatchcase(key.path, glob) or fnmatchcase(f"{key.path}#{key.call}", glob)


def no_such_layer(keys: Sequence[CallKey], name: str) -> str:
    """Says which layers there are instead, in a sentence."""
    if not keys:
        return "no layer was seen at work in this network."
    near = get_close_matches(name, [str(key) for key in keys], n=3)
    hint = f"The nearest: {', '.join(near)}; the" if near else "The"
    return f"no layer has such a name. {hint} first is {keys[0]}, the last {keys[-1]}."
