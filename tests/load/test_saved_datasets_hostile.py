"""Data sets that are not what they seem: numbers for names, images beside tables, lies, shards."""

import json
import sys
import weakref

import pytest

from reportgen.errors import ImageError, OptionError
from reportgen.load.images import image_set
from reportgen.load.labels import true_indices
from reportgen.load.tables import Table
from tests.load.test_images import SMALL, paths, reasons
from tests.load.test_saved_datasets import LABELS, SEEDS, as_parquet, check, png, saved, table

pa = pytest.importorskip("pyarrow")

NUMBERS = ["0", "1", "10", "11", "2"]
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        # Unnamed classes, and the data set's own names: the data set's own order.
        ([f"class {index}" for index in range(5)], [2, 3, 4, 1]),
        (NUMBERS, [2, 3, 4, 1]),
        # The network names the very same in another order.
        (["2", "11", "0", "1", "10"], [4, 1, 0, 3]),
        # One of other classes: a name that is a number is an index of the network's.
        ([f"class {index}" for index in range(12)], [10, 11, 2, 1]),
    ],
)
@pytest.mark.parametrize("is_beside", [False, True])
def test_names_that_are_numbers_are_names(tmp_path, labels, expected, is_beside):
    rows = table(range(4), [2, 3, 4, 1], names=NUMBERS)
    given = [saved(tmp_path / "d", rows)]
    if is_beside:  # images without classes, which change nothing of the others
        (tmp_path / "more").mkdir()
        (tmp_path / "more" / "z.png").write_bytes(png(9))
        given.append(tmp_path / "more")
    images = image_set(given, SMALL)
    assert [f.true_class for f in images.files[:4]] == ["10", "11", "2", "1"]
    assert list(true_indices(images, labels)) == expected + [None] * is_beside


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["C", "C++", "C#"], [0, 1, 2]),
        (["C#", "C", "C++"], [1, 2, 0]),
        (["x", "y", "z"], [0, 1, 2]),
    ],
)
def test_names_that_differ_in_marks_alone_are_told_apart(tmp_path, labels, expected):
    rows = table(range(3), [0, 1, 2], names=["C", "C++", "C#"])
    images = image_set([saved(tmp_path / "d", rows)], SMALL)
    assert list(true_indices(images, labels)) == expected


def test_splits_that_number_their_classes_differently_are_taken_by_name(tmp_path):
    saved(tmp_path / "d" / "train", table([0], [2], names=["ape", "cat", "eel"]))
    saved(tmp_path / "d" / "test", table([1], [2], names=["eel", "cat", "ape"]))
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    other = saved(tmp_path / "other", table([2], [0]))
    images = image_set([tmp_path / "d", other], SMALL)
    assert images.class_names == ()
    assert [f.true_class for f in images.files] == ["ape", "eel", "eel"]
    assert list(true_indices(images, ["cat", "ape", "eel"])) == [1, 2, 2]


def folder_of_images(folder):
    for at, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.png").write_bytes(png(at))
    return folder


@pytest.mark.parametrize("place", ["", "data"])
@pytest.mark.parametrize("has_pyarrow", [True, False])
def test_a_table_beside_images_makes_no_data_set(tmp_path, monkeypatch, place, has_pyarrow):
    folder = folder_of_images(tmp_path / "d")
    rows = pa.table({"file_name": ["cat/0.png", "dog/0.png"], "label": [1, 0]})
    as_parquet(folder / place, rows, "metadata.parquet")
    if not has_pyarrow:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    images = image_set([folder], SMALL)
    assert paths(images) == ["cat/0.png", "dog/0.png"]
    assert [f.true_class for f in images.files] == ["cat", "dog"]
    assert "(1 .parquet)" in images.notes[0]


def test_a_table_beside_those_of_images_is_left_out(tmp_path):
    folder = as_parquet(tmp_path / "d", table(SEEDS, LABELS))
    as_parquet(folder, pa.table({"text": ["a"]}), "metadata.parquet")
    check(image_set([folder], SMALL), "train/")


@pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
@pytest.mark.parametrize("content", ['{"step": 3}', "[]", "{", '{"_data_files": 1, "splits": 2}'])
def test_a_state_of_something_else_makes_no_data_set(tmp_path, name, content):
    folder = folder_of_images(tmp_path / "d")
    (folder / name).write_text(content)
    assert paths(image_set([folder], SMALL)) == ["cat/0.png", "dog/0.png"]


@pytest.mark.parametrize("form", ["arrow", "packed", "parquet"])
def test_many_shards_hold_no_more_than_one(tmp_path, monkeypatch, form):
    shards = [table([seed], [label]) for seed, label in zip(SEEDS, LABELS, strict=True)]
    if form == "parquet":
        for at, rows in enumerate(shards):
            as_parquet(tmp_path / "d", rows, f"train-{at:05}-of-00005.parquet")
    else:
        saved(tmp_path / "d", *shards, compression="zstd" if form == "packed" else None)
    groups, most = [], [0]
    read = Table._columns_of

    def watched(self, at, name):
        made = read(self, at, name)
        groups.append(weakref.ref(made))
        most[0] = max(most[0], sum(group() is not None for group in groups))
        return made

    monkeypatch.setattr(Table, "_columns_of", watched)
    monkeypatch.setattr("reportgen.load.tables._KEPT", 2)
    images = image_set([tmp_path / "d"], SMALL)
    check(images, "train/" if form == "parquet" else "")
    assert len(groups) > 10 and most[0] == 1
    (kept,) = {file.location.table._kept for file in images.files}
    assert len(kept.cells) == 2


