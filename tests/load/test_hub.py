"""Folders as Hugging Face's libraries save them: network, images and class names from within."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load import hub_network
from reportgen.load.hub_images import hub_preprocessing
from reportgen.load.model import load_model
from reportgen.load.preprocessing import input_pixels

NAMES = ("ant", "bee", "cat", "dog")


@pytest.fixture
def of_timm(tmp_path: Path) -> Path:
    """As timm's `save_for_hf` writes it."""
    timm = pytest.importorskip("timm")
    from timm.models import save_for_hf

    torch.manual_seed(1)
    arguments = {"img_size": 96}
    net = timm.create_model("test_vit", num_classes=4, **arguments)
    config = {"label_names": list(NAMES), "num_classes": 4}
    net.pretrained_cfg.update(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), input_size=(3, 96, 96))
    save_for_hf(
        net, tmp_path / "ours", model_config=config, model_args=arguments, safe_serialization=True
    )
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    return tmp_path / "ours"


def test_a_folder_of_timm(of_timm: Path) -> None:
    import timm

    loaded = load_model(of_timm)
    assert (loaded.architecture, loaded.format) == ("test_vit", "safetensors")
    assert loaded.labels == NAMES
    assert loaded.input_size == (96, 96)
    assert loaded.preprocessing is not None and not loaded.preprocessing.is_assumed
    assert loaded.preprocessing.mean == (0.1, 0.2, 0.3)
    net = timm.create_model("test_vit", num_classes=4, img_size=96).eval()
    net.load_state_dict(torch.load(of_timm.parent / "weights.pth"))
    picture = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(loaded.module(picture), net(picture))


def test_weights_of_another_network_are_told(of_timm: Path) -> None:
    config = json.loads((of_timm / "config.json").read_text())
    (of_timm / "config.json").write_text(json.dumps({**config, "architecture": "test_resnet"}))
    with pytest.raises((ModelError, OptionError)):
        load_model(of_timm)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no such limit")
@pytest.mark.parametrize("arguments", [{"embed_dim": 96_000}, {"img_size": 2**20}])
def test_a_network_far_larger_than_its_weights_is_refused(
    of_timm: Path, arguments: dict[str, int]
) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    config = json.loads((of_timm / "config.json").read_text())
    (of_timm / "config.json").write_text(json.dumps({**config, "model_args": arguments}))
    with pytest.raises(ModelError, match=r"takes more than 4 GiB, which is much more than its"):
        load_model(of_timm)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_folder_whose_name_speaks_of_memory_is_told_what_does_not_fit(
    of_transformers: Path,
) -> None:
    folder = of_transformers.rename(of_transformers.with_name("allocator-net"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 5}))
    with pytest.raises(ModelError, match="does not fit ViTForImageClassification"):
        load_model(folder)


def vit(**more: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        image_size=(32, 48),
        patch_size=8,
        id2label=dict(enumerate(NAMES)),
        label2id={name: index for index, name in enumerate(NAMES)},
        **more,
    )
    net: nn.Module = transformers.ViTForImageClassification(config)
    return net.eval()


@pytest.fixture
def of_transformers(tmp_path: Path) -> Path:
    folder = tmp_path / "ours"
    net = vit()
    net.save_pretrained(folder)  # type: ignore[operator]
    said = {"size": {"height": 32, "width": 48}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps({**said, "resample": 3}))
    return folder


def test_a_folder_of_transformers(of_transformers: Path) -> None:
    loaded = load_model(of_transformers)
    assert (loaded.architecture, loaded.file) == ("ViTForImageClassification", "model.safetensors")
    assert (loaded.labels, loaded.input_size) == (NAMES, (32, 48))
    assert loaded.preprocessing is not None
    assert (loaded.preprocessing.std, loaded.preprocessing.resize) == ((0.25,) * 3, None)
    picture = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        # Eager attention adds up in another order than the fused one.
        assert torch.allclose(loaded.module(picture).logits, vit()(picture).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"auto_map": {"AutoConfig": "evil.Config"}}, "asks for auto_map"),
        ({"quantization_config": {"quant_method": "x"}}, "asks for quantization_config"),
        ({"transformers_weights": "other.safetensors"}, "asks for transformers_weights"),
        ({"model_type": "mine"}, "no image classifier that transformers can build"),
        ({"model_type": "bert"}, "no image classifier that transformers can build"),
        ({"num_hidden_layers": 3}, "does not fit ViTForImageClassification: .* is missing"),
        ({"num_hidden_layers": 1}, "does not fit ViTForImageClassification: .* is not expected"),
    ],
    ids=str,
)
def test_what_is_no_plain_classifier_is_refused(
    change: dict[str, Any], words: str, of_transformers: Path
) -> None:
    config = json.loads((of_transformers / "config.json").read_text())
    (of_transformers / "config.json").write_text(json.dumps({**config, **change}))
    (of_transformers / "evil.py").write_text("raise SystemExit('this ran')")
    with pytest.raises(ModelError, match=words):
        load_model(of_transformers)


