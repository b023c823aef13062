"""Tables of images, one by one: which column is which, what a row holds, and what is kept of it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from reportgen.errors import OptionError
from reportgen.load import saved_datasets, tables
from reportgen.load.decode import UnreadableImage
from reportgen.load.images import image_set
from reportgen.load.listing import listing
from reportgen.load.saved_datasets import _reason, is_dataset
from reportgen.load.tables import Kept, Table, _cell, has_images
from tests.load.test_images import SMALL, paths, picture, reasons
from tests.load.test_saved_datasets import CLASSES, as_parquet, png, saved, table

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

BINARY, LARGE, CELL = pa.binary(), pa.large_binary(), [("bytes", pa.binary()), ("path", "string")]


def written(tmp_path: Path, columns: dict[str, Any], features: Any = None, rows: int = 2) -> Path:
    """A Parquet file of these columns, so many rows a group, with what `datasets` says of them."""
    made = pa.table(columns)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        made = made.replace_schema_metadata({"huggingface": info})
    parquet.write_table(made, tmp_path / "a.parquet", row_group_size=rows)
    return tmp_path / "a.parquet"


def opened(tmp_path: Path, columns: dict[str, Any], features: Any = None, rows: int = 2) -> Table:
    return Table(written(tmp_path, columns, features, rows), Kept())


@pytest.mark.parametrize(
    ("name", "kind", "is_one"),
    [
        ("image", BINARY, True),
        ("IMG", BINARY, True),
        ("Picture", LARGE, True),
        ("pixel_values", LARGE, True),
        ("images", BINARY, False),
        ("x", BINARY, False),
        ("image", pa.string(), False),
        ("image", pa.int64(), False),
        ("x", pa.struct(CELL), True),
        ("x", pa.struct([*CELL, ("more", pa.int8())]), True),
        ("x", pa.struct(CELL[:1]), False),
        ("image", pa.struct(CELL[1:]), False),
    ],
)
def test_a_column_of_images_is_known_by_name_and_type(
    tmp_path: Path, name: str, kind: Any, is_one: bool
) -> None:
    columns = {"other": pa.array([b"x"], BINARY), name: pa.array([None], kind)}
    file = written(tmp_path, columns)
    assert has_images(file) is is_one
    if is_one:
        assert Table(file, Kept()).image == name
        return
    with pytest.raises(OptionError) as caught:
        Table(file, Kept())
    said = f"No column of the data set holds images; there are other, {name}."
    assert str(caught.value) == said


def test_what_is_said_of_the_columns_goes_before_their_names(tmp_path: Path) -> None:
    columns = {"image": [b"a"], "x": [b"b"], "label": [1], "kind": [0], "class": ["c"]}
    assert opened(tmp_path, columns).image == "image"
    features = {
        "gone": {"_type": "Image"},
        "image": {"_type": "Value"},
        "label": {"_type": "Value"},
        "x": {"_type": "Image"},
        "kind": {"_type": "ClassLabel", "names": ["eel"]},
        "odd": 3,
    }
    found = opened(tmp_path, columns, features)
    assert (found.image, found.label, found.names) == ("x", "kind", ("eel",))
    features = {"x": {"_type": "Value"}, "kind": {"_type": "ClassLabel"}}
    found = opened(tmp_path, columns, features)
    assert (found.image, found.label, found.names) == ("image", "kind", ())


def test_without_pyarrow_a_list_beside_images_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    assert has_images(tmp_path / "a.parquet") is None
    assert has_images(tmp_path / "gone.parquet") is None
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert has_images(tmp_path / "a.parquet") is True
    assert has_images(tmp_path / "metadata.parquet") is False


@pytest.mark.parametrize(
    ("columns", "names", "expected"),
    [
        ({}, None, [(None, None)] * 5),
        ({"label": [3, 0, -1, None, 12]}, None, ["3", "0", None, None, "12"]),
        ({"label": ["eel", "", None, "3", "-1"]}, None, ["eel", None, None, "3", "-1"]),
        ({"label": [True, False, None, True, True]}, None, [None] * 5),
        ({"label": [0.5] * 5, "cls": [1] * 5}, None, ["1"] * 5),
        ({"class": [1] * 5, "LABEL": [2] * 5}, None, ["2"] * 5),
        ({"label_id": [1] * 5, "target": [2] * 5}, None, ["2"] * 5),
        (
            {"label": [0, 1, 2, -1, -2]},
            ["ape", "eel"],
            [("ape", 0), ("eel", 1), (None, None), (None, None), (None, None)],
        ),
        ({"label": ["eel"] * 5}, ["ape", "eel"], ["eel"] * 5),
    ],
)
@pytest.mark.parametrize("rows", [2, 5])
def test_the_class_of_each_row_is_read(
    tmp_path: Path, columns: dict[str, Any], names: Any, expected: list[Any], rows: int
) -> None:
    features = {"label": {"_type": "ClassLabel", "names": names}} if names else None
    found = opened(tmp_path, {"image": [b"x"] * 5, **columns}, features, rows)
    assert found.rows == 5
    assert list(found.labels()) == [
        entry if isinstance(entry, tuple) else (entry, None) for entry in expected
    ]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (b"x", (b"x", None)),
        ("a.png", (None, "a.png")),
        (None, (None, None)),
        ({"bytes": b"x", "path": "a.png"}, (b"x", None)),
        ({"bytes": b"", "path": "a.png"}, (b"", None)),
        ({"bytes": None, "path": "a.png"}, (None, "a.png")),
        ({"path": "a.png"}, (None, "a.png")),
        ({}, (None, None)),
    ],
)
def test_a_row_holds_the_content_of_a_file_or_its_name(value: Any, cell: Any) -> None:
    assert _cell(value) == cell


@pytest.mark.parametrize("value", [3, [b"x"], {"bytes": "x"}, {"path": b"x"}, {"path": 3}])
def test_a_row_of_something_else_is_refused(value: Any) -> None:
    with pytest.raises(UnreadableImage) as caught:
        _cell(value)
    said = "The row holds neither the content of a file nor its name."
    assert str(caught.value) == said


def counted(table: Table, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The groups of rows that are read, as they are."""
    read, asked = table._columns_of, []

    def noted(at: int, name: str) -> Any:
        asked.append(at)
        return read(at, name)

    monkeypatch.setattr(table, "_columns_of", noted)
    return asked


