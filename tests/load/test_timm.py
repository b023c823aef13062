"""Networks of timm by name: weights, sizes, images and class names as timm has them."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load import timm_nets, timm_network
from reportgen.load.given_network import given_network
from reportgen.load.model import load_model
from reportgen.load.preprocessing import input_pixels, preprocessing_for
from reportgen.options import Options

timm = pytest.importorskip("timm")

PLAIN = Options(model=Path("m.pth"), images=())


def net(name: str, **arguments: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made: nn.Module = timm.create_model(name, **arguments)
        for buffer_name, buffer in made.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
    return made.eval()


def saved(module: nn.Module, folder: Path) -> Path:
    file = folder / "weights.pth"
    torch.save(module.state_dict(), file)
    return file


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("test_vit", {"num_classes": 7}, (160, 160)),
        ("test_vit", {"num_classes": 7, "img_size": 96}, (96, 96)),
        ("test_resnet", {"num_classes": 3, "in_chans": 1}, (64, 96)),
        ("test_efficientnet", {"num_classes": 1000}, (64, 96)),
        ("test_convnext", {"num_classes": 0}, (64, 96)),
        ("levit_conv_128s", {"num_classes": 5}, (224, 224)),
    ],
    ids=str,
)
def test_sizes_are_read_from_the_file_and_the_answers_are_the_networks(
    name: str, arguments: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    module = net(name, **arguments)
    loaded = load_model(saved(module, tmp_path), arch=f"timm:{name}")
    assert (loaded.architecture, loaded.architecture_source) == (name, "stated by flag")
    assert loaded.in_channels == arguments.get("in_chans", 3)
    assert {name: loaded.arguments[name] for name in arguments} == arguments
    picture = torch.rand(1, loaded.in_channels, *size)
    with torch.no_grad():
        assert torch.equal(loaded.module(picture), module(picture))
    if loaded.input_size:
        assert loaded.input_size == size
    has_note = any("without a classifier" in note for note in loaded.notes)
    assert has_note == (arguments["num_classes"] == 0)


@pytest.mark.parametrize(
    "name", ["test_vit", "test_resnet", "resnet18.a1_in1k", "vit_base_patch16_siglip_224"]
)
def test_images_go_through_timms_own_transforms(name: str) -> None:
    """Pixel by pixel, on a picture that is neither square nor smooth."""
    known = timm_nets.metadata(name, "--arch")
    found = timm_nets.publication(
        known, channels=3, classes=1000, size=None, source="timm", is_assumed=True
    ).preprocessing
    assert found is not None
    levels = np.random.default_rng(0).integers(0, 256, (301, 407, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    config = timm.data.resolve_data_config(pretrained_cfg=known)
    expected = timm.data.create_transform(**config, is_training=False)(picture)
    pixels = input_pixels(picture, found)
    mean, std = (torch.tensor(values)[:, None, None] for values in (found.mean, found.std))
    assert pixels.shape == expected.shape
    assert torch.allclose((pixels - mean) / std, expected, atol=1e-6)


def test_classes_are_named_only_where_the_weights_are_stated(tmp_path: Path) -> None:
    file = saved(net("test_resnet"), tmp_path)
    plain = load_model(file, arch="timm:test_resnet")
    assert plain.labels == () and plain.preprocessing is not None
    assert plain.preprocessing.is_assumed
    stated = load_model(file, arch="timm:test_resnet.r160_in1k")
    assert stated.preprocessing is not None and not stated.preprocessing.is_assumed
    info = timm.data.ImageNetInfo("imagenet-1k")
    # timm names all synonyms, torchvision one: `tench, Tinca tinca`.
    pairs = zip(stated.labels, info.label_descriptions(), strict=True)
    assert sum(mine.lower() in theirs.lower() for mine, theirs in pairs) > 900


def test_preprocessing_comes_with_a_network_in_memory() -> None:
    loaded = given_network(net("test_vit", num_classes=4))
    prepared = preprocessing_for(loaded, PLAIN)
    assert (loaded.architecture, loaded.input_size) == ("test_vit", (160, 160))
    assert (prepared.height, prepared.mean) == (160, (0.5, 0.5, 0.5))
    assert prepared.is_assumed and "timm" in prepared.source


SAID = "published with timm's weights for {}; assumed for this network"


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("test_vit", {}, (160, 160)),
        ("test_vit", {"img_size": 96}, (96, 96)),
        ("test_vit", {"img_size": (64, 96)}, (64, 96)),
        ("mixer_s32_224", {"img_size": 96}, (96, 96)),
        ("coat_tiny", {"img_size": 64}, (64, 64)),
        ("test_resnet", {}, None),
    ],
)
def test_a_network_in_memory_takes_the_size_that_it_was_made_for(
    name: str, arguments: dict[str, Any], size: tuple[int, int] | None
) -> None:
    made = net(name, num_classes=4, **arguments)
    loaded = given_network(made)
    assert (loaded.input_size, loaded.architecture) == (size, name)
    prepared = preprocessing_for(loaded, PLAIN)
    height, width = size or (160, 160)
    assert (prepared.height, prepared.width) == (height, width)
    assert (prepared.source, prepared.is_assumed) == (SAID.format(name), True)
    assert loaded.labels == () and made(torch.rand(1, 3, height, width)).shape == (1, 4)


def test_a_network_in_memory_without_what_timm_says_of_it_is_as_any_other() -> None:
    made = net("test_resnet", num_classes=4)
    made.pretrained_cfg = None
    loaded = given_network(made)
    assert (loaded.architecture, loaded.preprocessing) == (type(made).__name__, None)
    made.pretrained_cfg = {"mean": (0.5,) * 3}
    loaded = given_network(made)
    assert (loaded.architecture, loaded.preprocessing) == (type(made).__name__, None)


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("timm:test_vitt", "did you mean test_vit"),
        ("timm:zzzzzz", "timm has no such network"),
        ("timm:test_vit.mine", "timm has no weights 'mine' of test_vit; it has r160_in1k"),
    ],
)
def test_an_unknown_name_is_told(arch: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        load_model(saved(nn.Linear(2, 3), tmp_path), arch=arch)


def test_arguments_that_do_not_suit_are_told(tmp_path: Path) -> None:
    file = saved(net("test_resnet"), tmp_path)
    for arguments, words in {
        '{"pretrained": true}': "would read other weights",
        '{"wings": 2}': "do not suit test_resnet",
    }.items():
        with pytest.raises(OptionError, match=words):
            load_model(file, arch="timm:test_resnet", arch_args=arguments)


def test_other_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not fit timm's test_vit: "):
        load_model(saved(net("test_resnet"), tmp_path), arch="timm:test_vit")


def test_what_does_not_fit_at_the_size_of_the_file_is_told(tmp_path: Path) -> None:
    """The table of positions tells the size; then one weight alone is missing."""
    network = net("test_vit", img_size=96)
    state = {name: value for name, value in network.state_dict().items() if name != "norm.weight"}
    torch.save(state, tmp_path / "vit.pth")
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "vit.pth", arch="timm:test_vit")
    assert "norm.weight" in str(caught.value) and "pos_embed" not in str(caught.value)


def test_a_size_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network that would ask for another one again and again."""
    built, sides = timm_network._quietly_built, iter((64, 96, 128))
    tried: list[Any] = []

    def watched(name: str, arguments: Any) -> nn.Module:
        tried.append(arguments.get("img_size"))
        return built(name, arguments)

    monkeypatch.setattr(timm_network, "_quietly_built", watched)
    monkeypatch.setattr(timm_network, "_picture_side", lambda *_: next(sides))
    torch.save({"norm.weight": torch.ones(2)}, tmp_path / "vit.pth")
    with pytest.raises(ModelError, match="does not fit timm's test_vit"):
        load_model(tmp_path / "vit.pth", arch="timm:test_vit")
    assert tried == [None, 64]


