"""Units planted dead, constant and alike in networks that are one chain of layers."""

import pytest
import torch
from torch import nn

from tests.probe.nets import seeded
from tests.probe.pruning.planting import pruned


def kill(layer: nn.Module, *units: int) -> None:
    """Makes units give what no input can lift above zero."""
    for unit in units:
        with torch.no_grad():
            layer.bias[unit] = -1e3  # type: ignore[index,operator]


def alive(net: nn.Module) -> nn.Module:
    """Lifts the biases, so that no unit is idle by chance."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
                layer.bias.uniform_(0.5, 1, generator=torch.Generator().manual_seed(0))
    return net


class Chain(nn.Sequential):
    """Convolution, norm, ReLU, convolution, ReLU, pooling and two linear layers."""

    def __init__(self, padding: int = 0, mode: str = "zeros", bias: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 6, 3, padding=padding, padding_mode=mode, bias=bias)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d((2, 3))
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(36, 7)
        self.relu3 = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(7, 4)


def chain(**settings: object) -> Chain:
    net = alive(seeded(lambda: Chain(**settings)))  # type: ignore[arg-type]
    assert isinstance(net, Chain)
    with torch.no_grad():
        # Norms that leave every unit above zero somewhere.
        net.bn1.weight.fill_(1)
        net.bn1.bias.fill_(0.1)
        net.bn1.running_mean.zero_()  # type: ignore[union-attr]
    return net


def test_nothing_goes_where_nothing_is_idle() -> None:
    result = pruned(chain())
    assert (result.gone, result.stayed, result.plan.layers) == ({}, {}, ())
    assert result.plan.parameters[0] == result.plan.parameters[1]


def test_dead_units_go_with_norm_entries_and_inputs() -> None:
    net = chain()
    kill(net.bn1, 2)
    kill(net.conv2, 0, 5)
    kill(net.fc1, 3)
    result = pruned(net)
    assert result.gone == {
        "conv1 / 2": "dead",
        "conv2 / 0": "dead",
        "conv2 / 5": "dead",
        "fc1 / 3": "dead",
    }
    first, second = result.plan.going[:2]
    assert (first.entries, first.partners, first.readers) == (("bn1",), (), ("conv2",))
    assert (second.entries, second.readers) == ((), ("fc1",))
    widths = {name: (w.out, w.inputs, w.groups) for name, w in result.plan.widths.items()}
    assert widths == {
        "conv1": (7, 3, 1),
        "bn1": (7, None, None),
        "conv2": (4, 7, 1),
        # Two channels of 2 x 3 positions are gone from what it reads.
        "fc1": (6, 24, None),
        "fc2": (4, 6, None),
    }
    # conv1: one filter of 27 and a bias. conv2: 4 x 7 of 6 x 8 kernels of 9. fc1: 24 of 36 columns.
    saved = {s.layer: s.parameters[0] - s.parameters[1] for s in result.plan.layers}
    assert saved == {
        "conv1": 28,
        "bn1": 2,
        "conv2": (48 - 28) * 9 + 2,
        "fc1": 36 * 7 - 24 * 6 + 1,
        "fc2": 4,
    }


def test_a_norm_that_scales_by_zero_is_dead_or_constant_by_its_shift() -> None:
    net = chain()
    with torch.no_grad():
        net.bn1.weight[[1, 4, 6]] = 0
        net.bn1.bias[1], net.bn1.bias[4], net.bn1.bias[6] = -0.5, 0, 0.75
    result = pruned(net)
    assert result.gone == {"conv1 / 1": "dead", "conv1 / 4": "dead", "conv1 / 6": "constant"}
    assert all(unit.is_always for unit in result.plan.going)


def test_what_only_the_images_say_is_not_said_for_all_images() -> None:
    net = chain()
    kill(net.bn1, 2)
    (unit,) = pruned(net).plan.going
    assert not unit.is_always


def test_zero_weights_go_alone_or_leave_their_bias_to_the_next_layer() -> None:
    net = chain()
    with torch.no_grad():
        net.conv2.weight[[1, 3]] = 0
        net.conv2.bias[1], net.conv2.bias[3] = 0, 0.5  # type: ignore[index]
        net.fc1.weight[6], net.fc1.bias[6] = 0, 2
    result = pruned(net)
    assert result.gone == {
        "conv2 / 1": "zero weights",
        "conv2 / 3": "constant",
        "fc1 / 6": "constant",
    }
    expected = net.fc2.bias + 2 * net.fc2.weight[:, 6]
    torch.testing.assert_close(result.small.fc2.bias, expected)
    shift = 0.5 * net.fc1.weight[:, 18:24].sum(1)
    torch.testing.assert_close(result.small.fc1.bias, (net.fc1.bias + shift)[:6])


@pytest.mark.parametrize("padding", [1, "same"])
def test_a_constant_beside_zero_padding_stays(padding: int | str) -> None:
    net = chain(padding=padding)
    with torch.no_grad():
        net.bn1.weight[[0, 3]] = 0
        net.bn1.bias[0], net.bn1.bias[3] = 0.25, -0.25
    result = pruned(net)
    assert result.gone == {"conv1 / 3": "dead"}
    assert result.stayed == {"conv1 / 0": "the zero padding of conv2 lies beside its 0.25"}


def test_a_constant_beside_a_circular_padding_goes() -> None:
    net = chain(padding=1, mode="circular")
    with torch.no_grad():
        net.bn1.weight[0], net.bn1.bias[0] = 0, 0.25
    assert pruned(net).gone == {"conv1 / 0": "constant"}


def test_a_constant_needs_a_bias_that_takes_it() -> None:
    net = chain(bias=False)
    with torch.no_grad():
        net.bn1.weight[0], net.bn1.bias[0] = 0, 0.25
    result = pruned(net)
    assert result.gone == {}
    assert result.stayed == {"conv1 / 0": "conv2 has no bias that could take its constant"}


def test_a_norm_behind_takes_the_constant_where_there_is_no_bias() -> None:
    net = alive(
        seeded(
            lambda: nn.Sequential(
                nn.Conv2d(3, 4, 3),
                nn.ReLU(),
                nn.Conv2d(4, 5, 3, bias=False),
                nn.BatchNorm2d(5),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(5, 3),
            )
        )
    )
    with torch.no_grad():
        net[0].weight[2], net[0].bias[2] = 0, 0.5
        net[3].bias.fill_(9)
    result = pruned(net)
    assert result.gone == {"0 / 2": "constant"}
    shift = 0.5 * net[2].weight[:, 2].sum((1, 2))
    torch.testing.assert_close(result.small[3].running_mean, net[3].running_mean - shift)


def test_duplicates_are_merged_into_what_reads_them() -> None:
    net = chain()
    with torch.no_grad():
        for tensor in (*net.conv1.parameters(), *net.bn1.parameters(), *net.bn1.buffers()):
            if tensor.ndim:
                tensor[5] = tensor[1]
                tensor[7] = tensor[1]
        net.fc1.weight[4], net.fc1.bias[4] = net.fc1.weight[2], net.fc1.bias[2]
    result = pruned(net)
    assert result.gone == {
        "conv1 / 5": "duplicate of 1",
        "conv1 / 7": "duplicate of 1",
        "fc1 / 4": "duplicate of 2",
    }
    merged = net.conv2.weight[:, [1, 5, 7]].sum(1)
    torch.testing.assert_close(result.small.conv2.weight[:, 1], merged)


def test_twins_that_their_norms_tell_apart_are_none() -> None:
    net = chain()
    with torch.no_grad():
        for tensor in (*net.conv1.parameters(), *net.bn1.parameters(), *net.bn1.buffers()):
            if tensor.ndim:
                tensor[5] = tensor[1]
        net.bn1.weight[5] *= 2
    assert pruned(net).gone == {}


def test_constants_that_cannot_go_may_still_be_merged() -> None:
    net = chain(padding=1)
    with torch.no_grad():
        for tensor in (*net.conv1.parameters(), *net.bn1.parameters(), *net.bn1.buffers()):
            if tensor.ndim:
                tensor[4] = tensor[0]
        net.bn1.weight[[0, 4]] = 0
        net.bn1.bias[[0, 4]] = 0.25
    result = pruned(net)
    assert result.gone == {"conv1 / 4": "duplicate of 0"}
    assert list(result.stayed) == ["conv1 / 0"]


def test_a_layer_is_never_emptied() -> None:
    net = chain()
    kill(net.bn1, *range(8))
    result = pruned(net)
    assert result.stayed["conv1 / 0"] == "conv1 would be left without any unit"
    # All that comes after is constant, too, as far as float64 rounds it alike.
    assert result.stayed["conv2 / 0"] == "conv2 would be left without any unit"
    assert [len(result.small.conv1.weight), len(result.small.conv2.weight)] == [1, 1]


def test_all_kinds_together_and_neighbouring_layers_count_once() -> None:
    net = chain()
    kill(net.bn1, 0, 1)
    with torch.no_grad():
        net.bn1.weight[2], net.bn1.bias[2] = 0, 0.5
        for tensor in (*net.conv1.parameters(), *net.bn1.parameters(), *net.bn1.buffers()):
            if tensor.ndim:
                tensor[4] = tensor[3]
        net.conv2.weight[[1, 3]] = 0
        net.conv2.bias[1], net.conv2.bias[3] = 0, 0.5  # type: ignore[index]
    kill(net.fc1, 0, 2)
    result = pruned(net)
    assert [len(result.small.conv1.weight), *result.small.conv2.weight.shape[:2]] == [4, 4, 4]
    assert tuple(result.small.fc1.weight.shape) == (5, 24)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [(("dead",), ["0", "1"]), (("constant",), ["2"]), (("duplicate",), ["4"])],
    ids=["dead", "constant", "duplicate"],
)
def test_only_the_kinds_that_were_asked_for_go(kinds: tuple[str], expected: list[str]) -> None:
    net = chain()
    kill(net.bn1, 0, 1)
    with torch.no_grad():
        net.bn1.weight[2], net.bn1.bias[2] = 0, 0.5
        for tensor in (*net.conv1.parameters(), *net.bn1.parameters(), *net.bn1.buffers()):
            if tensor.ndim:
                tensor[4] = tensor[3]
    result = pruned(net, kinds=kinds)
    assert [name.rsplit(" ")[-1] for name in result.gone] == expected
    assert all("not asked for" in reason for reason in result.stayed.values())
    assert len(result.gone) + len(result.stayed) == 4


def test_what_was_not_watched_stays() -> None:
    net = chain()
    kill(net.bn1, 2)
    kill(net.fc1, 3)
    result = pruned(net, layers=["conv*", "relu3"])
    assert result.gone == {"fc1 / 3": "dead"}


def test_one_value_alone_is_no_constant() -> None:
    net = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 5), nn.Tanh(), nn.Linear(5, 2)))
    assert pruned(net, size=(2, 5), count=1).gone == {}


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm2d(6), nn.InstanceNorm2d(6, affine=True), nn.BatchNorm2d(6, affine=False)],
    ids=["instance", "instance with weights", "batch without weights"],
)
def test_norms_with_and_without_weights_lose_their_channels(norm: nn.Module) -> None:
    layers = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Identity(), nn.Conv2d(6, 4, 3), nn.ReLU()
    ends = nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    net = alive(seeded(lambda: nn.Sequential(*layers, *ends)))
    assert isinstance(net, nn.Sequential)
    net[2] = norm.double().eval()
    kill(net[0], 2)
    with torch.no_grad():
        for name, tensor in norm.named_buffers():
            if name == "running_mean":
                tensor.uniform_(0.5, 1, generator=torch.Generator().manual_seed(1))
        net[0].weight[5], net[0].bias[5] = net[0].weight[0], net[0].bias[0]
        for tensor in (*norm.parameters(), *norm.buffers()):
            if tensor.ndim:
                tensor[5] = tensor[0]
    result = pruned(net)
    # The batch norm shifts what is dead to a constant; without padding that goes, too.
    kind = "constant" if isinstance(norm, nn.BatchNorm2d) else "dead"
    assert result.gone == {"0 / 2": kind, "0 / 5": "duplicate of 0"}
    assert result.small[2].num_features == 4
