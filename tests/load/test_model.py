"""Model files as people save them: formats, wrappers and prefixes give the same network."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.serialization import get_safe_globals
from torchvision import models

from reportgen.errors import ModelError, OptionError
from reportgen.load import torchvision_nets
from reportgen.load.model import load_model
from tests.load.model_files import UserNet, answers, small_net

Weights = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """A small torchvision classifier with batch norm."""
    return small_net("shufflenet_v2_x0_5", 7)


@pytest.fixture(scope="module")
def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return dict(net.state_dict())


def prefixed(weights: Weights, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in weights.items()}


FORMATS: dict[str, Callable[[nn.Module, Path], None]] = {
    "state_dict": lambda net, file: torch.save(net.state_dict(), file),
    "legacy": lambda net, file: torch.save(
        net.state_dict(), file, _use_new_zipfile_serialization=False
    ),
    "safetensors": lambda net, file: save_file(net.state_dict(), file),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".pt2", ".txt", ""])
@pytest.mark.parametrize("name", FORMATS)
def test_the_bytes_decide_and_a_wrong_name_is_said(
    name: str, suffix: str, net: nn.Module, tmp_path: Path
) -> None:
    file = tmp_path / f"weights{suffix}"
    FORMATS[name](net, file)
    loaded = load_model(file)
    assert loaded.format == ("safetensors" if name == "safetensors" else "state_dict")
    assert loaded.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    misnamed = suffix == ".pt2" or (suffix == ".safetensors" and name != "safetensors")
    assert any(f"named {suffix} but" in note for note in loaded.notes) == misnamed


def test_the_loaded_network_is_ready_to_run(weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(weights, file)
    before, random = get_safe_globals(), torch.get_rng_state()
    loaded = load_model(file)
    assert set(get_safe_globals()) == set(before)
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module.training for module in loaded.module.modules())
    tensors = [*loaded.module.parameters(), *loaded.module.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"cpu"}
    assert {tensor.dtype for tensor in loaded.module.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in loaded.module.parameters())
    assert loaded.architecture_source == "recognised from keys and shapes"
    assert (loaded.file, loaded.in_channels, loaded.input_size) == ("weights.pth", 3, None)
    assert (loaded.labels, loaded.labels_source, loaded.notes) == ((), "", ())


PREFIXES = ["module.", "_orig_mod.", "module._orig_mod.", "model.", "model.net.module."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", ["", "state_dict", "model", "model_state_dict", "net", "mine"])
def test_prefixes_and_wrappers_are_undone_and_said(
    prefix: str, key: str, net: nn.Module, weights: Weights, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    inner = prefixed(weights, prefix)
    torch.save({key: inner, "epoch": 3, "optimizer": {"state": {}}} if key else inner, file)
    loaded = load_model(file)
    assert torch.equal(answers(loaded.module), answers(net))
    said = " ".join(loaded.notes)
    assert all(f"`{part}.`" in said for part in prefix.rstrip(".").split("."))
    assert (f"entry {key}." in said) == bool(key)


def test_a_wrapper_in_a_wrapper_and_a_key_by_hand(weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    other = {name: value + 1 for name, value in weights.items()}
    torch.save({"student": {"model": weights}, "teacher": {"model": other}}, file)
    with pytest.raises(ModelError, match="several sets of weights"):
        load_model(file)
    loaded = load_model(file, weights_key="teacher.model")
    assert torch.equal(loaded.module.state_dict()["fc.bias"], other["fc.bias"])
    with pytest.raises(OptionError, match="no such entry; it has student, teacher"):
        load_model(file, weights_key="teachers")


def test_raw_weights_are_taken_before_averaged_ones(weights: Weights, tmp_path: Path) -> None:
    averaged = {name: value + 1 for name, value in weights.items()}
    counted = {**prefixed(averaged, "module."), "n_averaged": torch.tensor(9)}
    file = tmp_path / "weights.pth"
    torch.save({"model": weights, "model_ema": counted}, file)
    loaded = load_model(file)
    assert torch.equal(loaded.module.state_dict()["fc.bias"], weights["fc.bias"])
    assert any("raw ones are used" in note and "model_ema" in note for note in loaded.notes)
    chosen = load_model(file, weights_key="model_ema")
    assert torch.equal(chosen.module.state_dict()["fc.bias"], averaged["fc.bias"])
    torch.save({"ema": averaged, "model": None}, file)
    assert any("averaged ones (entry ema)" in note for note in load_model(file).notes)


def test_parallel_parts_and_old_spellings_are_undone(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    alexnet = small_net("alexnet", 3)
    parallel = {
        name.replace("features.", "features.module."): value
        for name, value in alexnet.state_dict().items()
    }
    torch.save(parallel, file)
    assert load_model(file).architecture == "alexnet"
    densenet = small_net("densenet121", 3)
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for name, value in densenet.state_dict().items()
    }
    assert len(old) == len(densenet.state_dict()) and "norm.1" in " ".join(old)
    torch.save(old, file)
    loaded = load_model(file)
    assert torch.equal(answers(loaded.module), answers(densenet))
    assert any("Older spellings" in note for note in loaded.notes)


def test_batch_counters_may_be_absent_and_entries_may_be_odd(
    net: nn.Module, weights: Weights, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    few: dict[str, Any] = {n: v for n, v in weights.items() if "num_batches" not in n}
    torch.save({**few, "epoch": 3, "conv1.total_ops": torch.ones(1)}, file)
    loaded = load_model(file)
    assert torch.equal(answers(loaded.module), answers(net))
    assert any("epoch" in note for note in loaded.notes)
    assert any("total_ops" in note for note in loaded.notes)


def test_grey_stems_and_other_sizes_are_read_from_shapes(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    grey = small_net("squeezenet1_1", 4)
    grey.features[0] = nn.Conv2d(1, 64, 3, stride=2)
    for saved in (grey, grey.state_dict()):
        torch.save(saved, file)
        loaded = load_model(file)
        assert loaded.in_channels == 1
        assert torch.equal(answers(loaded.module, 1), answers(grey, 1))
        assert loaded.preprocessing is not None
        assert loaded.preprocessing.mean == pytest.approx((0.449,))
        assert any("1 channels" in note for note in loaded.notes)
    torch.save(small_net("vit_b_32", 4, image_size=96).state_dict(), file)
    loaded = load_model(file)
    assert loaded.input_size == (96, 96)
    assert loaded.preprocessing is not None
    assert (loaded.preprocessing.height, loaded.preprocessing.resize) == (96, 110)


@pytest.mark.parametrize("heads", [True, False])
def test_the_hidden_colour_switch_of_googlenet_is_stated_or_read(
    heads: bool, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    net = small_net("googlenet", 3, aux_logits=heads, init_weights=False)
    torch.save(net.state_dict(), file)
    loaded = load_model(file)
    assert loaded.module.transform_input is False
    assert any("transform_input" in note and "assumed" in note for note in loaded.notes)
    stated = load_model(file, arch="torchvision:googlenet", arch_args='{"transform_input": true}')
    assert stated.module.transform_input is True
    assert not any("assumed" in note for note in stated.notes)
    net.transform_input = True
    torch.save(net, file)
    loaded = load_model(file)
    assert loaded.module.transform_input is True
    assert torch.equal(answers(loaded.module), answers(net))


def test_what_torchvision_publishes_is_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(small_net("googlenet", 1000, aux_logits=True, init_weights=False).state_dict(), file)
    plain = load_model(file)
    assert plain.preprocessing is not None and plain.preprocessing.is_assumed
    assert "assumed for this file" in plain.preprocessing.source
    assert (plain.preprocessing.resize, plain.preprocessing.height) == (256, 224)
    digits = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    own = models.GoogLeNet_Weights.IMAGENET1K_V1
    published = FakeWeights(
        f"https://host/googlenet-{digits}.pth", own.meta, own.transforms, own.name
    )
    monkeypatch.setattr(models, "get_model_weights", lambda name: [published])
    known = load_model(file)
    assert known.preprocessing is not None and not known.preprocessing.is_assumed
    assert known.labels[:2] == ("tench", "goldfish") and len(known.labels) == 1000
    assert known.labels_source == "torchvision's published weights"
    assert known.module.transform_input is True


class FakeWeights:
    """A member of a torchvision weights enum, with an address of our choice."""

    def __init__(self, url: str, meta: Any, transforms: Any, name: str) -> None:
        self.url, self.meta, self.transforms, self.name = url, meta, transforms, name


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_v2_l", "swin_t", "vgg16", "vit_h_14"])
def test_preprocessing_is_that_of_the_published_weights(name: str) -> None:
    ours = torchvision_nets.published(name, "0" * 64, None, 3, 9).preprocessing
    members = models.get_model_weights(name)
    theirs = getattr(members, "IMAGENET1K_V1", members.DEFAULT).transforms()
    assert ours is not None
    assert ([ours.height], [ours.resize]) == (theirs.crop_size, theirs.resize_size)
    assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)
    assert ours.interpolation == theirs.interpolation.value


def test_the_sample_squeezenet_is_a_known_file() -> None:
    samples = Path(__file__).parents[2] / "sample_models"
    loaded = load_model(samples / "squeezenet1_1.pth")
    assert loaded.architecture == "squeezenet1_1"
    assert loaded.labels[281] == "tabby" and "ImageNet-1k" in loaded.labels_source
    assert loaded.preprocessing is not None and not loaded.preprocessing.is_assumed


def test_every_published_address_carries_the_digits_of_its_hash() -> None:
    for name in torchvision_nets.classifiers():
        for member in models.get_model_weights(name):
            assert torchvision_nets.hash_digits(member.url), member.url


def test_non_persistent_buffers_are_no_weights(tmp_path: Path) -> None:
    file = tmp_path / "user.pth"
    torch.save(UserNet(), file)
    with pytest.raises(ModelError, match=r"class \S*UserNet, which needs its Python code: --arch"):
        load_model(file)
    loaded = load_model(file, arch=f"{Path(__file__).parent / 'model_files.py'}:UserNet")
    assert "scratch" not in loaded.module.state_dict()
    assert (loaded.architecture, loaded.in_channels) == ("UserNet", 1)


def test_a_changed_network_around_known_weights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "module.pth"
    changed = small_net("squeezenet1_1", 4)
    changed.features[1] = nn.LeakyReLU()
    torch.save(changed, file)
    with pytest.raises(ModelError, match=r"features\.1 is LeakyReLU in the file, ReLU in"):
        load_model(file)
    changed = small_net("squeezenet1_1", 4)
    changed.features[0].stride = (1, 1)
    torch.save(changed, file)
    with pytest.raises(ModelError, match=r"features\.0\.stride is \(1, 1\) in the file, \(2, 2\)"):
        load_model(file)
    loaded = load_model(file, arch="torchvision:squeezenet1_1")
    assert any("features.0.stride" in note for note in loaded.notes)
    changed.classifier.append(nn.Softmax(1))
    torch.save(changed, file)
    with pytest.raises(ModelError, match=r"classifier\.4 \(Softmax\) is in the file only"):
        load_model(file)


def test_near_misses_name_the_nearest_and_the_first_five_differences(
    weights: Weights, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    near: dict[str, torch.Tensor] = dict(list(weights.items())[6:])
    near |= {"fc.weight": torch.ones(7, 5, 1), "more.weight": torch.ones(2)}
    torch.save(near, file)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    message = str(caught.value)
    assert "torchvision's shufflenet_v2_x0_5, which shares" in message
    assert "conv1.0.weight is missing; conv1.1.weight is missing; " in message
    assert message.count("is missing") == 5 and "and 2 more" in message


def test_odd_names_cannot_break_a_message(weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({**weights, "a\nb\x1b[31m{0}<b>": torch.ones(1)}, file)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    assert r"a\nb\x1b[31m{0}<b> is not expected" in str(caught.value)
    torch.save({"state_dict": {**weights, "x\ny": "text"}}, file)
    assert any(r"x\ny" in note for note in load_model(file).notes)