def test_lengths_that_lead_out_of_an_arrow_file_are_told(tmp_path):
    folder = saved(tmp_path / "d", table([0], [0]))
    (file,) = folder.glob("*.arrow")
    lengths = b"\0\0\0\0" + len(png(0)).to_bytes(4, "little")
    # The last are in the batch itself; before stands what describes it.
    head, found, rest = file.read_bytes().rpartition(lengths)
    assert found
    for wrong in ((2**30).to_bytes(4, "little"), b"\xff\xff\xff\xff"):
        file.write_bytes(head + b"\0\0\0\0" + wrong + rest)
        with pytest.raises(ImageError, match="The data set is damaged here"):
            image_set([folder], SMALL)


def described(content):
    schema = table([0], [0]).schema.with_metadata({"huggingface": content})
    return table([0], [0]).cast(schema)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"info": 3}', "says of its columns is damaged"),
        ('{"info": {"features": [1]}}', "says of its columns is damaged"),
        ("[]", "says of its columns is damaged"),
        ("{", "says of its columns is damaged"),
        (
            '{"info": {"features": {"label": {"_type": "ClassLabel", "names": "a"}}}}',
            "names of the",
        ),
        ("[" * 100_000, "says of its columns is damaged"),
        ('{"info": {"features": {"label": {"_type": "ClassLabel", "names": 3}}}}', "names of the"),
        (
            '{"info": {"features": {"label": {"_type": "ClassLabel", "names": [1]}}}}',
            "names of the",
        ),
        (
            '{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["\\ud800"]}}}}',
            "names of the",
        ),
    ],
)
@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_damaged_description_is_told(tmp_path, form, content, said):
    make = saved if form == "arrow" else as_parquet
    with pytest.raises(OptionError, match=said):
        image_set([make(tmp_path / "d", described(content))], SMALL)


@pytest.mark.parametrize(
    ("state", "splits"),
    [
        ({"_data_files": [3, {"filename": 4}, {"filename": "a\0b"}, {"filename": "../x"}]}, None),
        ({"_data_files": [{"filename": "gone.arrow"}]}, None),
        ({"_data_files": 3}, ["train", 4, "a\0b", "\ud800", "..", "gone"]),
    ],
)
def test_names_of_no_files_are_told(tmp_path, state, splits):
    folder = saved(tmp_path / "d", table([0], [0]))
    (folder / "state.json").write_text(json.dumps(state))
    if splits:
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    with pytest.raises(ImageError, match="image") as told:
        image_set([folder], SMALL)
    assert str(told.value).count(str(tmp_path)) == 1  # what was given, and no path of a file


def test_an_image_that_is_neither_bytes_nor_a_name_is_told(tmp_path):
    features = {"info": {"features": {"image": {"_type": "Image"}}}}

    def told(name, kind, values):
        rows = pa.table({"image": pa.array(values, kind)})
        rows = rows.replace_schema_metadata({"huggingface": json.dumps(features)})
        folder = as_parquet(tmp_path / name, rows)
        (folder / "a.png").write_bytes(png(0))
        images = image_set([folder, folder / "a.png"], SMALL)
        return [entry.reason for entry in images.skipped]

    neither = "The row holds neither the content of a file nor its name."
    number = pa.struct([("bytes", pa.binary()), ("path", pa.int64())])
    words = pa.struct([("bytes", pa.string()), ("path", pa.string())])
    assert told("number", number, [{"bytes": None, "path": 3}]) == [neither]
    assert told("words", words, [{"bytes": "a", "path": "a.png"}]) == [neither]
    assert told("plain", pa.int64(), [3]) == [neither]
    nul = [{"bytes": None, "path": "a\0.png"}]
    assert told("nul", CELL, nul) == ["The row names a file that cannot be."]
    late = pa.timestamp("ms")  # in no calendar that Python knows
    assert told("late", late, [2**60]) == ["The data set is damaged here."]
    assert told("loop", CELL, [{"bytes": None, "path": "x" * 5000}])[0].startswith(
        "The file cannot"
    )


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_links_out_of_a_data_set_are_followed_where_asked(tmp_path, form):
    make = saved if form == "arrow" else as_parquet
    folder, start = make(tmp_path / "d", table(SEEDS, LABELS)), "" if form == "arrow" else "train/"
    (file,) = folder.glob(f"*.{form}")
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ImageError, match=f"{file.name}: This is a link out of the folder"):
        image_set([folder], SMALL)
    check(image_set([folder], SMALL, follow_links=True), start)
    (tmp_path / "elsewhere").rename(folder / "inside")
    file.unlink()
    file.symlink_to("inside")
    check(image_set([folder], SMALL), start)


def test_of_a_data_set_with_a_link_the_rest_is_read(tmp_path):
    folder = as_parquet(tmp_path / "d", table(SEEDS, LABELS))
    as_parquet(tmp_path / "other", table([7], [0]))
    link = folder / "train-00001-of-00002.parquet"
    link.symlink_to(tmp_path / "other" / "train-00000-of-00001.parquet")
    images = image_set([folder], SMALL)
    check(images, "train/")
    assert reasons(images) == {
        link.name: "This is a link out of the folder, which is followed with --follow-links only."
    }