def test_without_timm_one_sentence_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(timm_nets, "find_spec", lambda name: None if name == "timm" else there)
    with pytest.raises(OptionError, match=r"pip install 'torch-reportgen\[timm\]'"):
        load_model(saved(nn.Linear(2, 3), tmp_path), arch="timm:test_vit")


def test_metadata_that_cannot_be_followed_are_left_aside() -> None:
    known = {"input_size": (3, 32, 48), "mean": (0.5,) * 3, "std": (0.2,) * 3, "crop_pct": 1.0}
    for change in ({"std": (0.0,) * 3}, {"interpolation": "random"}, {"input_size": None}):
        found = timm_nets.publication(
            {**known, **change}, channels=3, classes=2, size=None, source="s", is_assumed=True
        )
        assert found.preprocessing is None, change
    grey = timm_nets.publication(
        known, channels=1, classes=2, size=(16, 24), source="s", is_assumed=True
    ).preprocessing
    assert grey is not None and (grey.height, grey.width, grey.mean) == (16, 24, (0.5,))
    squeezed = timm_nets.publication(
        {**known, "crop_mode": "squash", "crop_pct": 0.9},
        channels=3,
        classes=2,
        size=None,
        source="s",
        is_assumed=True,
    ).preprocessing
    assert squeezed is not None and squeezed.resize is None and "squeezes" in squeezed.source
