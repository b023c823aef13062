"""A comparison to `compare.json`, described key by key in `docs/compare-schema.md`."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from reportgen.compare.records import Comparison
from reportgen.report.layout import json_text

FILE = "compare.json"

LEFT_OUT = {
    "table",
    "histogram_a",
    "histogram_b",
    "photo",
    "map_a",
    "map_b",
    "difference",
    "frames",
}
"Fields that only the pages need: they stand in the reports themselves or in a CSV beside the file."


def stored(comparison: Comparison) -> bytes:
    """The content of `compare.json`: strict JSON, what is not finite as null."""
    # A file name that is not UTF-8 reaches us as lone surrogates; this writes them as JSON escapes.
    return f"{json_text(_plain(comparison))}\n".encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: _plain(item) for name, item in pairs if name not in LEFT_OUT}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
