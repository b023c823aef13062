import dataclasses
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from reportgen.errors import OptionError
from reportgen.report import blocks, records
from reportgen.report.arrays import Pixels
from reportgen.report.store import load_report, report_from, report_in, stored
from tests.report.sample_report import assert_same_report, grey, sample_report


@pytest.fixture(scope="module")
def report():
    return sample_report()


@pytest.fixture
def folder(report, tmp_path):
    write(report, tmp_path)
    return tmp_path


def write(report, folder):
    for path, content in stored(report):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)


def document(report):
    return json.loads(dict(stored(report))["report.json"])


def change(folder, edit):
    """Rewrite report.json after `edit` changed its values."""
    values = json.loads((folder / "report.json").read_text())
    edit(values)
    (folder / "report.json").write_text(json.dumps(values))


def with_facts(report, **facts):
    """The report with one more panel, of facts, on its last image."""
    image = dataclasses.replace(report.images[1], panels={"extra": records.Panel(facts)})
    return dataclasses.replace(report, images=(report.images[0], image))


def test_a_loaded_report_equals_the_stored_one(report, folder):
    assert_same_report(report, load_report(folder))
    assert_same_report(report, report_in(dict(stored(report)).__getitem__))


def test_storing_a_loaded_report_gives_the_same_bytes(report, folder):
    assert dict(stored(load_report(folder, pictures=True))) == dict(stored(report))


def test_pictures_are_read_only_on_request(report, folder):
    photo = load_report(folder).images[0].panels["blocks_of_all_kinds"].blocks["photo"]
    assert photo.pixels.content == b""
    read = (
        load_report(folder, pictures=True).images[0].panels["blocks_of_all_kinds"].blocks["photo"]
    )
    original = report.images[0].panels["blocks_of_all_kinds"].blocks["photo"]
    np.testing.assert_array_equal(read.pixels.values(), original.pixels.values())


def test_every_kind_of_block_is_in_the_sample(report):
    used = {type(block) for block in report.layers[0].panels["activations"].blocks.values()}
    assert used == set(blocks.Block.__args__)


def test_the_keys_that_scripts_read_are_spelt_as_promised(report):
    values = document(report)
    image, layer, parameter = values["images"][0], values["layers"][0], values["parameters"][0]
    assert values["schema_version"] == 2
    assert values["model"].keys() >= {"architecture", "parameters", "macs", "sha256"}
    assert image.keys() >= {"path", "true_class", "predictions", "occlusion"}
    assert image["predictions"][0].keys() >= {"index", "label", "probability"}
    assert image["occlusion"]["window"] == [32, 32]
    assert image["occlusion"]["array"] == "arrays/occlusion.npz#chelsea.array"
    assert layer.keys() >= {"name", "call", "type", "output_shape", "parameters", "macs"}
    assert layer.keys() >= {"zero_fraction", "dead_filters", "near_dead_filters"}
    assert layer["receptive_field"] == {
        "size": [11, 3],
        "stride": [4, 2],
        "start": [-2, -1],
        "covers_image": False,
        "centre": [3.0, 0.0],
    }
    assert parameter.keys() >= {"name", "shape", "mean", "std", "min", "max", "zero_fraction"}
    assert parameter["histogram"]["counts"] == list(range(50))
    assert values["findings"] == [
        {
            "severity": "warning",
            "kind": "dead-filters",
            "text": "2 of 64.",
            "href": "dead_filters.html",
        }
    ]
    assert values["sections"][0]["panel"]["n"] == 1
    assert values["sections"][1]["panel"] is None


def test_numpy_alone_reads_the_array_a_reference_names(report, folder):
    file, key = document(report)["images"][0]["occlusion"]["array"].split("#")
    with np.load(folder / file) as archive:
        drop = report.images[0].panels["occlusion"].arrays["array"]
        np.testing.assert_array_equal(archive[key], drop)
        assert archive[key].dtype == np.float32


def test_an_array_used_twice_is_stored_once_and_loaded_once(folder):
    with np.load(folder / "arrays/occlusion.npz") as archive:
        assert sorted(archive) == ["chelsea.answers", "chelsea.array"]
    panel = load_report(folder).images[0].panels["occlusion"]
    assert panel.blocks["probability"].values is panel.arrays["array"]


def test_arrays_whose_names_come_out_alike_are_kept_apart(report):
    arrays = {"a:b": np.zeros(2), "a-b": np.ones(3)}
    image = dataclasses.replace(report.images[0], panels={"extra": records.Panel({}, arrays)})
    panel = document(dataclasses.replace(report, images=(image,)))["images"][0]["extra"]
    assert panel["a:b"] == "arrays/extra.npz#chelsea.a-b"
    assert panel["a-b"] == "arrays/extra.npz#chelsea.a-b-"