def test_one_group_of_rows_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = opened(tmp_path, {"image": [b"0", b"1", b"2", b"3", b"4"]})
    asked = counted(found, monkeypatch)
    for row in (0, 1, 2, 3, 4):
        assert found.cell(row) == (b"%d" % row, None)
    assert asked == [0, 1, 2]
    assert found.cell(1) == (b"1", None) and asked == [0, 1, 2]


def test_what_was_asked_for_last_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = opened(tmp_path, {"image": [b"0", b"1", b"2"]}, rows=1)
    monkeypatch.setattr(tables, "_KEPT", 2)
    for row in (0, 1, 0, 2):
        found.cell(row)
    assert [row for _, row in found._kept.cells] == [0, 2]
    asked = counted(found, monkeypatch)
    assert [found.cell(row) for row in (0, 2, 1)] == [(b"0", None), (b"2", None), (b"1", None)]
    assert asked == [1]


def test_files_up_to_a_size_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables._KEPT * tables._KEPT_BYTES == 256 * 2**20  # what a data set takes at most
    found = opened(tmp_path, {"image": pa.array([b"", None, b"1234", b"12345"], BINARY)})
    monkeypatch.setattr(tables, "_KEPT_BYTES", 4)
    assert [found.cell(row)[0] for row in range(4)] == [b"", None, b"1234", b"12345"]
    assert [row for _, row in found._kept.cells] == [0, 1, 2]
    monkeypatch.setattr(tables, "_KEPT_BYTES", 0)
    found._kept.cells.clear()
    assert [found.cell(row)[0] for row in range(4)] == [b"", None, b"1234", b"12345"]
    assert [row for _, row in found._kept.cells] == [0, 1]


