"""A narrowed network is what its constructor would have built for these widths."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from reportgen.errors import ModelError
from reportgen.load.narrowing import Widths, narrowed

Pair = tuple[Callable[[], nn.Module], Widths, Callable[[], nn.Module]]

# A module, the widths asked for, and the same module built with these widths.
PAIRS: dict[str, Pair] = {
    "conv": (
        lambda: nn.Conv2d(6, 9, (3, 5), 2, (1, 2), 2, bias=False, padding_mode="reflect"),
        {"out": 4, "in": 5},
        lambda: nn.Conv2d(5, 4, (3, 5), 2, (1, 2), 2, bias=False, padding_mode="reflect"),
    ),
    "conv1d": (lambda: nn.Conv1d(6, 9, 3), {"in": 2}, lambda: nn.Conv1d(2, 9, 3)),
    "depthwise": (
        lambda: nn.Conv2d(8, 8, 3, groups=8),
        {"out": 5, "in": 5, "groups": 5},
        lambda: nn.Conv2d(5, 5, 3, groups=5),
    ),
    "grouped": (
        lambda: nn.Conv2d(8, 12, 3, groups=4),
        {"out": 8, "in": 4},
        lambda: nn.Conv2d(4, 8, 3, groups=4),
    ),
    "transposed": (
        lambda: nn.ConvTranspose2d(6, 4, 3, 2, groups=2),
        {"in": 4, "out": 2},
        lambda: nn.ConvTranspose2d(4, 2, 3, 2, groups=2),
    ),
    "linear": (
        lambda: nn.Linear(12, 7, dtype=torch.float64),
        {"in": 11, "out": 3},
        lambda: nn.Linear(11, 3, dtype=torch.float64),
    ),
    "norm": (
        lambda: nn.BatchNorm2d(8, eps=0.1, momentum=None),
        {"out": 3},
        lambda: nn.BatchNorm2d(3, eps=0.1, momentum=None),
    ),
    "bare norm": (
        lambda: nn.BatchNorm2d(8, affine=False, track_running_stats=False),
        {"out": 3},
        lambda: nn.BatchNorm2d(3, affine=False, track_running_stats=False),
    ),
    "instance norm": (lambda: nn.InstanceNorm2d(8), {"out": 3}, lambda: nn.InstanceNorm2d(3)),
    "group norm": (
        lambda: nn.GroupNorm(4, 8),
        {"out": 6, "groups": 3},
        lambda: nn.GroupNorm(3, 6),
    ),
    "layer norm": (lambda: nn.LayerNorm(8), {"out": 5}, lambda: nn.LayerNorm(5)),
    "prelu": (lambda: nn.PReLU(8), {"out": 5}, lambda: nn.PReLU(5)),
    "frozen norm": (lambda: FrozenBatchNorm2d(8), {"out": 5}, lambda: FrozenBatchNorm2d(5)),
    "nothing": (lambda: nn.Linear(4, 3), {}, lambda: nn.Linear(4, 3)),
}


def settings(module: nn.Module) -> dict[str, object]:
    """The plain attributes of a module: its sizes, stride, eps, mode and the like."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def shapes(module: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_it_is_what_the_constructor_builds(name: str, device: str) -> None:
    make, widths, expected = PAIRS[name]
    with torch.device(device):
        net, twin = nn.Sequential(make(), nn.Flatten()).eval(), expected().eval()
    part = narrowed(net, {"0": widths}).get_submodule("0")
    assert settings(part) == settings(twin)
    assert shapes(part) == shapes(twin)
    assert repr(part) == repr(twin)
    assert {tensor.device.type for tensor in part.state_dict().values()} <= {device}


def test_the_given_network_and_the_other_modules_stay() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).train()
    net[0].weight.requires_grad_(False)
    before = copy.deepcopy(net)
    smaller = narrowed(net, {"0": {"out": 5}})
    assert isinstance(smaller, nn.Sequential)
    assert all(net.state_dict()[name].equal(value) for name, value in before.state_dict().items())
    assert settings(net[0]) == settings(before[0])
    assert smaller[2].weight.equal(net[2].weight)
    assert smaller[2].weight is not net[2].weight
    assert not smaller[0].weight.requires_grad
    assert smaller[0].bias.requires_grad
    assert smaller[0].training
    assert smaller[0].weight.count_nonzero() == 0


def test_a_module_under_two_names_stays_one() -> None:
    shared = nn.Conv2d(4, 4, 3)
    net = nn.ModuleDict({"a": shared, "b": shared})
    smaller = narrowed(net, {"b": {"out": 2, "in": 2}})
    assert smaller.get_submodule("a") is smaller.get_submodule("b")
    with pytest.raises(ModelError, match="listed twice"):
        narrowed(net, {"b": {"out": 2, "in": 2}, "a": {"out": 3, "in": 2}})


REFUSED: dict[str, tuple[dict[str, Widths], str]] = {
    "unknown": ({"9": {"out": 1}}, "no module 9"),
    "root": ({"": {"out": 1}}, "is a Sequential, which has no width"),
    "relu": ({"1": {"out": 1}}, "1 is a ReLU, which has no width"),
    "key": ({"0": {"depth": 1}}, "has no width `depth`; it has out, in, groups"),
    "wider": ({"0": {"out": 9}}, "has out 8 and cannot be made to 9"),
    "huge": ({"0": {"out": 10**12}}, "cannot be made to 1000000000000"),
    "zero": ({"0": {"in": 0}}, "cannot be made to 0"),
    "negative": ({"0": {"in": -1}}, "cannot be made to -1"),
    "true": ({"0": {"in": True}}, "cannot be made to True"),
    "groups": ({"2": {"out": 7}}, "cannot be split into 2 groups"),
    "plane norm": ({"3": {"out": 1}}, "3 is a LayerNorm, which has no width"),
    "tied": ({"4": {"out": 2}}, "4.weight is shared with another module"),
    "hidden": ({"6": {"out": 2}}, r"6 \(ParametrizedLinear\) holds parametrizations"),
    "normed": ({"7": {"out": 2}}, r"7 \(Linear\) holds weight_orig"),
}


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    widths, words = REFUSED[name]
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.LayerNorm((3, 3)),
        nn.Linear(3, 3),
        nn.Linear(3, 3),
        nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)),
        nn.utils.spectral_norm(nn.Linear(3, 3)),
    )
    net[5].weight = net[4].weight
    with pytest.raises(ModelError, match=words):
        narrowed(net, widths)


def test_a_name_without_end_is_cut_in_what_is_said() -> None:
    with pytest.raises(ModelError) as caught:
        narrowed(nn.Sequential(nn.Linear(2, 2)), {"a" * 10**6: {"out": 1}})
    assert len(str(caught.value)) < 300