def test_json_is_strict_and_numbers_that_are_not_finite_are_null(report):
    odd = with_facts(report, nan=float("nan"), ends=(1.0, float("inf")), low=np.float32("-inf"))
    text = dict(stored(odd))["report.json"]
    values = json.loads(text, parse_constant=pytest.fail)
    assert values["images"][1]["extra"]["nan"] is None
    assert values["images"][1]["extra"]["ends"] == [1.0, None]
    assert values["images"][1]["extra"]["low"] is None
    assert values["parameters"][0]["mean"] is None


def test_numpy_numbers_become_plain_ones(report):
    odd = with_facts(report, count=np.int64(3), share=np.float32(0.5), flag=np.bool_(True))
    facts = document(odd)["images"][1]["extra"]
    assert (facts["count"], facts["share"], facts["flag"]) == (3, 0.5, True)


def test_cells_and_record_fields_may_be_numpy_numbers_or_not_finite(report):
    cells = (np.float32(0.5), np.int16(7), float("nan"), np.float64("inf"), np.bool_(False))
    table = blocks.Table("c", (blocks.Column("n"),), (cells,))
    curve = blocks.Curve("c", "1", (float("nan"), np.float64(2.0)), "")
    panel = records.Panel(blocks={"t": table, "c": blocks.Curves(("a", "b"), (curve,), "")})
    layer = dataclasses.replace(report.layers[1], mean=np.float32("nan"), panels={"extra": panel})
    values = document(dataclasses.replace(report, layers=(layer,)))["layers"][0]
    assert values["mean"] is None
    assert values["extra"]["blocks"]["t"]["rows"] == [[0.5, 7, None, None, False]]
    assert values["extra"]["blocks"]["c"]["curves"][0]["values"] == [None, 2.0]


def test_the_same_report_gives_the_same_bytes_in_another_process(report):
    program = (
        "import hashlib, sys\n"
        "from tests.report.sample_report import sample_report\n"
        "from reportgen.report.store import stored\n"
        "print(hashlib.sha256(repr(list(stored(sample_report()))).encode()).hexdigest())\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(hashes) == 1


def test_archives_carry_no_time(folder):
    with zipfile.ZipFile(folder / "arrays/occlusion.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_row_of_a_table_takes_one_line(report):
    text = dict(stored(report))["report.json"].decode("utf-8")
    assert '       [{"text": "7", "href": "layers/conv1.html#c=7"}, 0.25],\n' in text
    assert f'"counts": {list(range(50))}' in text


@pytest.mark.parametrize("name", ["arrays", "blocks", "array"])
def test_a_fact_may_not_hide_an_array_or_the_blocks(report, name):
    panel = records.Panel({name: 1}, {"array": np.zeros(1)})
    image = dataclasses.replace(report.images[0], panels={"occlusion": panel})
    with pytest.raises(ValueError, match=f"may not share a name: .*'{name}'"):
        dict(stored(dataclasses.replace(report, images=(image,))))


def test_a_section_may_not_be_named_as_a_field_of_its_subject(report):
    layer = dataclasses.replace(report.layers[0], panels={"macs": records.Panel()})
    with pytest.raises(ValueError, match=r"named as fields of a record: .*macs"):
        dict(stored(dataclasses.replace(report, layers=(layer,))))


def test_an_array_of_objects_is_refused(report):
    image = dataclasses.replace(
        report.images[0], panels={"x": records.Panel(arrays={"a": np.array([{}])})}
    )
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        dict(stored(dataclasses.replace(report, images=(image,))))


def test_a_key_of_a_later_reportgen_is_left_aside(report, folder):
    def edit(values):
        values["new"] = values["model"]["new"] = values["images"][0]["new"] = {"a": [1]}

    change(folder, edit)
    assert_same_report(report, load_report(folder))


def test_another_schema_version_is_refused_by_name(folder):
    change(folder, lambda values: values.update(schema_version=7))
    with pytest.raises(OptionError, match=r"schema version 7 and this reportgen reads 2"):
        load_report(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v.pop("schema_version"), "is damaged: .*schema_version"),
        (lambda v: v["model"].pop("macs"), "damaged: required field missing @ .*model.macs"),
        (lambda v: v["model"].update(macs="many"), r"int.* @ .*model.macs"),
        (lambda v: v["model"].update(macs=True), r"int.* @ .*model.macs"),
        (lambda v: v.update(title=["a"]), r"str.* @ .*title"),
        (lambda v: v["sections"][0].update(place="cellar"), r"damaged: .*place"),
        (lambda v: v["layers"].append(3), r"damaged: .*layers\[2\]"),
        (lambda v: v["images"][0]["occlusion"].update(array=3), r"damaged: .*images\[0\]"),
        (lambda v: v["images"][0]["occlusion"].pop("array"), r"damaged: .*images\[0\]"),
        (lambda v: v["images"][0]["occlusion"].update(target={}), r"damaged: .*images\[0\]"),
        (
            lambda v: v["images"][0]["occlusion"]["blocks"]["probability"].update(block="os"),
            r"damaged: .*images\[0\]",
        ),
        (
            lambda v: v["images"][0]["occlusion"].update(array="arrays/none.npz#a"),
            "cannot read .*none.npz .No such file",
        ),
        (
            lambda v: v["images"][0]["occlusion"].update(array="arrays/occlusion.npz#b"),
            "occlusion.npz is damaged or lacks the array b",
        ),
        (
            lambda v: v["images"][0]["occlusion"].update(array="arrays/../../x.npz#a"),
            "is no reference to an array",
        ),
        (
            lambda v: v["images"][0]["blocks_of_all_kinds"]["blocks"]["photo"]["pixels"].update(
                path="img/../../secret.png"
            ),
            "is no path of a picture",
        ),
    ],
)
def test_a_damaged_report_is_told_in_one_sentence(folder, edit, message):
    change(folder, edit)
    with pytest.raises(OptionError, match=message) as error:
        load_report(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"[]", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b'{"schema_version": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "damaged"),
        (b'{"schema_version": 2}', "damaged: required field missing"),
    ],
)
def test_what_is_no_report_is_told_in_one_sentence(tmp_path, content, message):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(OptionError, match=message):
        load_report(tmp_path)


