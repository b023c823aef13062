"""A report as plain JSON values, with its arrays and pictures taken out and left as references."""

import math
import re
from dataclasses import fields, replace
from typing import Any, get_origin

import numpy as np
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from reportgen.report.arrays import Array, Pixels
from reportgen.report.blocks import Block, Cell, Link, Table
from reportgen.report.records import (
    Image,
    Layer,
    Panel,
    Preprocessing,
    ReceptiveField,
    Report,
    Section,
)
from reportgen.report.tables import columns_of, table_file, table_path


def is_array(hint: Any) -> bool:
    """Whether a field of this type holds an array."""
    return hint is np.ndarray or get_origin(hint) is np.ndarray


class Encoder:
    """Takes one report apart: JSON values in `document`, the rest beside it."""

    def __init__(self, report: Report) -> None:
        self.archives: dict[str, dict[str, Array]] = {}
        "Arrays by file (`arrays/occlusion.npz`) and name."
        self.pictures: dict[str, bytes] = {}
        "Files by path; those that a loaded report left on disk are missing."
        self.tables: dict[str, bytes] = {}
        "CSV by path: the rows of long tables."
        self._references: dict[int, str] = {}
        self._converter = self._make_converter()
        self.document: dict[str, Any] = self._converter.unstructure(report)

    def _make_converter(self) -> Converter:
        converter = Converter()
        converter.register_unstructure_hook_func(is_array, lambda array: array)
        converter.register_unstructure_hook(Pixels, self._pixels)
        for kind in (int, float, bool):
            converter.register_unstructure_hook(kind, _plain)
        converter.register_unstructure_hook_func(lambda hint: hint == Cell, _cell)
        position = make_dict_unstructure_fn(ReceptiveField, converter)
        converter.register_unstructure_hook(
            ReceptiveField, lambda field: {**position(field), "centre": field.centre}
        )
        prepared = make_dict_unstructure_fn(
            Preprocessing, converter, slices=override(omit_if_default=True)
        )
        converter.register_unstructure_hook(Preprocessing, prepared)
        for record in (Image, Layer):
            self._register_subject(converter, record)
        section = make_dict_unstructure_fn(Section, converter, panel=override(omit=True))
        converter.register_unstructure_hook(
            Section,
            lambda item: {
                **section(item),
                "panel": item.panel and self._panel(item.panel, item.name, ""),
            },
        )
        return converter

    def _register_subject(self, converter: Converter, record: type[Image] | type[Layer]) -> None:
        own = make_dict_unstructure_fn(record, converter, panels=override(omit=True))
        names = {field.name for field in fields(record)}

        def unstructured(item: Image | Layer) -> dict[str, Any]:
            if clash := names & item.panels.keys():
                raise ValueError(
                    f"sections may not be named as fields of a record: {sorted(clash)}"
                )
            panels = {
                name: self._panel(panel, name, item.slug) for name, panel in item.panels.items()
            }
            return {**own(item), **panels}

        converter.register_unstructure_hook(record, unstructured)

    def _pixels(self, pixels: Pixels) -> dict[str, Any]:
        if pixels.content:
            self.pictures[pixels.path] = pixels.content
        return {"path": pixels.path, "height": pixels.height, "width": pixels.width}

    def _panel(self, panel: Panel, section: str, subject: str) -> dict[str, Any]:
        taken = panel.facts.keys() & panel.arrays.keys()
        if clash := taken | ({"arrays", "blocks"} & (panel.facts.keys() | panel.arrays.keys())):
            raise ValueError(
                f"{section}: a fact and an array may not share a name: {sorted(clash)}"
            )
        return {
            **{name: _fact(fact) for name, fact in panel.facts.items()},
            **{
                name: self._reference(array, section, subject, name)
                for name, array in panel.arrays.items()
            },
            "arrays": list(panel.arrays),
            "blocks": {
                name: self._block(block, section, subject, name)
                for name, block in panel.blocks.items()
            },
        }

    def _block(self, block: Block, section: str, subject: str, name: str) -> dict[str, Any]:
        columns = columns_of(block) if isinstance(block, Table) else None
        if isinstance(block, Table) and columns:
            path = table_path(section, subject, name, block)
            self.tables[path] = table_file(block)
            short: dict[str, Any] = self._converter.unstructure(replace(block, rows=()))
            return {"block": "table", **short, "rows": {"csv": path, **columns}}
        values: dict[str, Any] = self._converter.unstructure(block)
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                values[key] = self._reference(value, section, subject, name, key)
        return {"block": type(block).__name__.lower(), **values}

    def _reference(self, array: Array, section: str, *names: str) -> str:
        """`arrays/<section>.npz#<names>`; the same array met again keeps its first reference."""
        if known := self._references.get(id(array)):
            return known
        file = f"arrays/{section}.npz"
        archive = self.archives.setdefault(file, {})
        key = re.sub(r"[^\w.-]", "-", ".".join(filter(None, names)), flags=re.ASCII)
        while key in archive:
            key += "-"
        archive[key] = array
        self._references[id(array)] = f"{file}#{key}"
        return self._references[id(array)]


def _plain(value: Any) -> Any:
    """A number that JSON can hold: Python's own, null where it is not finite."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(cell: Any) -> Any:
    return {"text": cell.text, "href": cell.href} if isinstance(cell, Link) else _plain(cell)


def _fact(fact: Any) -> Any:
    return [_plain(item) for item in fact] if isinstance(fact, tuple | list) else _plain(fact)
