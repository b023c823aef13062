"""JSON text that a person can read and `git diff` can follow: one row or small record a line."""

import json
from typing import Any

WIDTH = 100


def json_text(value: Any, indent: int = 0) -> str:
    """Strict JSON: what is short, and any list of plain values, on one line; the rest opened up.

    Raises:
        ValueError: if a number is not finite.
    """
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(line) <= WIDTH or not isinstance(value, dict | list | tuple):
        return line
    inner = "\n" + " " * (indent + 1)
    outer = "\n" + " " * indent
    if isinstance(value, dict):
        items = (
            f"{json.dumps(key, ensure_ascii=False)}: {json_text(item, indent + 1)}"
            for key, item in value.items()
        )
        return "{" + inner + f",{inner}".join(items) + outer + "}"
    if not any(isinstance(item, dict | list | tuple) for item in value):
        return line
    return (
        "[" + inner + f",{inner}".join(json_text(item, indent + 1) for item in value) + outer + "]"
    )
