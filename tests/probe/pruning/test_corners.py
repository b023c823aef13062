"""Networks that are put together in ways that are rare, and that pruning has to see through."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.probe import Probe
from reportgen.probe.pruning.plan import planned
from tests.probe.nets import photos, seeded
from tests.probe.pruning.planting import pruned, seen_by
from tests.probe.pruning.test_chains import alive, kill


def empty(layer: nn.Conv2d, unit: int) -> None:
    with torch.no_grad():
        layer.weight[unit] = 0


class Plain(nn.Module):
    """Two convolutions, something between them, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3)
        self.second = nn.Conv2d(6, 5, 3)
        self.fc = nn.Linear(5, 4)

    def between(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(F.relu(self.second(self.between(self.first(x)))).mean((2, 3)))


class Normed(Plain):
    norm: nn.Module

    def between(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm(x))


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm2d, lambda n: nn.BatchNorm2d(n, affine=False)],
    ids=["instance norm", "batch norm"],
)
def test_a_norm_without_weights_is_followed(norm: Callable[[int], nn.Module]) -> None:
    net = alive(seeded(Normed))
    assert isinstance(net, Normed)
    net.norm = norm(6).double().eval()
    with torch.no_grad():
        net.first.weight[1], net.first.bias[1] = 0, 0
        net.first.weight[5], net.first.bias[5] = net.first.weight[4], net.first.bias[4]
    result = pruned(net)
    assert result.gone == {"first / 1": "zero weights", "first / 5": "duplicate of 4"}
    assert result.small.norm.num_features == 4


class Limited(Plain):
    """A limit for each channel: no number, but a tensor of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("limit", torch.linspace(1, 2, 6).view(6, 1, 1))

    def between(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x, torch.zeros((), dtype=x.dtype), self.limit)


class Sized(Plain):
    """A limit that is the number of channels."""

    def between(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x, 0, x.shape[1])


class Gated(Plain):
    """A factor for each channel, given by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.linspace(1, 2, 6).view(6, 1, 1))

    def between(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mul(F.relu(x), other=self.gate)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Limited, "clamp"), (Sized, "clamp"), (Gated, "mul")],
    ids=["limits", "a size", "a factor"],
)
def test_what_takes_more_than_the_channels_keeps_them(kind: type[Plain], name: str) -> None:
    net = alive(seeded(kind))
    empty(net.first, 2)
    result = pruned(net)
    assert result.gone == {}
    assert result.stayed == {"first / 2": f"the operation {name} reads it"}


class Twice(Plain):
    """Its first convolution has two names, of which the second is called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(self.first, nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(F.relu(self.second(self.stem(x))).mean((2, 3)))


def test_a_layer_of_two_names_is_narrowed_under_both() -> None:
    net = alive(seeded(Twice))
    kill(net.first, 2)
    result = pruned(net)
    assert result.gone == {"first / 2": "dead"}
    assert result.small.first is result.small.stem[0]
    assert {"first.weight", "stem.0.weight"} < result.small.state_dict().keys()


class Statistics(Plain):
    """Two norms with one running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.fc = nn.Conv2d(6, 6, 3), nn.Linear(6, 4)
        self.norm, self.other = nn.BatchNorm2d(6), nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.first(x)))
        return self.fc(F.relu(self.other(self.second(x))).mean((2, 3)))


def test_a_buffer_of_two_modules_keeps_their_channels() -> None:
    net = alive(seeded(Statistics))
    assert isinstance(net, Statistics)
    net.other.running_mean = net.norm.running_mean
    with torch.no_grad():
        net.norm.bias.fill_(9)
        net.other.bias.fill_(9)
    empty(net.first, 2)
    result = pruned(net)
    assert result.gone == {}
    assert result.stayed == {"first / 2": "norm shares its weights with other"}


class Crossed(nn.Module):
    """Two pairs of channels in one, and what they come from read side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.pair = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 2, 3)
        self.one, self.other = nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 1)
        self.fc = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide, pair = F.relu(self.wide(x)), self.pair(x)
        both = F.relu(torch.cat([pair, pair], 1) + wide)
        return self.fc(F.relu(self.one(wide) + self.other(both)).mean((2, 3)))


@pytest.mark.parametrize(
    ("copies", "gone"),
    [({2: 0, 3: 1}, {}), ({3: 0, 2: 1}, {}), ({1: 0, 3: 2}, {"wide / 1": "duplicate of 0"})],
    ids=["in both halves", "crosswise", "side by side"],
)
def test_copies_are_merged_only_where_each_part_meets_its_own(
    copies: dict[int, int], gone: dict[str, str]
) -> None:
    net = alive(seeded(Crossed))
    assert isinstance(net, Crossed)
    with torch.no_grad():
        for layer, same in ((net.wide, copies), (net.pair, {1: 0})):
            for copy, unit in same.items():
                layer.weight[copy], layer.bias[copy] = layer.weight[unit], layer.bias[unit]
    assert pruned(net).gone == gone


def test_copies_of_one_picture_make_no_constants() -> None:
    """All that is not a map gives one value then, and could be moved into the biases."""
    torch.manual_seed(0)
    parts = (nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(*parts, nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4)).double().eval()
    with torch.no_grad():
        net[0].bias[2] = -100.0
        net[4].weight[1] = 0.0
    images = photos(2, 3, 9, 11)
    going = []
    for some in (images, images[:1].repeat(3, 1, 1, 1)):
        _, plan = planned(Probe(net, "cpu"), some[0], seen_by(net, some))
        going.append({(unit.layer, unit.unit, unit.kind) for unit in plan.going})
    assert going[0] == going[1] == {("0", 2, "dead"), ("4", 1, "constant")}
