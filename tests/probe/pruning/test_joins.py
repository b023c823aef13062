"""Units planted idle where channels are joined, side by side, in groups or in new shapes."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.borrow import borrowed
from reportgen.probe.probe import Probe
from reportgen.probe.pruning.follow import followed, unused
from reportgen.probe.pruning.plan import planned
from reportgen.prune import smaller_network
from tests.probe.nets import photos, seeded
from tests.probe.pruning.planting import macs, pruned, seen_by
from tests.probe.pruning.test_chains import alive, kill


class Residual(nn.Module):
    """A stem and two blocks on a stream of six channels; the second has its own shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.first = nn.Conv2d(6, 5, 3, padding=1)
        self.second = nn.Conv2d(5, 6, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Conv2d(6, 4, 1)
        self.third = nn.Conv2d(6, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.stem(x))
        y = self.bn(self.second(self.relu(self.first(x))))
        y += x
        x = self.relu(y)
        x = F.relu(self.down(x) + self.third(x))
        return self.fc(x.mean((2, 3)))


def residual() -> Residual:
    net = alive(seeded(Residual))
    assert isinstance(net, Residual)
    with torch.no_grad():
        net.bn.bias.fill_(0.5)
    return net


def silence(net: Residual, unit: int) -> None:
    """Makes what the second convolution adds to one channel of the stream zero."""
    with torch.no_grad():
        net.bn.weight[unit] = 0
        net.bn.bias[unit] = 0


def test_a_channel_of_the_stream_goes_where_all_that_make_it_are_idle() -> None:
    net = residual()
    kill(net.stem, 1, 4)
    silence(net, 4)
    silence(net, 2)
    kill(net.first, 3)
    result = pruned(net)
    assert result.gone == {"stem / 4": "dead", "first / 3": "dead"}
    unit = result.plan.going[0]
    assert unit.partners == (("second", 4),)
    assert unit.entries == ("bn",)
    assert set(unit.readers) == {"first", "down", "third"}
    joined = "reads it joined with others, and not all are idle (stem, second)"
    assert result.stayed == {"stem / 1": f"down {joined}", "second / 2": f"first {joined}"}


def test_an_idle_sum_of_two_branches_goes_from_both() -> None:
    net = residual()
    kill(net.down, 2)
    with torch.no_grad():
        net.third.weight[0], net.third.bias[0] = 0, -1e3
        net.down.weight[1], net.third.weight[1] = 0, 0
        net.down.bias[1], net.third.bias[1] = 0.5, 0.25
    result = pruned(net)
    assert result.gone == {"down / 0": "dead", "down / 1": "constant", "down / 2": "dead"}
    shift = 0.75 * net.fc.weight[:, 1]
    torch.testing.assert_close(result.small.fc.bias, net.fc.bias + shift)


def test_twins_in_the_stream_are_merged_where_all_that_make_them_are_alike() -> None:
    net = residual()
    tensors = (*net.stem.parameters(), net.second.weight, *net.bn.parameters(), *net.bn.buffers())
    with torch.no_grad():
        for tensor in tensors:
            if tensor.ndim:
                tensor[5] = tensor[0]
        net.stem.weight[3], net.stem.bias[3] = net.stem.weight[1], net.stem.bias[1]
    assert pruned(net).gone == {"stem / 5": "duplicate of 0"}


class Fire(nn.Module):
    """Two branches side by side, a norm over both, and one of them read once more."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(3, 4, 1)
        self.one = nn.Conv2d(4, 3, 1)
        self.three = nn.Conv2d(4, 5, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.side = nn.Conv2d(3, 2, 1)
        self.last = nn.Conv2d(8, 6, 3)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.squeeze(x))
        one, three = F.relu(self.one(x)), F.relu(self.three(x))
        both = torch.cat([one, three], 1)
        late = F.relu(self.last(F.relu(self.bn(both))))
        late = F.adaptive_avg_pool2d(late, 1).flatten(1)
        side = F.relu(self.side(one)).amax((2, 3))
        return self.fc(torch.cat((late, side), dim=-1))


def fire() -> Fire:
    net = alive(seeded(Fire))
    assert isinstance(net, Fire)
    with torch.no_grad():
        net.bn.bias.fill_(3)
    return net


def test_a_channel_goes_from_its_place_in_a_concatenation() -> None:
    net = fire()
    with torch.no_grad():
        net.bn.bias[5] = -1e3
        net.bn.weight[1], net.bn.bias[1] = 0, 0
    kill(net.one, 0)
    kill(net.three, 1)
    kill(net.last, 4)
    kill(net.side, 1)
    result = pruned(net)
    # The norm makes of `one / 0` a constant again, which `last` can take: it has no padding.
    assert result.gone == {
        "one / 0": "constant",
        "three / 1": "constant",
        "three / 2": "dead",
        "side / 1": "dead",
        "last / 4": "dead",
    }
    assert result.stayed == {"one / 1": "side sees it change"}
    widths = result.plan.widths
    assert (widths["bn"].out, widths["last"].inputs, widths["fc"].inputs) == (5, 5, 6)


class Grouped(nn.Module):
    """A convolution in two groups, then a depthwise one."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 6, 3)
        self.grouped = nn.Conv2d(6, 8, 3, padding=1, groups=2)
        self.mixed = nn.Conv2d(8, 6, 1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.act = nn.PReLU(6)
        self.last = nn.Conv2d(6, 4, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.grouped(F.relu(self.before(x))))
        x = F.relu6(self.mixed(x))
        x = self.act(self.depthwise(x))
        x = F.relu(self.last(x))
        return self.fc(x.mean([-1, -2]))


def test_groups_keep_what_they_touch_and_depthwise_filters_go_along() -> None:
    net = alive(seeded(Grouped))
    assert isinstance(net, Grouped)
    with torch.no_grad():
        net.mixed.weight.abs_().mul_(0.1)
        net.depthwise.bias[2] = 0
        net.depthwise.weight[4], net.depthwise.bias[4] = 0, 0.5
        net.act.weight.fill_(0.25)
    kill(net.before, 1)
    kill(net.grouped, 3)
    kill(net.mixed, 2, 5)
    result = pruned(net)
    groups = "grouped is a convolution in 2 groups"
    assert result.stayed == {"before / 1": groups, "grouped / 3": groups}
    # With a bias of its own, the depthwise filter of a dead unit gives a constant.
    assert result.gone == {"mixed / 2": "dead", "mixed / 4": "constant", "mixed / 5": "constant"}
    assert result.plan.going[0].entries == ("depthwise", "act")
    width = result.plan.widths["depthwise"]
    assert (width.out, width.inputs, width.groups) == (3, 3, 3)
    assert result.small.depthwise.groups == 3


class Excited(nn.Module):
    """Squeeze and excitation: each channel is weighed by what is seen of all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.down = nn.Conv2d(6, 3, 1)
        self.up = nn.Conv2d(3, 6, 1)
        self.last = nn.Conv2d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv(x))
        weight = torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        return self.last(weight * x).mean((2, 3))


def test_what_is_dead_goes_with_the_weight_that_it_was_given() -> None:
    net = alive(seeded(Excited))
    assert isinstance(net, Excited)
    kill(net.conv, 1)
    with torch.no_grad():
        net.up.bias[4] = -1e6
    result = pruned(net)
    assert result.gone == {"conv / 1": "dead"}
    assert result.plan.going[0].partners == (("up", 1),)
    assert list(result.stayed) == ["up / 4"]


class Shaped(nn.Module):
    """One convolution before a change of shape, given as a function."""

    def __init__(self, shape: Callable[[torch.Tensor], torch.Tensor], inputs: int) -> None:
        super().__init__()
        self.shape = shape
        self.conv = nn.Conv2d(3, 4, 3)
        self.hidden = nn.Linear(inputs, 5)
        self.fc = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shape(F.relu(self.conv(x)))
        return self.fc(F.relu(self.hidden(x)).flatten(1)[:, :5])


SHAPES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], int, str]] = {
    "size": (lambda x: x.view(x.size(0), -1), 24, ""),
    "reshape": (lambda x: x.reshape((x.shape[0], -1)), 24, ""),
    "flatten": (lambda x: torch.flatten(x, start_dim=1), 24, ""),
    "squeeze": (lambda x: x.amax(3).amax(2, keepdim=True).squeeze(-1), 4, ""),
    "slice": (lambda x: x[:, :, ::2, :1].flatten(1), 4, ""),
    "pad": (lambda x: F.pad(x, (1, 0)).flatten(1), 32, ""),
    "fixed": (lambda x: x.view(-1, 24), 24, "a change of shape (reshape) reads it"),
    "order": (lambda x: x.permute(0, 2, 3, 1).flatten(1), 24, "a new order of the axes reads it"),
    "choice": (lambda x: x[:, :2].flatten(1), 12, "a choice among the channels reads it"),
    "chunk": (lambda x: x.chunk(2, 1)[1].flatten(1), 12, "a choice among the channels reads it"),
    "norm": (lambda x: F.normalize(x).flatten(1), 24, "the operation normalize reads it"),
    "sum": (lambda x: x.sum(1).flatten(1), 6, "the operation sum reads it"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_channel_is_followed_through_shapes_or_stays(name: str) -> None:
    shape, inputs, reason = SHAPES[name]
    net = alive(seeded(lambda: Shaped(shape, inputs)))
    assert isinstance(net, Shaped)
    with torch.no_grad():
        net.hidden.weight.abs_()
        net.hidden.weight[1] = 0
    kill(net.conv, 3)
    kill(net.hidden, 1)
    result = pruned(net, size=(4, 5))
    conv = {"conv / 3": "dead"} if not reason else {}
    # The hidden units are read through a choice of columns here.
    assert result.gone == conv
    stayed = dict(result.stayed)
    assert stayed.pop("hidden / 1") == "a choice among the channels reads it"
    assert stayed == ({"conv / 3": reason} if reason else {})


class Twice(nn.Module):
    """One convolution that is called twice, and two linear layers with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.again = nn.Conv2d(5, 5, 3, padding=1)
        self.one = nn.Linear(5, 5)
        self.other = nn.Linear(5, 5)
        self.other.weight = self.one.weight
        self.fc = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.again(F.relu(self.again(F.relu(self.stem(x))))))
        x = F.relu(self.one(F.adaptive_max_pool2d(x, 1).flatten(1)))
        return self.fc(F.relu(self.other(x)))


def test_weights_that_serve_twice_keep_what_they_touch() -> None:
    net = alive(seeded(Twice))
    assert isinstance(net, Twice)
    kill(net.stem, 2)
    kill(net.other, 0)
    result = pruned(net)
    assert result.gone == {}
    assert result.stayed == {"stem / 2": "again is used 2 times"}


def test_hooks_and_parametrised_weights_keep_what_they_touch() -> None:
    net = alive(seeded(lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    )))  # fmt: skip
    assert isinstance(net, nn.Sequential)
    for place in (0, 2, 4):
        kill(net[place], 1)
    torch.nn.utils.parametrizations.weight_norm(net[2])
    net[4].register_forward_hook(lambda module, given, output: None)
    result = pruned(net.eval())
    assert result.gone == {}
    assert result.stayed == {"0 / 1": "2 computes its weights from others"}


