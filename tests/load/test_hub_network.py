"""A folder of Hugging Face's libraries: what is said of its network, and each refusal whole."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from reportgen.errors import ModelError, OptionError
from reportgen.load import hub_network, timm_nets
from reportgen.load.hub_folder import HubFolder
from reportgen.load.model import load_model
from reportgen.load.request import Request
from tests.load.test_hub import NAMES, of_transformers, vit

__all__ = ["of_transformers"]


def refusal(path: Path) -> str:
    with pytest.raises((ModelError, OptionError)) as caught:
        load_model(path)
    return str(caught.value)


def configured(folder: Path, **changes: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def test_a_network_of_transformers_is_told_in_full(of_transformers: Path) -> None:
    loaded = load_model(of_transformers)
    assert (loaded.architecture, loaded.architecture_source, loaded.notes) == (
        "ViTForImageClassification",
        "stated by its config.json",
        (),
    )
    assert (loaded.labels, loaded.labels_source) == (NAMES, "said by the folder of the model")
    assert (loaded.in_channels, loaded.input_size, loaded.arguments) == (3, (32, 48), {})
    assert loaded.preprocessing is not None
    assert vars(loaded.preprocessing) == {
        **{"height": 32, "width": 48, "resize": None, "interpolation": "bicubic"},
        **{"mean": (0.5,) * 3, "std": (0.25,) * 3, "channels": 3, "slices": None},
        **{"source": "said by the folder of the model", "is_assumed": False},
    }
    assert not any(part.training for part in loaded.module.modules())
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
    # So that what attends to what can be seen.
    assert loaded.module.config._attn_implementation == "eager"


def test_classes_without_names_have_none(of_transformers: Path) -> None:
    numbered = {str(index): f"LABEL_{index}" for index in range(4)}
    loaded = load_model(configured(of_transformers, id2label=numbered))
    assert (loaded.labels, loaded.labels_source) == ((), "")
    one = {**numbered, "2": "cat"}
    loaded = load_model(configured(of_transformers, id2label=one))
    assert loaded.labels == ("LABEL_0", "LABEL_1", "cat", "LABEL_3")


def test_channels_are_those_of_the_network(tmp_path: Path) -> None:
    vit(num_channels=1).save_pretrained(tmp_path / "grey")  # type: ignore[operator]
    loaded = load_model(tmp_path / "grey")
    assert (loaded.in_channels, loaded.preprocessing, loaded.notes) == (1, None, ())
    said = {"size": {"height": 32, "width": 48}, "image_mean": [0.5], "image_std": [0.25]}
    (tmp_path / "grey" / "preprocessor_config.json").write_text(json.dumps(said))
    loaded = load_model(tmp_path / "grey")
    assert loaded.preprocessing is not None and loaded.preprocessing.channels == 1


def test_what_transformers_draws_does_not_show(of_transformers: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(of_transformers)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "key", ["auto_map", "quantization_config", "custom_pipelines", "transformers_weights"]
)
def test_what_would_be_fetched_or_run_is_refused(key: str, of_transformers: Path) -> None:
    assert refusal(configured(of_transformers, **{key: {"a": "b"}})) == (
        f"ours/config.json asks for {key}, which needs more than the weights in the folder; "
        "nothing of it is run. Give plain float weights of a network of transformers."
    )


@pytest.mark.parametrize("key", ["auto_map", "custom_pipelines"])
def test_what_is_empty_asks_for_nothing(key: str, of_transformers: Path) -> None:
    assert load_model(configured(of_transformers, **{key: {}})).labels == NAMES


def test_an_adapter_is_refused(of_transformers: Path) -> None:
    (of_transformers / "adapter_config.json").write_text("{}")
    assert refusal(of_transformers) == (
        "ours holds an adapter, whose weights would come beside those of the network: merge it "
        "into the network and save that."
    )


@pytest.mark.parametrize(
    ("layers", "words"), [(3, "is missing"), (1, "is not expected")], ids=["more", "fewer"]
)
def test_weights_of_another_depth_are_named(layers: int, words: str, of_transformers: Path) -> None:
    message = refusal(configured(of_transformers, num_hidden_layers=layers))
    assert message.startswith("ours does not fit ViTForImageClassification: vit.")
    assert message.endswith(f"{words}; and 11 more.")
    assert message.count(words) == 5


def test_weights_of_another_shape_are_named(of_transformers: Path) -> None:
    message = refusal(configured(of_transformers, intermediate_size=44))
    assert message.startswith("ours ")
    assert "shape" in message or "size" in message


def test_a_network_that_transformers_does_not_know_is_told(of_transformers: Path) -> None:
    message = refusal(configured(of_transformers, model_type="mine"))
    start = "ours is no image classifier that transformers can build: "
    assert message.startswith(start) and len(message) <= len(start) + 200
    assert "\n" not in message


def test_a_package_that_is_missing_is_told(
    of_transformers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_network, "find_spec", lambda name: None)
    assert refusal(of_transformers) == (
        "ours is a network of transformers, which needs that package: pip install "
        "'torch-reportgen[transformers]'."
    )


def test_weights_in_a_pickle_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "config.json").write_text('{"model_type": "vit"}')
    torch.save({"w": torch.ones(2)}, tmp_path / "ours" / "pytorch_model.bin")
    assert refusal(tmp_path / "ours") == (
        "ours has no model.safetensors; save it so (save_pretrained does)."
    )


def test_a_folder_of_timm_without_timm_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "config.json").write_text('{"architecture": "test_vit"}')
    torch.save({"w": torch.ones(2)}, tmp_path / "ours" / "pytorch_model.bin")
    monkeypatch.setattr(timm_nets, "find_spec", lambda name: None)
    assert refusal(tmp_path / "ours") == (
        "ours holds timm's test_vit, which needs the package timm: pip install "
        "'torch-reportgen[timm]'."
    )


def test_running_out_of_memory_is_told_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "ours" / "pytorch_model.bin"
    weights.parent.mkdir()
    weights.touch()
    folder = HubFolder(weights.parent, weights, {"architecture": "net"}, {})

    def hungry(error: Exception) -> Any:
        def work(*given: Any) -> Any:
            raise error

        return work

    for error, is_memory in (
        (MemoryError(), True),
        (ModelError("no sense"), False),
        (OptionError("no sense"), False),
    ):
        monkeypatch.setattr(hub_network, "_of_timm", hungry(error))
        with pytest.raises((ModelError, OptionError)) as caught:
            hub_network.hub_network(cast(Request, SimpleNamespace()), folder)
        assert str(caught.value) == (
            "ours/config.json asks for a network that takes more than 4 GiB, which is much more "
            "than its weights do. Compare the two."
            if is_memory
            else "no sense"
        )


def test_what_a_folder_of_timm_says_of_classes_goes_before_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "ours" / "pytorch_model.bin"
    weights.parent.mkdir()
    weights.touch()
    known = {"num_classes": 1000, "mean": (0.1,), "std": (0.2,), "label_names": None}
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(timm_nets, "require_timm", lambda words: None)
    monkeypatch.setattr(timm_nets, "metadata", lambda *given: asked.append(given) or known)
    monkeypatch.setattr(hub_network, "with_metadata", lambda *given, **more: (given, more))
    config = {
        "architecture": "net",
        "num_classes": 2,
        "label_names": ["a", "b"],
        "label_descriptions": {"a": "ant"},
        "pretrained_cfg": {"num_classes": 5, "mean": (0.3,), "std": None},
    }
    folder = HubFolder(weights.parent, weights, config, {})
    given, more = cast(Any, hub_network.hub_network("request", folder))  # type: ignore[arg-type]
    stated = {name: config[name] for name in ("num_classes", "label_names", "label_descriptions")}
    assert given == ("request", "net", {"mean": (0.3,), "std": (0.2,), **stated})
    assert more == {
        "source": "stated by its config.json",
        "said": "said by the folder of the model",
        "is_assumed": False,
        "settings": {},
    }
    assert asked == [("net", "ours/config.json")]
