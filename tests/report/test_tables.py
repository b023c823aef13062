import csv
import dataclasses
import gzip
import io
import json
import math

import numpy as np
import pytest

from reportgen.errors import OptionError
from reportgen.report import tables
from reportgen.report.blocks import Column, Link, Table
from reportgen.report.records import Panel
from reportgen.report.store import load_report, report_in, stored
from reportgen.report.tables import LONG, columns_of, rows_in, table_csv
from tests.report.sample_report import sample_report

RANDOM = np.random.default_rng(3)
COUNT = LONG + 5


def table(*columns):
    """A long table of these columns, each a list that is gone through again and again."""
    rows = zip(*([c[i % len(c)] for i in range(COUNT)] for c in columns), strict=True)
    return Table("numbers", tuple(Column(f"c{i}") for i in range(len(columns))), tuple(rows), 8)


LONG_TABLE = table(
    list(range(COUNT)),
    [*RANDOM.normal(size=COUNT - 3).tolist(), -0.0, 1e-300, 0.1],
    RANDOM.normal(size=COUNT).astype(np.float32).tolist(),
    [None, 2**60, -7],
    [None, 3.0],
    ["=1+1", 'a "b", c', "two\nlines", "", "-", "@", "é 😀", " x "],
    [Link("cat.png", "images/cat.html"), None, Link("=x", "images/x.html"), "no page.png"],
    [None],
)


def told(rows):
    """Values with their types, since 1 == 1.0 == True, and 0.0 == -0.0."""
    return [[(type(cell), repr(cell)) for cell in row] for row in rows]


def test_a_long_table_comes_back_from_its_csv_value_and_type():
    columns = columns_of(LONG_TABLE)
    kinds = "integer number number integer number text link integer"
    assert columns["kinds"] == kinds.split()
    assert columns["hrefs"] == {"cat.png": "images/cat.html", "=x": "images/x.html"}
    again = rows_in(table_csv(LONG_TABLE), columns["kinds"], columns["hrefs"])
    assert told(again) == told(LONG_TABLE.rows)


def test_any_other_program_reads_the_same_numbers():
    lines = list(csv.DictReader(io.StringIO(table_csv(LONG_TABLE).decode())))
    assert [float(line["c1"]) for line in lines] == [row[1] for row in LONG_TABLE.rows]
    single = np.array([line["c2"] for line in lines]).astype(np.float32)
    assert single.tolist() == [row[2] for row in LONG_TABLE.rows]


@pytest.mark.parametrize(
    "cells",
    [
        [1, 1.5],
        [1, True],
        [True, False],
        ["a", None],
        ["a", 1],
        ["'=quoted"],
        ["lone \udcff"],
        ["two\rlines"],
        [math.nan, 1.0],
        [math.inf],
        [np.float32(1.5)],
        [Link("7", "a.html"), Link("7", "b.html")],
        [Link("7", "a.html"), "7"],
        [Link("7", "a.html"), ""],
        [Link("", "a.html")],
        [Link("lone \udcff", "a.html")],
    ],
    ids=ascii,
)
def test_what_csv_cannot_tell_stays_in_the_report(cells):
    assert columns_of(table([0], cells)) is None


def test_a_short_table_stays_in_the_report():
    rows = LONG_TABLE.rows
    assert columns_of(dataclasses.replace(LONG_TABLE, rows=rows[:LONG])) is None
    assert columns_of(dataclasses.replace(LONG_TABLE, rows=rows[: LONG + 1])) is not None


@pytest.fixture
def report():
    """The sample with a long table, beside one that CSV cannot hold, on its last image."""
    sample = sample_report()
    panel = Panel({}, {}, {"long": LONG_TABLE, "odd": table([1, None, "x"])})
    image = dataclasses.replace(sample.images[1], panels={"extra": panel})
    return dataclasses.replace(sample, images=(sample.images[0], image))


def test_the_rows_of_a_long_table_are_stored_once(report):
    files = dict(stored(report))
    kept = json.loads(files["report.json"])["images"][1]["extra"]["blocks"]
    path = f"data/extra.{report.images[1].slug}.long.csv"
    assert kept["long"]["rows"]["csv"] == path
    assert kept["odd"]["rows"] == [list(row) for row in table([1, None, "x"]).rows]
    assert [name for name in files if name.endswith(".csv")] == [path]
    again = report_in(files.__getitem__)
    blocks = again.images[1].panels["extra"].blocks
    assert told(blocks["long"].rows) == told(LONG_TABLE.rows)
    assert dataclasses.replace(blocks["long"], rows=()) == dataclasses.replace(LONG_TABLE, rows=())
    assert blocks["odd"] == report.images[1].panels["extra"].blocks["odd"]
    assert dict(stored(report_in(files.__getitem__))).items() <= files.items()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace(b"\n1,", b"\none,", 1), "long.csv is damaged .*one"),
        (lambda text: text + b"1,2\n", "long.csv is damaged"),
        (lambda text: text[:-3] + b'"', "long.csv is damaged"),
        (lambda text: b"\xff" + text, "long.csv is damaged"),
        (None, "cannot read .*long.csv"),
    ],
)
def test_a_damaged_table_is_told_in_one_sentence(report, tmp_path, edit, message):
    for path, content in stored(report):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (place,) = tmp_path.glob("data/*.csv")
    if edit:
        place.write_bytes(edit(place.read_bytes()))
    else:
        place.unlink()
    with pytest.raises(OptionError, match=message) as told_so:
        load_report(tmp_path)
    assert "\n" not in str(told_so.value)


def test_a_table_may_not_lead_out_of_the_report(report):
    files = dict(stored(report))
    document = json.loads(files["report.json"])
    document["images"][1]["extra"]["blocks"]["long"]["rows"]["csv"] = "data/../secret.csv"
    files["report.json"] = json.dumps(document).encode()
    with pytest.raises(OptionError, match="is no path of a table"):
        report_in(files.__getitem__)


def gzipped(report):
    panel = Panel({}, {}, {"long": dataclasses.replace(LONG_TABLE, gzipped=True)})
    image = dataclasses.replace(report.images[1], panels={"extra": panel})
    return dataclasses.replace(report, images=(report.images[0], image))


def test_a_gzipped_table_is_the_same_csv_packed(report):
    files = dict(stored(gzipped(report)))
    (path,) = [name for name in files if name.startswith("data/extra.")]
    assert path.endswith(".long.csv.gz")
    assert gzip.decompress(files[path]) == table_csv(LONG_TABLE)
    assert files == dict(stored(gzipped(report)))
    again = report_in(files.__getitem__).images[1].panels["extra"].blocks["long"]
    assert again.gzipped and told(again.rows) == told(LONG_TABLE.rows)


@pytest.mark.parametrize(
    "edit",
    [lambda packed: packed[:-9], lambda packed: packed[:20] + b"\0\0\0" + packed[23:]],
    ids=["cut short", "changed"],
)
def test_a_damaged_gzipped_table_is_told_in_one_sentence(report, edit):
    files = dict(stored(gzipped(report)))
    (path,) = [name for name in files if name.endswith(".gz")]
    files[path] = edit(files[path])
    with pytest.raises(OptionError, match=r"long\.csv\.gz is damaged"):
        report_in(files.__getitem__)


def test_a_gzipped_table_may_not_unpack_without_an_end(report, monkeypatch):
    files = dict(stored(gzipped(report)))
    monkeypatch.setattr(tables, "_LARGEST", 1000)
    with pytest.raises(OptionError, match="unpacks to more than 1,000 bytes"):
        report_in(files.__getitem__)
