"""The steps of a network against the network itself."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.borrow import borrowed
from reportgen.probe.occlusion.clean import Clean
from reportgen.probe.occlusion.graph import Graph, Untraceable, graph_of
from reportgen.probe.occlusion.kinds import Convolution, Pointwise, Whole
from tests.probe.nets import Functional, Residual, photos, seeded


def steps_of(net: nn.Module) -> Graph:
    with borrowed(net):
        return graph_of(net)


def kinds_of(net: nn.Module) -> list[type]:
    return [type(step.kind) for step in steps_of(net).steps]


class Everything(nn.Module):
    """In-place sums and activations, a shared module, sizes of the batch, and a dict at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.same = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4 * 20 * 29, 5)

    def forward(self, x: torch.Tensor, scale: float = 0.5) -> dict[str, torch.Tensor]:
        x = self.norm(self.conv(x)) * scale
        before = self.same(x)
        after = self.relu(before)
        # `before` is what the ReLU has written there, and `relu_` writes into the sum.
        y = self.same(after + 2 * before)
        z = (y - 0.1).relu_()
        return {"maps": z, "logits": self.fc(z.contiguous().view(x.size(0), -1))}


@pytest.mark.parametrize(
    "build",
    [Residual, lambda: Residual(True, True), Functional, Everything],
    ids=["residual", "in place, reused", "functional", "everything"],
)
def test_steps_give_what_the_network_gives(build: type[nn.Module]) -> None:
    net, images = seeded(build), photos(3)
    with borrowed(net):
        found = graph_of(net).run(images)
        expected = net(images)
    expected = expected["logits"] if isinstance(expected, dict) else expected
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_the_network_is_left_as_it_was() -> None:
    net = seeded(lambda: Residual(is_inplace=True))
    before = copy.deepcopy(net.state_dict())
    parts = [(type(part), sorted(vars(part))) for part in net.modules()]
    steps_of(net).run(photos(2))
    assert [(type(part), sorted(vars(part))) for part in net.modules()] == parts
    assert net.relu.inplace
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


def test_norms_are_folded_but_not_in_half_precision() -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    assert kinds_of(net) == [Convolution, Pointwise]
    assert kinds_of(net.bfloat16()) == [Convolution, Pointwise, Pointwise]


def test_a_norm_is_not_folded_where_others_read_the_convolution() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            return (x + self.norm(x)).mean((2, 3))

    net, images = seeded(Both), photos(2)
    torch.testing.assert_close(steps_of(net).run(images), net(images), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "setting", [{"padding_mode": "reflect", "padding": 1}, {"padding": "same"}]
)
def test_a_norm_behind_a_convolution_without_windows_stays(setting: dict[str, Any]) -> None:
    """Of an even kernel, `same` pads one side more."""
    net = seeded(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 4, **setting), nn.BatchNorm2d(4), nn.Flatten())
    )
    images = photos(2)
    assert kinds_of(net)[0] is Whole
    torch.testing.assert_close(steps_of(net).run(images), net(images), rtol=1e-10, atol=1e-10)


def test_what_is_told_by_place_to_write_in_place_does_not() -> None:
    class Positional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            y = F.relu(x, True)
            return (x - 3 * F.leaky_relu(y - 1, 0.1, True)).mean((2, 3))

    net, images = seeded(Positional), photos(2)
    graph = steps_of(net)
    torch.testing.assert_close(graph.run(images), net(images), rtol=1e-10, atol=1e-10)
    with borrowed(net):
        clean = Clean(graph, images[0])
    assert (clean.results[graph.steps[0].node] < 0).any()


def test_a_module_with_a_hook_is_called_as_it_is() -> None:
    net = seeded(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 18 * 27, 2)))
    net[0].register_forward_hook(lambda _, __, output: output * 3)
    assert kinds_of(net)[0] is Whole
    images = photos(2)
    torch.testing.assert_close(steps_of(net).run(images), net(images), rtol=1e-10, atol=1e-10)


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


class Writes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * 2
        x[:, 0] = 0
        return x.mean((2, 3))


class Fills(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)).fill_(0)


class Uncopyable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.numbers = (number for number in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def mixing() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2, track_running_stats=False))


class MixingFunction(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, training=True).mean((2, 3))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Branches, "cannot be followed step by step"),
        (Writes, "cannot be followed step by step"),
        (Fills, "writes into a tensor with fill_"),
        (Uncopyable, "cannot be copied"),
        (mixing, "mean over the images"),
        (MixingFunction, "mean over the images"),
    ],
)
def test_what_cannot_be_followed_is_said(build: type[nn.Module], said: str) -> None:
    with pytest.raises(Untraceable, match=said) as caught:
        steps_of(build())
    assert str(caught.value).endswith(".")
