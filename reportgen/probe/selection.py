"""Which calls are meant by the globs that a user gives."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from reportgen.errors import OptionError
from reportgen.probe.evidence import CallKey


def matching(keys: Sequence[CallKey], globs: Sequence[str]) -> set[CallKey]:
    """The calls whose name, with or without number, matches a glob; all where there are none."""
    if not globs:
        return set(keys)
    matching: set[CallKey] = set()
    for glob in globs:
        found = {key for key in keys if fnmatchcase(key.path, glob) or fnmatchcase(str(key), glob)}
        if not found:
            raise OptionError(
                f"--layers {glob}: no layer has such a name. "
                f"The first is {keys[0]}, the last {keys[-1]}."
            )
        matching |= found
    return matching
