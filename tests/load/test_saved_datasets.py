"""Saved Hugging Face datasets, in the forms in which `datasets` (5.2) writes them."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen.errors import ImageError, OptionError
from reportgen.load.images import image_set
from reportgen.load.labels import class_names, true_indices
from reportgen.load.listing import shown_names
from reportgen.options import Options
from tests.load.test_images import SMALL, paths, reasons

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CLASSES = ["eel", "cat", "ape"]


def png(seed):
    values = np.random.default_rng(seed).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def table(seeds, labels, *, described=True, names=CLASSES):
    """Rows as `datasets` keeps them, with or without what it says of the columns."""
    cells = [{"bytes": png(seed), "path": None} for seed in seeds]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"label": pa.array(labels, pa.int64()), "image": pa.array(cells, kind)}
    made = pa.table(columns)
    if not described:
        return made
    features = {
        "image": {"_type": "Image"},
        "label": {"names": names, "_type": "ClassLabel"},
    }
    info = json.dumps({"info": {"features": features}})
    return made.replace_schema_metadata({"huggingface": info})


def saved(folder, *tables, compression=None):
    """A folder as `Dataset.save_to_disk` leaves it."""
    folder.mkdir(parents=True)
    files = []
    for at, rows in enumerate(tables):
        name = f"data-{at:05}-of-{len(tables):05}.arrow"
        packed = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(str(folder / name), rows.schema, options=packed) as stream:
            stream.write_table(rows, max_chunksize=2)
        files.append({"filename": name})
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def as_parquet(folder, rows, name="train-00000-of-00001.parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(rows, folder / name, row_group_size=2)
    return folder


SEEDS, LABELS = list(range(5)), [2, 0, 1, -1, 2]


def check(images, start=""):
    assert paths(images) == [f"{start}{row}" for row in SEEDS]
    assert [f.true_class for f in images.files] == ["ape", "eel", "cat", None, "ape"]
    assert images.class_names == tuple(CLASSES)
    for index in (4, 0, 3, 1, 2):
        expected = torch.from_numpy(np.array(Image.open(io.BytesIO(png(index))))).permute(2, 0, 1)
        shown = torch.from_numpy(np.array(images.picture(index))).permute(2, 0, 1)
        assert torch.equal(shown, expected)


def test_a_saved_dataset_is_read_row_by_row(tmp_path):
    folder = saved(tmp_path / "d", table(SEEDS[:3], LABELS[:3]), table(SEEDS[3:], LABELS[3:]))
    images = image_set([folder], SMALL)
    check(images)
    assert images.notes == ()
    assert shown_names([folder]) == ["images"]


def test_parquet_files_are_read_in_a_folder_and_alone(tmp_path):
    folder = as_parquet(tmp_path / "d" / "data", table(SEEDS, LABELS)).parent
    check(image_set([folder], SMALL), "train/")
    check(image_set([folder / "data" / "train-00000-of-00001.parquet"], SMALL))


def test_several_splits_are_read_and_said(tmp_path):
    saved(tmp_path / "d" / "train", table([0, 1], [0, 1]))
    saved(tmp_path / "d" / "test", table([2], [2]))
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test", "../x"]}')
    images = image_set([tmp_path / "d"], SMALL)
    assert paths(images) == ["test/0", "train/0", "train/1"]
    assert [f.true_class for f in images.files] == ["ape", "eel", "cat"]
    assert images.notes == (
        "The splits train, test were read: give one alone for its own numbers.",
    )
    assert paths(image_set([tmp_path / "d" / "test"], SMALL)) == ["0"]


def test_what_is_not_described_is_known_by_names_and_types(tmp_path):
    folder = as_parquet(tmp_path / "d", table(SEEDS, LABELS, described=False))
    images = image_set([folder], SMALL)
    assert [f.true_index for f in images.files] == [2, 0, 1, None, 2]
    assert images.class_names == ()
    plain = pa.table({"img": pa.array([png(0)], pa.binary()), "class": ["eel"]})
    (file,) = image_set([as_parquet(tmp_path / "plain", plain)], SMALL).files
    assert file.true_class == "eel"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        # A network of other classes: by name. One of as many: by the data set's own order.
        (("cat", "dog", "eel", "ape"), [3, 2, 0, None, 3]),
        (("Eel, fish", "Cat (tabby)", "great ape"), [2, 0, 1, None, 2]),
    ],
)
def test_classes_meet_those_of_the_network(tmp_path, labels, expected):
    images = image_set([saved(tmp_path / "d", table(SEEDS, LABELS))], SMALL)
    assert list(true_indices(images, labels)) == expected


def test_the_names_of_a_dataset_name_the_classes_of_a_network_without(tmp_path):
    class Unnamed:
        labels, labels_source = (), ""

    images = image_set([saved(tmp_path / "d", table(SEEDS, LABELS))], SMALL)
    options = Options(model=tmp_path, images=())
    assert class_names(Unnamed, images, options, 3) == (tuple(CLASSES), "stated by the data set")
    assert class_names(Unnamed, images, options, 4)[1] == "no names are known"


def test_images_that_are_named_lie_in_the_dataset_s_folder(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    (tmp_path / "secret.png").write_bytes(png(1))
    names = ["a.png", "../secret.png", str(tmp_path / "secret.png"), None]
    cells = [{"bytes": None, "path": name} for name in names]
    folder = as_parquet(tmp_path / "d", pa.table({"image": pa.array(cells, kind)}))
    (folder / "a.png").write_bytes(png(0))
    images = image_set([folder], SMALL)
    assert paths(images) == ["train/0"]
    out = "The row names a file out of the data set's folder."
    assert reasons(images) == {"train/1": out, "train/2": out, "train/3": "The row holds no image."}


def test_a_row_that_is_no_image_is_skipped(tmp_path):
    rows = pa.table({"image": pa.array([png(0), b"words"], pa.binary())})
    images = image_set([as_parquet(tmp_path / "d", rows)], SMALL)
    assert reasons(images) == {"train/1": "This is text, not an image."}


def test_a_dataset_without_images_is_an_error(tmp_path):
    folder = as_parquet(tmp_path / "d", pa.table({"text": ["a"], "label": [1]}))
    (folder / "README.md").write_text("words")
    with pytest.raises(OptionError, match="No column of the data set holds images; there are text"):
        image_set([folder], SMALL)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_a_damaged_dataset_is_told(tmp_path, form, share):
    if form == "arrow":
        folder = saved(tmp_path / "d", table(SEEDS, LABELS))
    else:
        folder = as_parquet(tmp_path / "d", table(SEEDS, LABELS))
    (file,) = folder.glob(f"*.{form}")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    try:
        images = image_set([folder], SMALL)
    except ImageError as error:
        assert "cannot be read" in str(error)
    else:  # a stream has no end that says whether it is whole
        assert form == "arrow" and (len(images.files) < 5 or images.skipped)


def test_a_description_that_is_damaged_is_an_error(tmp_path):
    folder = saved(tmp_path / "d", table([0], [0]))
    (folder / "state.json").write_text("{")
    with pytest.raises(OptionError, match=r"state\.json is damaged"):
        image_set([folder], SMALL)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    folder = as_parquet(tmp_path / "d", table([0], [0]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionError, match=r"pip install torch-reportgen\[datasets\]"):
        image_set([folder], SMALL)


def test_only_some_small_images_stay_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("reportgen.load.tables._KEPT", 2)
    check(image_set([as_parquet(tmp_path / "d", table(SEEDS, LABELS))], SMALL), "train/")
    monkeypatch.setattr("reportgen.load.tables._KEPT_BYTES", 10)
    images = image_set([tmp_path / "d"], SMALL)
    check(images, "train/")
    assert not images.files[0].location.table._kept.cells


def test_what_is_too_large_in_a_dataset_is_refused(tmp_path, monkeypatch):
    folder = as_parquet(tmp_path / "d", table([0], [0]))
    monkeypatch.setattr("reportgen.load.tables.MAX_BYTES", 100)
    with pytest.raises(ImageError, match="A group of rows is too large"):
        image_set([folder], SMALL)
    monkeypatch.undo()
    monkeypatch.setattr("reportgen.load.saved_datasets.MAX_BYTES", 400)
    with pytest.raises(ImageError, match="larger than"):
        image_set([folder], SMALL)


def test_a_dataset_that_is_damaged_later_is_told(tmp_path, monkeypatch):
    images = image_set([as_parquet(tmp_path / "d", table(SEEDS, LABELS))], SMALL)
    location = images.files[4].location
    location.table._kept.cells.clear()
    location.table._kept.group = None

    def damaged(*_, **__):
        raise pa.ArrowInvalid("page")

    monkeypatch.setattr(location.table, "_columns_of", damaged)
    with pytest.raises(ImageError, match=r"train/4 changed .* The data set is damaged here"):
        images.pixels(4)
