"""The page that documents report.json, against the records, the blocks and the sections."""

import ast
import dataclasses
import re
import types
import typing
from pathlib import Path

import numpy as np
import pytest

from reportgen.analyses import ANALYSES
from reportgen.report import blocks, records
from reportgen.report.arrays import Pixels

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/report-schema.md").read_text(encoding="utf-8")
RECORDS = [
    kind
    for kind in vars(records).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == records.__name__
]
KINDS = typing.get_args(blocks.Block)
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def part(heading):
    """The text under a heading."""
    found = re.search(rf"^(#+) {heading}$\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/report-schema.md lacks {heading}"
    return found[2]


def documented(heading):
    """Type by key, from the table under a heading."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", part(heading), re.MULTILINE)
    assert len(rows) == len(dict(rows)), heading
    return dict(rows)


def in_json(hint):
    """What a field of this type is in JSON, in the words of the page."""
    if hint in NAMES:
        return NAMES[hint]
    if hint == blocks.Cell:
        return "string, number, boolean, null or Link"
    if typing.get_origin(hint) is np.ndarray:
        return "Array"
    if dataclasses.is_dataclass(hint):
        return (
            hint.__name__.lower()
            if hint in KINDS and hint is not blocks.Histogram
            else hint.__name__
        )
    if typing.get_origin(hint) is typing.Literal:
        return "string"
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is types.UnionType:
        return " or ".join(in_json(item) for item in inner)
    assert typing.get_origin(hint) is tuple, hint
    return f"[{', '.join(in_json(item) for item in inner if item is not ...)}]"


def fields(kind):
    hints = typing.get_type_hints(kind)
    return {name: in_json(hints[name]) for name in hints if name != "panels"}


@pytest.mark.parametrize("kind", [*RECORDS, *KINDS], ids=lambda kind: kind.__name__)
def test_every_key_is_documented_with_its_type(kind):
    if kind is records.Panel:
        assert documented("Panel").keys() == {"arrays", "blocks"}
        return
    heading = kind.__name__.lower() if kind in KINDS else kind.__name__
    written = documented(heading)
    expected = fields(kind)
    if kind is records.ReceptiveField:
        expected["centre"] = "[number, number]"
    if kind is records.Parameter:
        # NaN where a tensor has no finite value.
        expected |= {key: f"{t} or null" for key, t in expected.items() if t == "number"}
    assert written == expected


@pytest.mark.parametrize("kind", [blocks.Column, blocks.Curve, blocks.Link, Pixels])
def test_what_stands_inside_blocks_is_documented(kind):
    (line,) = [
        line
        for line in PAGE.splitlines()
        if re.search(rf"\*\*{kind.__name__}\*\*|\[{kind.__name__}\]", line)
    ]
    names = [field.name for field in dataclasses.fields(kind) if field.name != "content"]
    assert [name for name in names if name not in line] == []


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.name)
def test_every_fact_of_a_section_is_documented(analysis):
    tree = ast.parse((ROOT / f"reportgen/analyses/{analysis.name}.py").read_text(encoding="utf-8"))
    given = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "facts"
    ]
    given += [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and "facts" in ast.unparse(node).split("=")[0]
    ]
    keys = {
        key.value
        for value in given
        if isinstance(value, ast.Dict)
        for key in value.keys
        if isinstance(key, ast.Constant)
    }
    text = part(analysis.name)
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_the_version_is_the_one_that_is_written():
    assert f"`schema_version` {records.SCHEMA_VERSION}." in PAGE
