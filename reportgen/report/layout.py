"""JSON text that a person can read and `git diff` can follow: one row or small record a line."""

import json
from typing import Any

WIDTH = 100
EVERY_LEVEL = 1000


def json_text(value: Any, indent: int = 0, levels: int = EVERY_LEVEL) -> str:
    """Strict JSON: what is short, and any list of plain values, on one line; the rest opened up.

    Args:
        value: made of what JSON has.
        indent: spaces in front of a line, but for the first.
        levels: that are opened up; what lies deeper stands on one line without spaces.

    Raises:
        ValueError: if a number is not finite.
    """
    spaces = (", ", ": ") if levels else (",", ":")
    line = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=spaces)
    if len(line) <= WIDTH or not levels or not isinstance(value, dict | list | tuple):
        return line
    inner = "\n" + " " * (indent + 1)
    outer = "\n" + " " * indent
    if isinstance(value, dict):
        items = (
            f"{json.dumps(key, ensure_ascii=False)}: {json_text(item, indent + 1, levels - 1)}"
            for key, item in value.items()
        )
        return "{" + inner + f",{inner}".join(items) + outer + "}"
    if not any(isinstance(item, dict | list | tuple) for item in value):
        return line
    opened = f",{inner}".join(json_text(item, indent + 1, levels - 1) for item in value)
    return f"[{inner}{opened}{outer}]"