def test_a_folder_without_a_report_is_told_so(tmp_path):
    with pytest.raises(OptionError, match=r"cannot read .*report\.json .No such file.*build"):
        load_report(tmp_path)


def test_a_cut_or_flipped_archive_is_told_so(folder):
    archive = folder / "arrays/occlusion.npz"
    content = archive.read_bytes()
    flipped = bytearray(content)
    flipped[80] ^= 0xFF
    for bad in (content[:-30], bytes(flipped), b"not a zip"):
        archive.write_bytes(bad)
        with pytest.raises(OptionError, match=r"occlusion\.npz is damaged"):
            load_report(folder)


def test_a_pickle_in_an_archive_is_not_run(folder):
    class Canary:
        def __reduce__(self):
            return (os.mkdir, (str(folder / "canary"),))

    content = io.BytesIO()
    np.lib.format.write_array(content, np.array([Canary()], object), allow_pickle=True)
    with zipfile.ZipFile(folder / "arrays/occlusion.npz", "w") as archive:
        archive.writestr("chelsea.array.npy", content.getvalue())
    with pytest.raises(OptionError, match=r"occlusion\.npz is damaged"):
        load_report(folder)
    assert not (folder / "canary").exists()


def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "occlusion.npz"
    (folder / "arrays/occlusion.npz").rename(outside)
    (folder / "arrays/occlusion.npz").symlink_to(outside)
    with pytest.raises(OptionError, match="leads out of the report"):
        load_report(folder)


def test_loaded_arrays_cannot_be_written(folder):
    values = load_report(folder).images[0].panels["occlusion"].arrays["array"]
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 1


def test_a_report_can_be_read_from_bytes_alone(report):
    files = dict(stored(report))
    asked = []

    def read_array(reference):
        asked.append(reference)
        file, key = reference.split("#")
        return np.load(io.BytesIO(files[file]))[key]

    assert_same_report(report, report_from(files["report.json"], read_array, files.__getitem__))
    assert len(asked) == len(set(asked))


def test_gap_pixels_are_transparent_and_values_are_not_changed():
    picture = grey(3, 4, "a").values().copy()
    picture[1, 2] = 255
    from PIL import Image

    shown = Image.open(io.BytesIO(Pixels.of(picture, "a", gap=True).content))
    np.testing.assert_array_equal(
        np.asarray(shown.convert("RGBA"))[..., 3], np.where(picture == 255, 0, 255)
    )
    np.testing.assert_array_equal(Pixels.of(picture, "a", gap=True).values(), picture)
    colour = np.stack([picture] * 3, axis=2)
    colour[0, 0] = (255, 255, 254)
    shown = Image.open(io.BytesIO(Pixels.of(colour, "a", gap=True).content))
    assert np.argwhere(np.asarray(shown.convert("RGBA"))[..., 3] == 0).tolist() == [[1, 2]]