def test_weights_beside_those_of_the_network_are_refused(of_transformers: Path) -> None:
    (of_transformers / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="holds an adapter"):
        load_model(of_transformers)


def test_what_is_missing_is_told(of_transformers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="--arch-args needs --arch"):
        load_model(of_transformers, arch_args='{"a": 1}')
    config = of_transformers / "config.json"
    text = config.read_text()
    for content, words in {"[1]": "holds no JSON object", "{": "cannot be read as JSON"}.items():
        config.write_text(content)
        with pytest.raises(ModelError, match=words):
            load_model(of_transformers)
    config.write_text(text)
    there = importlib.util.find_spec
    without = {"transformers", "timm"}
    monkeypatch.setattr(hub_network, "find_spec", lambda n: None if n in without else there(n))
    with pytest.raises(OptionError, match=r"pip install 'torch-reportgen\[transformers\]'"):
        load_model(of_transformers)
    (of_transformers / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors\."):
        load_model(of_transformers)
    config.unlink()
    with pytest.raises(ModelError, match="is a folder; give the model file itself"):
        load_model(of_transformers)


COLOURS = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
PROCESSORS = {
    "ViTImageProcessor": {"size": {"height": 32, "width": 48}, "resample": 2},
    "CLIPImageProcessor": {
        "size": {"shortest_edge": 40},
        "crop_size": {"height": 32, "width": 32},
        "do_center_crop": True,
        "resample": 3,
    },
    "ConvNextImageProcessor": {"size": {"shortest_edge": 32}, "crop_pct": 0.8, "resample": 3},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_images_go_through_what_transformers_would_do(name: str) -> None:
    """On a picture that is neither square nor smooth; two resamplers round levels apart.

    Its sides make the margins of the crop even: of odd ones transformers rounds down.
    """
    transformers = pytest.importorskip("transformers")
    said = {**PROCESSORS[name], **COLOURS, "do_rescale": True, "rescale_factor": 1 / 255}
    found, notes = hub_preprocessing(said, 3, "the folder")
    assert found is not None and notes == ()
    levels = np.random.default_rng(0).integers(0, 256, (61, 92, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    expected = getattr(transformers, name)(**said)(picture, return_tensors="pt")["pixel_values"][0]
    mean, std = (torch.tensor(values)[:, None, None] for values in (found.mean, found.std))
    given = (input_pixels(picture, found) - mean) / std
    assert given.shape == expected.shape
    assert float((given - expected).abs().max()) <= 2.01 / 255 / 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"do_flip_channel_order": True}, "blue, green, red"),
        ({"rescale_factor": 1 / 127.5}, "scaled by"),
        ({"resample": 9}, "resizes in the way 9"),
        ({"image_mean": [0.5]}, "one number for each"),
        ({"image_std": [0.5, 0, 0.5]}, "no positive numbers"),
        ({"image_std": [0.5, "x", 0.5]}, "no numbers where"),
        ({"do_resize": False}, "not understood"),
        ({"size": {"height": 0, "width": 2}}, "not understood"),
        ({"size": {"shortest_edge": 0}, "crop_pct": 0.875}, "no numbers where"),
        ({"size": {"shortest_edge": 0}, "crop_size": 32, "do_center_crop": True}, "no numbers"),
        ({"size": 40, "crop_size": 32, "do_center_crop": True}, "not understood"),
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_told(change: dict[str, Any], words: str) -> None:
    found, notes = hub_preprocessing({"size": 32, **COLOURS, **change}, 3, "the folder")
    assert found is None and words in notes[0]


def test_no_normalisation_is_none() -> None:
    found, _ = hub_preprocessing({"size": 32, "do_normalize": False}, 3, "the folder")
    assert found is not None and (found.mean, found.std) == ((0.0,) * 3, (1.0,) * 3)
    assert hub_preprocessing({}, 3, "the folder") == (None, ())
