"""The page that documents compare.json, against the records and a comparison that was made."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest

from reportgen.compare import records
from reportgen.compare.store import LEFT_OUT
from tests.report.test_schema import in_json

PAGE = (Path(__file__).parents[2] / "docs/compare-schema.md").read_text(encoding="utf-8")
RECORDS = [
    kind
    for kind in vars(records).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == records.__name__
]


def rows(heading):
    """What the table under a heading says: the other cells by key."""
    found = re.search(rf"^(#+) {heading}$\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/compare-schema.md lacks {heading}"
    cells = re.findall(r"^\| `(\w+)` \| (.*) \|$", found[2], re.MULTILINE)
    assert len(cells) == len(dict(cells)), heading
    return dict(cells)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_key_is_documented_with_its_type(kind):
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name not in LEFT_OUT]
    expected = {name: "object" if name == "metrics" else in_json(hints[name]) for name in names}
    if kind is records.ParameterChange:
        # NaN where a tensor has no finite value.
        expected |= {"norm_a": "number or null", "norm_b": "number or null"}
    written = {name: cells.split(" |")[0].strip() for name, cells in rows(kind.__name__).items()}
    assert written == expected


def test_every_metric_is_documented(pair):
    assert list(rows("Metrics")) == list(pair.metrics)


def test_the_version_is_the_one_that_is_written():
    assert f"`schema_version` {records.SCHEMA_VERSION}." in PAGE