def test_a_group_of_rows_as_large_as_allowed_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its other columns are not read with it."""
    cells = [{"bytes": b"x" * 300, "path": "a.png"}] * 2
    columns = {"image": pa.array(cells, pa.struct(CELL)), "text": ["y" * 1000] * 2}
    found = opened(tmp_path, columns)
    group = parquet.read_metadata(tmp_path / "a.parquet").row_group(0)
    size = sum(group.column(at).total_uncompressed_size for at in (0, 1))
    monkeypatch.setattr(tables, "MAX_BYTES", size / 4)
    assert found.cell(1) == (b"x" * 300, None)
    monkeypatch.setattr(tables, "MAX_BYTES", (size - 1) / 4)
    found._kept.cells.clear()
    found._kept.group = None
    with pytest.raises(UnreadableImage, match=r"^A group of rows is too large: save it with fewer"):
        found.cell(1)


def test_lengths_inside_a_batch_are_looked_at(tmp_path: Path) -> None:
    folder = saved(tmp_path / "d", table([0, 1], [0, 1]))
    (file,) = folder.glob("*.arrow")
    first, both = len(png(0)), len(png(0)) + len(png(1))
    places = b"".join(end.to_bytes(4, "little") for end in (0, first, both))
    head, found, rest = file.read_bytes().rpartition(places)
    assert found
    wrong = b"".join(end.to_bytes(4, "little") for end in (0, 2**30, both))
    file.write_bytes(head + wrong + rest)
    picture(tmp_path / "good.png")
    images = image_set([folder, tmp_path / "good.png"], SMALL)
    assert paths(images) == ["good.png"]
    assert set(reasons(images).values()) == {"The data set is damaged here."}


def test_an_empty_arrow_file_is_told(tmp_path: Path) -> None:
    folder = saved(tmp_path / "d", table([0], [0]))
    (file,) = folder.glob("*.arrow")
    file.write_bytes(b"")
    (entry,) = listing([folder]).skipped
    assert entry.reason.startswith("The data set cannot be read (")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "one of its files cannot be opened"),
        (ValueError("bad bytes in /home/me/d/a.parquet"), "one of its files cannot be opened"),
        (ValueError("  bad \n bytes ... "), "bad bytes"),
        (ValueError("x" * 119 + ".." + "y"), "x" * 119),
        (ValueError("x" * 130), "x" * 120),
    ],
)
def test_why_a_data_set_cannot_be_read_names_no_folder(error: Exception, said: str) -> None:
    assert _reason(error, Path("/home/me/d")) == said


def test_a_link_to_a_table_elsewhere_makes_no_data_set(tmp_path: Path) -> None:
    elsewhere = as_parquet(tmp_path / "elsewhere", table([0], [0])) / "train-00000-of-00001.parquet"
    picture(tmp_path / "d" / "own.png")
    (tmp_path / "d" / "data").mkdir()
    (tmp_path / "d" / "data" / "train.parquet").symlink_to(elsewhere)
    assert not is_dataset(tmp_path / "d") and is_dataset(tmp_path / "d", follow_links=True)
    assert paths(image_set([tmp_path / "d"], SMALL)) == ["own.png"]
    assert paths(image_set([tmp_path / "d"], SMALL, follow_links=True)) == ["train/0"]
    (tmp_path / "d" / "own.png").unlink()
    assert is_dataset(tmp_path / "d")
    found = listing([tmp_path / "d"])
    assert found.candidates == ()
    assert [(entry.path, entry.reason) for entry in found.skipped] == [
        (
            "data/train.parquet",
            "This is a link out of the folder, which is followed with --follow-links only.",
        )
    ]


def test_a_split_without_classes_leaves_the_names_of_the_others(tmp_path: Path) -> None:
    as_parquet(tmp_path / "d", table([0, 1], [0, 2]))
    plain = pa.table({"image": pa.array([png(3)], BINARY)})
    as_parquet(tmp_path / "d", plain, "test-00000-of-00001.parquet")
    found = listing([tmp_path / "d"])
    assert found.class_names == tuple(CLASSES)
    assert [(one.path, one.label, one.index) for one in found.candidates] == [
        ("test/0", None, None),
        ("train/0", "eel", 0),
        ("train/1", "ape", 2),
    ]
    assert found.notes == ("The splits test, train were read: give one alone for its own numbers.",)


def test_rows_of_several_files_are_numbered_through(tmp_path: Path) -> None:
    for at, seeds in enumerate(([0, 1, 2], [3], [4, 5])):
        name = f"train-{at:05}-of-00003.parquet"
        as_parquet(tmp_path / "d" / "data", table(seeds, seeds), name)
    found = listing([tmp_path / "d"]).candidates
    assert [one.path for one in found] == [f"train/{row}" for row in range(6)]
    assert [one.location.read() for one in found if not isinstance(one.location, Path)] == [
        png(seed) for seed in range(6)
    ]
    assert [one.index for one in found] == [0, 1, 2, None, None, None]


def test_batches_of_an_arrow_file_are_found_again_in_any_order(tmp_path: Path) -> None:
    folder = saved(tmp_path / "d", table(range(7), [0, 1, 2, -1, 0, 1, 2]))
    (file,) = folder.glob("*.arrow")
    found = Table(file, Kept())
    assert (found.rows, found.image, found.label, found.names) == (
        7,
        "image",
        "label",
        tuple(CLASSES),
    )
    for row in (6, 0, 3, 5, 1):
        assert found.cell(row) == (png(row), None)
    names = [None if at < 0 else CLASSES[at] for at in (0, 1, 2, -1, 0, 1, 2)]
    assert [name for name, _ in found.labels()] == names


@pytest.mark.parametrize("form", ["arrow", "splits"])
def test_a_description_is_read_up_to_a_size(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "d" / "train", table([0, 1], [0, 1]))
    described = folder / "state.json"
    if form == "splits":
        folder, described = tmp_path / "d", tmp_path / "d" / "dataset_dict.json"
        described.write_text(json.dumps({"splits": ["train"], "more": "x" * 200}))
    size = described.stat().st_size
    monkeypatch.setattr(saved_datasets, "_MAX_DESCRIPTION", size)
    assert is_dataset(folder)
    assert len(listing([folder]).candidates) == 2
    monkeypatch.setattr(saved_datasets, "_MAX_DESCRIPTION", size - 1)
    assert not is_dataset(folder)


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [
        *(("train", True), (".hidden", True), ("a b", True), ("..a", True), ("é", True)),
        *(("", False), (".", False), ("..", False), ("a/b", False), ("a/", False), ("/a", False)),
        *(("a\0b", False), ("\ud800", False)),
    ],
)
def test_names_in_a_description_are_plain(name: str, is_plain: bool) -> None:
    assert saved_datasets._is_plain(name) is is_plain


def test_a_folder_with_a_table_and_something_else_is_no_data_set(tmp_path: Path) -> None:
    """Where nothing tells that the table holds images."""
    as_parquet(tmp_path / "d", pa.table({"text": ["a"]}))
    assert is_dataset(tmp_path / "d")  # whose table is then said to hold none
    for name in ("notes.txt", ".hidden", "more/list.csv"):
        (tmp_path / "d" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "d" / name).touch()
        assert is_dataset(tmp_path / "d")
    (tmp_path / "d" / "more" / "b.xyz").touch()
    assert not is_dataset(tmp_path / "d")


def test_a_folder_that_is_called_like_a_table_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "d" / "odd.parquet" / "a.png")
    assert not is_dataset(tmp_path / "d")
    assert paths(image_set([tmp_path / "d"], SMALL)) == ["odd.parquet/a.png"]
    as_parquet(tmp_path / "d", table([0, 1], [0, 1]))
    assert paths(image_set([tmp_path / "d"], SMALL)) == ["train/0", "train/1"]