class Heads(nn.Module):
    """A network with a head that serves in training only, and attention as one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)
        self.aux = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = self.mix(x, x, x)[0].mean(1)
        return self.fc(x) + self.aux(x) if self.training else self.fc(x)


def test_what_nothing_calls_is_named() -> None:
    net = seeded(Heads)
    with borrowed(net):
        found = followed(net, photos(1)[0])
    assert unused(found, net) == ["aux"]


class Patches(nn.Module):
    """Four patches of an image go through the same layers as images of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.mix = nn.Conv2d(5, 4, 1)
        self.alone = nn.Conv2d(3, 4, 2)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.unflatten(2, (2, -1)).unflatten(4, (2, -1)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        y = F.relu(self.mix(F.relu(self.conv(y)))).amax((2, 3))
        # Without its batch, an image has its rows where its channels would be.
        first = F.relu(self.alone(x[0])).mean()
        return self.fc(y).unflatten(0, (-1, 4)).mean(1) + first


def test_layers_that_run_on_parts_of_an_image_are_counted_for_all_of_them() -> None:
    net = alive(seeded(Patches))
    assert isinstance(net, Patches)
    # Statistics are kept of whole images alone; here the weights say it.
    kill(net.conv, 1, 4)
    kill(net.alone, 2)
    with torch.no_grad():
        net.conv.weight[[1, 4]] = 0
    images = photos(1, 3, 12, 16)
    evidence = seen_by(net, images)
    decision, plan = planned(Probe(net, "cpu"), images[0], evidence)
    assert {(unit.layer, unit.unit) for unit in plan.going} == {("conv", 1), ("conv", 4)}
    small = smaller_network(net, decision, plan)
    torch.testing.assert_close(small(images), net(images), rtol=0, atol=1e-10)
    # What reads the first image alone is half an operation in each of two images.
    assert plan.macs[0] - plan.macs[1] == macs(net, images) - macs(small, images)
