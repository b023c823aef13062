"""What is said of a network in memory or of its file, and what it takes: whole records."""

import copy
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from reportgen.load.given_network import given_network, weights_hash
from reportgen.load.model import input_of, load_model, takes_volumes
from reportgen.load.torchvision_nets import published
from tests.load.test_networks_in_full import everything, refusal, saved, squeezenet


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 3, 1)), (4, None, ())),
        (nn.Sequential(nn.Conv1d(2, 2, 1)), (2, None, ())),
        (nn.Sequential(nn.Conv3d(1, 2, 1)), (1, None, ())),
        (
            nn.Sequential(nn.ReLU()),
            (3, None, ("The network has no convolution or linear layer; RGB images are assumed.",)),
        ),
        (
            nn.Linear(784, 2),
            (1, (28, 28), ("The first layer takes 784 numbers: 1 x 28 x 28 images are assumed.",)),
        ),
        (
            nn.Linear(3072, 2),
            (3, (32, 32), ("The first layer takes 3072 numbers: 3 x 32 x 32 images are assumed.",)),
        ),
        (
            nn.Linear(10, 2),
            (
                3,
                None,
                ("The first layer takes 10 numbers, which are no square image; RGB is assumed.",),
            ),
        ),
        (
            nn.Linear(5, 2),
            (
                3,
                None,
                ("The first layer takes 5 numbers, which are no square image; RGB is assumed.",),
            ),
        ),
    ],
    ids=str,
)
def test_what_a_network_takes(net: nn.Module, expected: Any) -> None:
    assert input_of(net) == expected
    assert takes_volumes(net) == isinstance(next(iter(net.children()), None), nn.Conv3d)


@pytest.mark.parametrize("name", ["image_size", "img_size", "input_size"])
def test_a_size_under_a_usual_name_is_that_of_images(name: str) -> None:
    for net in (nn.Sequential(nn.Conv2d(3, 2, 1)), nn.Sequential(nn.Linear(784, 2))):
        setattr(net, name, (20, 30))
        assert input_of(net)[1] == (20, 30)
        setattr(net, name, "large")
        assert input_of(net)[1] == (None if isinstance(net[0], nn.Conv2d) else (28, 28))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert refusal(load_model, tmp_path / "none.pth") == (
        f"{tmp_path / 'none.pth'} cannot be opened: No such file or directory."
    )
    assert refusal(load_model, tmp_path) == (f"{tmp_path} is a folder; give the model file itself.")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(load_model, tmp_path / "pipe") == (
        f"{tmp_path / 'pipe'} is no ordinary file; give the model file itself."
    )
    file = saved(squeezenet().state_dict(), tmp_path)
    assert refusal(load_model, file, arch_args='{"a": 1}') == (
        "--arch-args needs --arch: it is the constructor that takes them."
    )


def test_names_without_end_are_cut_in_what_is_said(tmp_path: Path) -> None:
    weights = dict(squeezenet().state_dict())
    for length in (199, 200, 400):
        name = "a" * (length - 20) + "b" * 20
        message = refusal(load_model, saved({**weights, name: torch.ones(1)}, tmp_path))
        shown = name if length < 200 else "a" * 100 + "..." + "b" * 20
        assert f" {shown} is not expected" in message


def test_a_network_in_memory_is_told_in_full() -> None:
    inner = squeezenet()
    loaded = given_network(inner)
    assert loaded.module is inner
    assert everything(loaded) == {
        "file": "",
        "sha256": weights_hash(inner),
        "architecture": "squeezenet1_1",
        "architecture_source": "recognised from keys and shapes",
        "format": "nn.Module",
        "dtype": "float32",
        "preprocessing": published("squeezenet1_1", "", None, 3, 4).preprocessing,
        "labels": (),
        "labels_source": "",
        "in_channels": 3,
        "input_size": None,
        "notes": (),
        "arguments": {},
        "pruned": None,
        "bytes": None,
        "takes_volumes": False,
        "slices": None,
    }
    assert loaded.name == "squeezenet1_1"


def test_only_torchvisions_own_class_is_known_by_its_weights() -> None:
    net = squeezenet()
    net.__class__ = type("Mine", (models.SqueezeNet,), {"__module__": "mine"})
    loaded = given_network(net)
    assert (loaded.architecture, loaded.preprocessing) == ("Mine", None)
    assert loaded.architecture_source == "its class in the program"
    volumes = given_network(nn.Sequential(nn.Conv3d(1, 2, 3)))
    assert volumes.takes_volumes and volumes.in_channels == 1


def test_half_a_network_in_memory_is_copied() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Linear(2, 3).half())
    net.register_buffer("places", torch.arange(3))
    before = copy.deepcopy(net)
    loaded = given_network(net)
    assert loaded.module is not net and loaded.dtype == "float16, float32"
    assert [p.dtype for p in net.parameters()] == [p.dtype for p in before.parameters()]
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
    counted = nn.Sequential(nn.Conv2d(2, 3, 1))
    counted.register_buffer("places", torch.arange(3))
    assert given_network(counted).module is counted


def test_the_hash_of_weights_is_of_each_name_and_its_bytes() -> None:
    net = nn.Module()
    net.register_parameter("w", nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).t()))
    net.register_buffer("b", torch.tensor(7, dtype=torch.int16), persistent=False)
    digest = hashlib.sha256(b'["w", [2, 2], "torch.float32"]\n')
    digest.update(torch.tensor([1.0, 3.0, 2.0, 4.0]).numpy().tobytes())
    digest.update(b'["b", [], "torch.int16"]\n' + (7).to_bytes(2, "little"))
    assert weights_hash(net) == digest.hexdigest()
    net.other = net
    shared = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared[1].weight = shared[0].weight
    apart = copy.deepcopy(shared)
    apart[1].weight = nn.Parameter(apart[0].weight.detach().clone())
    assert weights_hash(shared) == weights_hash(apart)


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_watched_is_told() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(2, 3)))
    for net, words in (
        (
            nn.Sequential(scripted),
            "is TorchScript, which cannot be watched at work; give the nn.Module that it was made "
            "from.",
        ),
        (nn.Sequential(nn.LazyLinear(3)), "has lazy layers: run it once on an image before."),
        (
            nn.Sequential(nn.Linear(2, 3, device="meta")),
            "lies on the meta device and has no values yet.",
        ),
    ):
        assert refusal(given_network, net) == f"The network Sequential {words}"
