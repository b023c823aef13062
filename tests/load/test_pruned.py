"""A pruned network comes back from its weights and the `.json` beside them, or from its program."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from reportgen.cli import commands
from reportgen.errors import ModelError, OptionError
from reportgen.load.model import load_model
from reportgen.load.narrowing import narrowed
from reportgen.report.pruned import Pruned, Source, Width, written
from reportgen.report.records import Preprocessing
from sample_models.lenet import LeNet
from tests.load.model_files import answers, small_net
from tests.load.programs import export

SAMPLES = Path(__file__).parents[2] / "sample_models"
NARROW: Mapping[str, Mapping[str, Width]] = {
    "torchvision:squeezenet1_1": {
        "features.3.squeeze": Width(9, 64, 1),
        "features.3.expand1x1": Width(61, 9, 1),
        "features.3.expand3x3": Width(64, 9, 1),
        "features.4.squeeze": Width(16, 125, 1),
    },
    "torchvision:resnet18": {
        "layer1.0.conv1": Width(33, 64, 1),
        "layer1.0.bn1": Width(33),
        "layer1.0.conv2": Width(64, 33, 1),
    },
    "lenet.py:LeNet": {"conv1": Width(5, 1, 1), "conv2": Width(16, 5, 1)},
}
PREPROCESSING = Preprocessing(
    height=40,
    width=56,
    resize=44,
    interpolation="bicubic",
    mean=(0.5, 0.25, 0.125),
    std=(1.0, 0.5, 0.25),
    channels=3,
    source="stated by flag",
    is_assumed=False,
)


def small(architecture: str) -> nn.Module:
    """A pruned network, with seeded weights."""
    name = architecture.rpartition(":")[2]
    net = LeNet() if name == "LeNet" else small_net(name, 7)
    widths = {
        path: {"out": w.out, **({"in": w.inputs} if w.inputs else {})}
        for path, w in NARROW[architecture].items()
    }
    net = narrowed(net, widths).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.1, generator=generator)
    for buffer_name, buffer in net.named_buffers():
        if buffer_name.endswith("running_var"):
            buffer.fill_(1)
    return net


def described(architecture: str, digest: str = "0" * 64) -> Pruned:
    is_known = architecture.startswith("torchvision:")
    return Pruned(
        architecture=architecture,
        arguments={"num_classes": 7} if is_known else {"num_classes": 10},
        widths=NARROW[architecture],
        state_dict=digest,
        preprocessing=PREPROCESSING if is_known else None,
        labels=tuple("abcdefg" if is_known else "abcdefghij"),
        source=Source("whole.pth", "1" * 64),
    )


def save(net: nn.Module, folder: Path, kind: str, **changes: Any) -> Path:
    """The weights, and the `.json` beside them."""
    file = folder / "pruned.pth"
    torch.save(net.state_dict(), file)
    pruned = described(kind, hashlib.sha256(file.read_bytes()).hexdigest())
    (folder / "pruned.json").write_bytes(written(replace(pruned, **changes)))
    return file


@pytest.mark.parametrize("architecture", ["torchvision:squeezenet1_1", "torchvision:resnet18"])
def test_a_pruned_classifier_needs_no_flags(architecture: str, tmp_path: Path) -> None:
    net = small(architecture)
    loaded = load_model(save(net, tmp_path, architecture))
    assert torch.equal(answers(loaded.module), answers(net))
    assert loaded.architecture == f"{architecture.removeprefix('torchvision:')}, pruned"
    count = len(NARROW[architecture])
    assert loaded.architecture_source == f"{count} modules are narrower, as pruned.json says"
    assert loaded.labels == tuple("abcdefg")
    assert loaded.labels_source == "pruned.json"
    assert loaded.preprocessing == replace(
        PREPROCESSING, source="used when it was pruned (pruned.json)"
    )
    assert loaded.arguments["num_classes"] == 7
    assert loaded.pruned and loaded.pruned.widths == NARROW[architecture]
    assert loaded.notes == ()


def test_without_the_json_the_weights_are_of_no_known_network(tmp_path: Path) -> None:
    file = save(small("torchvision:resnet18"), tmp_path, "torchvision:resnet18")
    (tmp_path / "pruned.json").unlink()
    with pytest.raises(ModelError, match="nearest architecture is torchvision's resnet18"):
        load_model(file)


def test_code_that_a_json_names_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(small("lenet.py:LeNet"), tmp_path, "lenet.py:LeNet")
    canary = tmp_path / "run"
    for folder in (tmp_path, tmp_path / "here"):
        folder.mkdir(exist_ok=True)
        (folder / "lenet.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ModelError, match=r"--arch lenet\.py:LeNet; or build the \.pt2") as caught:
        load_model(file)
    assert caught.value.exit_code == 4
    assert not canary.exists()


def test_a_users_own_network_is_narrowed(tmp_path: Path) -> None:
    net = small("lenet.py:LeNet")
    file = save(net, tmp_path, "lenet.py:LeNet")
    loaded = load_model(file, arch=f"{SAMPLES / 'lenet.py'}:LeNet")
    images = torch.rand(2, 1, 28, 28)
    with torch.inference_mode():
        assert torch.equal(loaded.module(images), net(images))
    assert (loaded.architecture, loaded.in_channels) == ("LeNet, pruned", 1)
    assert loaded.labels == tuple("abcdefghij")
    with pytest.raises(ModelError, match="no module conv2"):
        load_model(file, arch="torchvision:resnet18")
    with pytest.raises(OptionError, match="has no Lenett; did you mean LeNet"):
        load_model(file, arch=f"{SAMPLES / 'lenet.py'}:Lenett")


def test_arguments_of_a_users_own_network_are_taken_or_given(tmp_path: Path) -> None:
    net = LeNet(num_classes=4).eval()
    arch = f"{SAMPLES / 'lenet.py'}:LeNet"
    file = save(net, tmp_path, "lenet.py:LeNet", widths={}, arguments={"num_classes": 4})
    assert load_model(file, arch=arch).arguments == {"num_classes": 4}
    file = save(net, tmp_path, "lenet.py:LeNet", widths={}, arguments={"file": "/etc/passwd"})
    with pytest.raises(ModelError, match=r"the argument file of .* is not taken from a file"):
        load_model(file, arch=arch)
    assert load_model(file, arch=arch, arch_args='{"num_classes": 4}').arguments


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "huge": ({"widths": {"conv1": Width(10**12, 3, 1)}}, "has out 64 and cannot be made to 1000"),
    "other": ({"widths": {"conv1": Width(5, 3, 1)}}, "conv1.weight is 64x3x7x7 where 5x3x7x7"),
    "no module": ({"widths": {"../conv1": Width(5)}}, "no module ../conv1"),
    "private": ({"widths": {"__class__": Width(5)}}, "no module __class__"),
    "no such": ({"architecture": "torchvision:resnet19"}, "did you mean resnet"),
    "another": ({"architecture": "torchvision:alexnet"}, "no module layer1"),
    "download": ({"arguments": {"weights": "DEFAULT"}}, "argument weights of"),
    "blocks": ({"arguments": {"layers": [10**6] * 4}}, "argument layers of"),
    "classes": ({"arguments": {"num_classes": 10**9}}, "argument num_classes of"),
    "negative": ({"arguments": {"num_classes": -1}}, "pruned.json does not describe its weights"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_description_that_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    changes, words = WRONG[name]
    file = save(small("torchvision:resnet18"), tmp_path, "torchvision:resnet18", **changes)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(file)
    assert "pruned.json does not describe its weights" in str(caught.value)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


DOUBTFUL: dict[str, tuple[bytes, str]] = {
    "hash": (written(described("torchvision:resnet18")), "is not about this file"),
    "version": (b'{"format": "reportgen-pruned", "version": 2}', "is of version 2"),
    "damaged": (b'{"format": "reportgen-pruned", "version": 1}', "is damaged"),
    "large": (b" " * (2**24 + 1), "is too large"),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_description_that_is_not_believed_is_told(name: str, tmp_path: Path) -> None:
    content, words = DOUBTFUL[name]
    file = save(small("torchvision:resnet18"), tmp_path, "torchvision:resnet18")
    (tmp_path / "pruned.json").write_bytes(content)
    with pytest.raises(ModelError, match=f"nearest architecture .*pruned.json {words}"):
        load_model(file)
    whole = tmp_path / "whole.pth"
    torch.save(small_net("squeezenet1_1").state_dict(), whole)
    (tmp_path / "whole.json").write_bytes(content)
    loaded = load_model(whole)
    assert loaded.architecture == "squeezenet1_1"
    assert f"whole.json {words}" in loaded.notes[-1]


@pytest.mark.parametrize("content", [b"{}", b"[1", b'{"format": "coco"}', b"[" * 10**6, b"\xff"])
def test_a_json_of_something_else_is_no_matter(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "whole.pth"
    torch.save(small_net("squeezenet1_1").state_dict(), file)
    (tmp_path / "whole.json").write_bytes(content)
    assert load_model(file).notes == ()
    (tmp_path / "whole.json").unlink()
    (tmp_path / "whole.json").mkdir()
    assert load_model(file).notes == ()


UNUSABLE: dict[str, dict[str, Any]] = {
    "huge": {"height": 10**6, "width": 10**6, "resize": None},
    "deep": {"slices": 10**6},
    "sliver": {"resize": 10**9},
    "smaller": {"resize": 20},
    "mode": {"interpolation": "__class__"},
    "mean": {"mean": (0.5, 0.5, 2.0)},
    "std": {"std": (0.5, 0.5, 1e300)},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_preprocessing_that_no_image_survives_is_left_out(name: str, tmp_path: Path) -> None:
    preprocessing = replace(PREPROCESSING, **UNUSABLE[name])
    net = small("torchvision:resnet18")
    file = save(net, tmp_path, "torchvision:resnet18", preprocessing=preprocessing)
    loaded = load_model(file)
    assert loaded.preprocessing is None
    assert "preprocessing in pruned.json" in loaded.notes[0]


@pytest.mark.filterwarnings("ignore")
def test_a_program_of_a_known_classifier_says_its_widths(tmp_path: Path) -> None:
    architecture = "torchvision:squeezenet1_1"
    net = small(architecture)
    images = torch.rand(2, 3, 40, 56)
    extra = written(described(architecture)).decode()
    loaded = load_model(export(net, images, tmp_path / "pruned.pt2", extra=extra))
    assert torch.equal(answers(loaded.module), answers(net))
    assert loaded.architecture == "squeezenet1_1, pruned"
    assert (
        loaded.architecture_source == "4 modules are narrower, as reportgen.json in pruned.pt2 says"
    )
    assert loaded.preprocessing and loaded.preprocessing.mean == PREPROCESSING.mean
    lie = replace(described(architecture), widths={"features.0": Width(10**12, 3, 1)})
    extra = written(lie).decode()
    loaded = load_model(export(net, images, tmp_path / "lie.pt2", extra=extra))
    assert torch.equal(answers(loaded.module, 3, 40, 56), answers(net, 3, 40, 56))
    assert loaded.architecture == "SqueezeNet"
    assert (loaded.labels, loaded.preprocessing) == ((), None)
    assert "reportgen.json in lie.pt2 does not describe its weights" in loaded.notes[-1]


@pytest.mark.filterwarnings("ignore")
def test_a_program_that_does_something_else_is_taken_as_it_is(tmp_path: Path) -> None:
    architecture = "torchvision:squeezenet1_1"
    net = small(architecture)
    net.get_submodule("features")._modules["1"] = nn.LeakyReLU(0.3)
    images = torch.rand(2, 3, 40, 56)
    extra = written(described(architecture)).decode()
    loaded = load_model(export(net, images, tmp_path / "other.pt2", extra=extra))
    assert torch.equal(answers(loaded.module, 3, 40, 56), answers(net, 3, 40, 56))
    assert loaded.architecture == "SqueezeNet"
    assert "features.1 is LeakyReLU in the file, ReLU in torchvision's" in loaded.notes[-1]


def test_labels_cannot_colour_the_terminal(tmp_path: Path) -> None:
    labels = ("a", "b", "c", "d", "e", "\x1b[31mred\n", "\udcff")
    net = small("torchvision:squeezenet1_1")
    loaded = load_model(save(net, tmp_path, "torchvision:squeezenet1_1", labels=labels))
    assert loaded.labels == ("a", "b", "c", "d", "e", "\\x1b[31mred\\n", "\\udcff")


@pytest.mark.filterwarnings("ignore")
def test_a_program_of_a_users_own_network_needs_no_flags(tmp_path: Path) -> None:
    net = small("lenet.py:LeNet")
    images = torch.rand(2, 1, 28, 28)
    extra = written(described("lenet.py:LeNet")).decode()
    file = export(net, images, tmp_path / "pruned.pt2", extra=extra)
    loaded = load_model(file)
    with torch.inference_mode():
        assert torch.equal(loaded.module(images), net(images))
    assert loaded.architecture == "LeNet, pruned"
    assert (loaded.labels, loaded.input_size) == (tuple("abcdefghij"), (28, 28))
    told = CliRunner().invoke(commands, ["inspect", str(file)])
    assert told.exit_code == 0
    assert "LeNet, pruned (made from the program in the file)" in told.output
    weights = save(net, tmp_path, "lenet.py:LeNet")
    arch = f"{SAMPLES / 'lenet.py'}:LeNet"
    told = CliRunner().invoke(commands, ["inspect", str(weights), "--arch", arch])
    assert "LeNet, pruned (2 modules are narrower, as pruned.json says)" in told.output


def test_a_pruned_network_of_timm_needs_no_flags(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    net = timm.create_model("test_resnet", num_classes=7).eval()
    (convolution,) = [n for n, m in net.named_modules() if n == "layer1.0.conv1"]
    before = net.get_submodule(convolution)
    widths = {
        convolution: Width(before.out_channels - 3, before.in_channels, 1),
        "layer1.0.bn1": Width(before.out_channels - 3),
        "layer1.0.conv2": Width(
            net.get_submodule("layer1.0.conv2").out_channels, before.out_channels - 3, 1
        ),
    }
    made = {
        path: {"out": w.out, **({"in": w.inputs} if w.inputs else {})} for path, w in widths.items()
    }
    net = narrowed(net, made).eval()
    file = tmp_path / "pruned.pth"
    torch.save(net.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    pruned = replace(
        described("torchvision:resnet18", digest), architecture="timm:test_resnet", widths=widths
    )
    (tmp_path / "pruned.json").write_bytes(written(pruned))
    loaded = load_model(file)
    assert torch.equal(answers(loaded.module), answers(net))
    assert loaded.architecture == "test_resnet, pruned"
    assert loaded.labels == tuple("abcdefg")
