"""Networks, folders and tables as they come seldom: each is read, or told in one sentence."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from reportgen.errors import ModelError, OptionError
from reportgen.load import hub_folder, hub_network, tables, timm_nets
from reportgen.load.decode import UnreadableImage
from reportgen.load.images import checked, image_set
from reportgen.load.labels import true_indices
from reportgen.load.prefixes import readings
from tests.load.test_bands import bands, saved
from tests.load.test_images import SMALL, picture


def test_losses_beside_a_network_are_left_out_and_named() -> None:
    names = ("model.a.w", "model.b", "loss.1", "loss.2", "metric.x", "y")
    weights = {name: torch.full((1,), float(at)) for at, name in enumerate(names)}
    found = {tuple(reading): notes for reading, notes in readings(weights)}
    (note,) = found["a.w", "b"]
    assert note == (
        "Only the entries under `model.` were used; left out: loss.1, loss.2, metric.x and 1 more."
    )
    few = {name: weights[name] for name in ("model.b", "loss.1", "loss.2", "y")}
    assert any(notes[-1:] == (
        "Only the entries under `model.` were used; left out: loss.1, loss.2, y.",
    ) for _, notes in readings(few))  # fmt: skip
    counted = {**few, "n_averaged": torch.ones(1)}
    for reading, notes in readings(counted):
        assert tuple(reading) != ("b",) or "Counters" in notes[0]


def test_a_grey_array_needs_no_bands() -> None:
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = bands(saved(levels), 1)
    assert np.array_equal(found, (levels / np.float32(255))[None])


def test_a_table_of_which_no_file_is_there_is_no_wrong_header(tmp_path: Path) -> None:
    picture(tmp_path / "z.png")
    table = tmp_path / "all.csv"
    table.write_text("no.png,cat\nnot.png,dog\nz.png,dog\n", encoding="utf-8")
    images = image_set([table], SMALL)
    assert [(file.path, file.true_class) for file in images.files] == [("z.png", "dog")]
    assert [skipped.path for skipped in images.skipped] == ["no.png", "not.png"]
    for second, is_refused in (("a,z.png", True), ("a,", False), ("a,b", False)):
        table.write_text(f"number,what\n{second}\nz.png,dog\n", encoding="utf-8")
        if is_refused:
            with pytest.raises(OptionError, match="has the columns number, what, of which none"):
                image_set([table], SMALL)
        else:
            assert len(image_set([table], SMALL).files) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "path;label\nz.png;cat", "column path names the files, column label their"),
        ("a.csv", "path,label;\nz.png,cat", "column path names the files, none a class"),
        ("a.tsv", "path\tlabel\nz.png\tcat", "column path names the files, column label their"),
        ("a.csv", "z.png", "its first column names the files."),
        ("a.csv", "z.png,cat", "its first column names the files, its second their classes."),
    ],
)
def test_columns_are_parted_by_the_mark_that_is_there(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    picture(tmp_path / "z.png")
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert said in image_set([tmp_path / name], SMALL).notes[0]


def test_problems_that_others_found_are_taken_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.png")
    images = image_set([tmp_path], SMALL)
    left = checked(images, ["", "told elsewhere"])
    assert [file.path for file in left.files] == ["a.png"]
    assert [(entry.path, entry.reason) for entry in left.skipped] == [("b.png", "told elsewhere")]
    given = replace(images, listed=None)
    assert checked(given) is given


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_beyond_the_classes_is_told(index: int, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    images = image_set([tmp_path], SMALL)
    stated = replace(images, files=(replace(images.files[0], true_index=index),))
    with pytest.raises(OptionError, match=rf"a\.png is said to be of class {index}, .* 0 to 1\."):
        true_indices(stated, ("x", "y"))
    for good in (0, 1):
        stated = replace(images, files=(replace(images.files[0], true_index=good),))
        assert true_indices(stated, ("x", "y")) == (good,)


def test_settings_that_are_no_plain_file_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.safetensors").touch()
    settings = tmp_path / "config.json"
    settings.mkdir()
    with pytest.raises(ModelError, match="is no ordinary file of settings"):
        hub_folder.hub_folder(tmp_path)
    settings.rmdir()
    settings.write_text("{}" + " " * 18)
    monkeypatch.setattr(hub_folder, "_MAX_BYTES", 20)
    assert hub_folder.hub_folder(tmp_path) is not None
    monkeypatch.setattr(hub_folder, "_MAX_BYTES", 19)
    with pytest.raises(ModelError, match="is no ordinary file of settings"):
        hub_folder.hub_folder(tmp_path)


def folder_of(config: Mapping[str, Any], path: Path) -> hub_folder.HubFolder:
    (path / "ours").mkdir(exist_ok=True)
    weights = path / "ours" / "pytorch_model.bin"
    weights.touch()
    return hub_folder.HubFolder(weights.parent, weights, config, {})


def test_weights_of_transformers_have_to_be_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ModelError, match=r"ours has no model\.safetensors; save it so"):
        hub_network.hub_network(Any, folder_of({"model_type": "vit"}, tmp_path))  # type: ignore[arg-type]


def test_what_a_folder_of_timm_states_goes_before_what_timm_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"mean": (0.1,), "input_size": (3, 5, 7), "std": (0.2,)}
    monkeypatch.setattr(timm_nets, "require_timm", lambda words: None)
    monkeypatch.setattr(timm_nets, "metadata", lambda *_: known)
    monkeypatch.setattr(hub_network, "with_metadata", lambda *given, **more: (given, more))
    config = {
        "architecture": "net",
        "label_names": ["a"],
        "pretrained_cfg": {"input_size": 9, "mean": None, "std": (0.3,)},
        "global_pool": "avg",
        "model_args": {"img_size": [4, 6], "deep": [[1], ["x"]], "odd": {"a": 1}, "bad": [{}]},
    }
    given, more = hub_network.hub_network("request", folder_of(config, tmp_path))  # type: ignore
    assert given == (
        "request",
        "net",
        {"mean": (0.1,), "input_size": (3, 5, 7), "std": (0.3,), "label_names": ["a"]},
    )
    plain = {"img_size": [4, 6], "deep": [[1], ["x"]]}
    assert more["settings"] == {"global_pool": "avg", **plain}
    bare = {"architecture": "net", "global_pool": 3, "model_args": [1]}
    given, more = hub_network.hub_network("request", folder_of(bare, tmp_path))  # type: ignore
    assert given[2] == known and more["settings"] == {}
    sized = {**bare, "pretrained_cfg": {"input_size": [1, 8, 9]}}
    given, _ = hub_network.hub_network("request", folder_of(sized, tmp_path))  # type: ignore
    assert given[2]["input_size"] == [1, 8, 9]


def test_only_a_network_of_patches_is_fixed_to_a_size() -> None:
    sizes = {"image_size": 32}
    assert hub_network._fixed_size(SimpleNamespace(**sizes, patch_size=8)) == (32, 32)
    assert hub_network._fixed_size(SimpleNamespace(**sizes)) is None
    assert hub_network._fixed_size(SimpleNamespace(patch_size=8)) is None


KNOWN = {
    "input_size": (3, 10, 20),
    "crop_pct": 0.8,
    "mean": (0.1, 0.2, 0.6),
    "std": (0.1, 0.2, 0.3),
}


def published(channels: int = 3, **more: Any) -> Any:
    return timm_nets.publication(
        {**KNOWN, **more}, channels=channels, classes=2, size=None, source="timm", is_assumed=False
    ).preprocessing


def test_crops_of_timm_are_followed_or_said() -> None:
    assert (published().height, published().width, published().resize) == (10, 20, 12)
    assert published().source == "timm" and published().interpolation == "bicubic"
    assert published(crop_pct=None).resize == 11
    squeezed = published(crop_mode="squash", crop_pct=1.0)
    assert (squeezed.resize, squeezed.source) == (None, "timm")
    assert "timm squeezes and crops images, here they are" in published(crop_mode="squash").source
    bordered = published(crop_mode="border", crop_pct=1.0)
    assert bordered.resize is None and "timm fits with a border images" in bordered.source


def test_colours_of_timm_become_one_grey_or_none() -> None:
    grey = published(1)
    assert (grey.channels, grey.mean, grey.std) == (1, pytest.approx((0.3,)), pytest.approx((0.2,)))
    assert grey.source.endswith("with the mean of the three colours for its one channel")
    assert published(2) is None


@pytest.mark.parametrize(
    "unsound",
    [
        {"crop_pct": 1.1},
        {"crop_pct": -0.5},
        {"std": (0.1, 0.0, 0.3)},
        {"std": ()},
        {"input_size": (3, 0, 9)},
        {"input_size": "none"},
        {"mean": None},
        {"interpolation": "random"},
    ],
    ids=str,
)
def test_numbers_of_timm_that_make_no_sense_are_not_followed(unsound: dict[str, Any]) -> None:
    assert published(**unsound) is None


def test_names_of_timm_are_one_a_class_or_none() -> None:
    def labels(classes: int, **known: Any) -> tuple[str, ...]:
        more = {"channels": 3, "size": None, "source": "timm"}
        return timm_nets.publication(known, classes=classes, is_assumed=False, **more).labels

    told = {"label_names": ["n1", "n2"], "label_descriptions": {"n2": "bee"}}
    assert labels(2, **told) == ("n1", "bee")
    assert labels(3, **told) == ()
    assert labels(2, **{**told, "label_descriptions": 3}) == ("n1", "n2")
    assert labels(1000, num_classes=1000)[0] == "tench"
    assert labels(1000, num_classes=1000, label_offset=1) == labels(1000, num_classes=999) == ()
    assert labels(10, num_classes=10) == ()


def test_a_size_of_timm_is_fixed_where_it_says_so() -> None:
    fixed = {"input_size": (3, 8, 9), "fixed_input_size": True}
    assert timm_nets.fixed_size(fixed, {}) == (8, 9)
    assert timm_nets.fixed_size(fixed, {"img_size": 7}) == (7, 7)
    assert timm_nets.fixed_size(fixed, {"img_size": 7, "dynamic_img_size": True}) is None
    assert timm_nets.fixed_size({"input_size": (3, 8, 9)}, {}) is None


def test_json_of_a_folder_is_an_object(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "x"}), "utf-8")
    found = hub_folder.hub_folder(tmp_path)
    assert found is not None and found.is_of_timm and found.preparation == {}
    assert found.weights.name == "pytorch_model.bin"
    (tmp_path / "preprocessor_config.json").write_text('{"size": 3}', "utf-8")
    found = hub_folder.hub_folder(tmp_path)
    assert found is not None and found.preparation == {"size": 3}
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors\.$"):
        hub_folder.hub_folder(tmp_path)
    (tmp_path / "model.safetensors.index.json").touch()
    with pytest.raises(ModelError, match="weights in several files are not read"):
        hub_folder.hub_folder(tmp_path)
    (tmp_path / "config.json").unlink()
    assert hub_folder.hub_folder(tmp_path) is None


def test_a_cell_of_a_table_is_content_or_a_name() -> None:
    assert tables._cell("a.png") == (None, "a.png")
    assert tables._cell({"bytes": b"1", "path": "a.png"}) == (b"1", None)
    assert tables._cell({"bytes": None, "path": "a.png"}) == (None, "a.png")
    assert tables._cell(b"1") == (b"1", None) and tables._cell(None) == (None, None)
    for wrong in (3, {"bytes": 3}, {"path": 3}, ["a"]):
        with pytest.raises(UnreadableImage, match="neither the content of a file nor its name"):
            tables._cell(wrong)


def test_names_of_classes_in_a_table_are_a_list_or_absent() -> None:
    assert tables._class_names(None) == () and tables._class_names(["a", "b"]) == ("a", "b")
    for wrong in ("ab", ["a", 1], ["\ud800"]):
        with pytest.raises(OptionError, match="are damaged: they are no list of names"):
            tables._class_names(wrong)
