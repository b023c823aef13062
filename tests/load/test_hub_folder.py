"""A folder with weights and what is said of them: which file is which, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from reportgen.errors import ModelError
from reportgen.load import hub_folder as module
from reportgen.load.hub_folder import hub_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "config.json").write_text('{"architecture": "resnet18"}')
    return tmp_path / "ours"


def test_what_is_no_such_folder_is_none(folder: Path) -> None:
    assert hub_folder(folder / "config.json") is None
    assert hub_folder(folder / "gone") is None
    (folder / "config.json").rename(folder / "other.json")
    assert hub_folder(folder) is None


def test_weights_are_those_in_safetensors_where_there_are_both(folder: Path) -> None:
    (folder / "pytorch_model.bin").touch()
    found = hub_folder(folder)
    assert found is not None and found.weights == folder / "pytorch_model.bin"
    (folder / "model.safetensors").touch()
    found = hub_folder(folder)
    assert found is not None and found.weights == folder / "model.safetensors"
    assert (found.path, found.config, found.preparation) == (
        folder,
        {"architecture": "resnet18"},
        {},
    )
    (folder / "preprocessor_config.json").write_text('{"size": 224}')
    found = hub_folder(folder)
    assert found is not None and found.preparation == {"size": 224}


@pytest.mark.parametrize(
    ("config", "is_so"),
    [
        ({"architecture": "vit"}, True),
        ({"architecture": ["vit"]}, False),
        ({"architectures": ["ViT"], "model_type": "vit"}, False),
        ({}, False),
    ],
)
def test_timm_names_one_architecture(folder: Path, config: object, is_so: bool) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").touch()
    found = hub_folder(folder)
    assert found is not None and found.is_of_timm is is_so


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        hub_folder(folder)
    return str(caught.value)


def test_weights_that_are_missing_or_in_parts_are_told(folder: Path) -> None:
    assert refused(folder) == f"{folder} has no model.safetensors."
    (folder / "model.safetensors.index.json").touch()
    assert refused(folder) == (
        f"{folder} has no model.safetensors: weights in several files are not read; save them in "
        "one."
    )


def test_settings_are_a_plain_file_of_one_object(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "model.safetensors").touch()
    config = folder / "config.json"
    for content in ("[1]", "3", "null", '"x"'):
        config.write_text(content)
        assert refused(folder) == f"{config} holds no JSON object."
    for damaged in (b"{", b"[" * 100_000, b'{"a": "\xff"}'):
        config.write_bytes(damaged)
        assert refused(folder).startswith(f"{config} cannot be read as JSON: ")
    config.write_text('{"a": 1}')
    monkeypatch.setattr(module, "_MAX_BYTES", 8)
    found = hub_folder(folder)
    assert found is not None and found.config == {"a": 1}
    monkeypatch.setattr(module, "_MAX_BYTES", 7)
    assert refused(folder) == f"{config} is no ordinary file of settings."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_settings_that_are_no_file_are_not_waited_for(folder: Path) -> None:
    (folder / "model.safetensors").touch()
    os.mkfifo(folder / "preprocessor_config.json")
    said = f"{folder / 'preprocessor_config.json'} is no ordinary file of settings."
    assert refused(folder) == said
