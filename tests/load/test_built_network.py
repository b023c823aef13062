"""A network from a constructor that was named: its arguments, its classes, what does not fit."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from reportgen.load.built_network import maker
from reportgen.load.model import load_model
from tests.load.test_networks_in_full import refusal, saved, squeezenet


def test_arguments_that_do_not_suit_are_told(tmp_path: Path) -> None:
    file, arch = saved(squeezenet().state_dict(), tmp_path), "torchvision:squeezenet1_1"
    assert refusal(load_model, file, arch=arch, arch_args='{"num_classes": 5}') == (
        "m.pth does not fit squeezenet1_1 with these --arch-args: classifier.1.weight is "
        "4x512x1x1 where 5x512x1x1 is expected; classifier.1.bias is 4 where 5 is expected."
    )
    assert refusal(load_model, file, arch=arch, arch_args='{"wings": 2}') == (
        "--arch-args do not suit squeezenet1_1: SqueezeNet.__init__() got an unexpected keyword "
        "argument 'wings'"
    )
    for word in ("weights", "weights_backbone"):
        assert refusal(load_model, file, arch=arch, arch_args=json.dumps({word: "DEFAULT"})) == (
            f"--arch-args: `{word}` would download others; the file's are used."
        )
    assert load_model(file, arch=arch, arch_args='{"weights": null}').architecture
    for name, hint in (
        ("squeezenet11", "did you mean squeezenet1_1 or squeezenet1_0 or densenet161?"),
        ("zzzz", "there is no such classifier."),
    ):
        assert refusal(load_model, file, arch=f"torchvision:{name}") == (
            f"--arch torchvision:{name}: {hint}"
        )
    for arch in ("squeezenet1_1", "here:squeezenet1_1"):
        assert refusal(load_model, file, arch=arch) == (
            f"--arch {arch}: give FILE.py:NAME, torchvision:NAME or timm:NAME."
        )


CODE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=6, num_classes=10):
        super().__init__(nn.Conv2d(1, width, 3), nn.Flatten(), nn.Linear(width, num_classes))

def sized(num_classes):
    return Net(6, num_classes)

def bare():
    return Net(6, 3)
"""


def test_a_users_network_is_told_in_full(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(CODE)
    arch = f"{tmp_path / 'net.py'}"
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Flatten(), nn.Linear(6, 3))
    file = saved(net.state_dict(), tmp_path)
    count = "num_classes = 3 was read from the file."
    for name, arguments, notes in (
        ("Net", {}, (count,)),
        ("Net", {"num_classes": 3}, ()),
        ("sized", {}, (count,)),
        ("bare", {}, ()),
    ):
        loaded = load_model(file, arch=f"{arch}:{name}", arch_args=json.dumps(arguments))
        assert (loaded.architecture, loaded.notes) == ("Net", notes)
        assert loaded.arguments == ({} if name == "bare" else {"num_classes": 3})
        assert loaded.architecture_source == "stated by flag"
    given = {"arch": f"{arch}:Net", "arch_args": '{"num_classes": 4}'}
    assert refusal(load_model, file, **given) == (
        f"m.pth does not fit Net of --arch {arch}:Net: 2.weight is 3x6 where 4x6 is expected; "
        "2.bias is 3 where 4 is expected. Other arguments of its constructor go into --arch-args."
    )
    assert refusal(load_model, file, arch=f"{arch}:Net", arch_args='{"width": 5}').endswith(
        "Other arguments of its constructor go into --arch-args."
    )
    near = squeezenet().state_dict()
    assert refusal(load_model, saved(near, tmp_path, "n.pth"), arch=f"{arch}:Net").endswith(
        "and 51 more. Its names are nearest to torchvision's squeezenet1_1."
    )
    # Numbers without axes are no rows of a classifier.
    odd = {**net.state_dict(), "scale": torch.tensor(1.0)}
    assert refusal(load_model, saved(odd, tmp_path), arch=f"{arch}:sized").startswith(
        f"m.pth does not fit Net of --arch {arch}:sized: scale is not expected."
    )


def test_a_constructor_and_what_counts_its_classes(tmp_path: Path) -> None:
    def asked(arch: str) -> Any:
        checkpoint = SimpleNamespace(tensors={"classifier.4.weight": torch.ones(5, 3)})
        return SimpleNamespace(arch=arch, arguments={}, checkpoint=checkpoint)

    make, count = maker(asked("torchvision:squeezenet1_1"))
    assert count == "num_classes"
    assert make(num_classes=3).classifier[1].out_channels == 3
    make, count = maker(asked("torchvision:fcn_resnet50"))
    assert count == "num_classes"
    assert make().classifier[4].out_channels == 5
    assert make(num_classes=2).classifier[4].out_channels == 2
    (tmp_path / "net.py").write_text(CODE)
    for name, expected in (("Net", "num_classes"), ("bare", "")):
        assert maker(asked(f"{tmp_path / 'net.py'}:{name}"))[1] == expected
