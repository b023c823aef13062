"""Prunes small networks in float64, and counts what is left of them another way."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reportgen.probe.evidence import Evidence
from reportgen.probe.probe import Probe
from reportgen.probe.pruning.decide import KINDS, Decision
from reportgen.probe.pruning.plan import Plan, planned
from reportgen.prune import smaller_network
from tests.probe.nets import batches_of, photos


@dataclass(frozen=True, eq=False)
class Result:
    """A network before and after."""

    net: nn.Module
    small: nn.Module
    plan: Plan
    decision: Decision
    images: torch.Tensor

    @property
    def gone(self) -> dict[str, str]:
        """Kind by unit, such as `conv1 / 3`; a duplicate with the unit it is one of."""
        return {
            f"{unit.layer} / {unit.unit}": unit.kind
            if unit.twin is None
            else f"duplicate of {unit.twin}"
            for unit in self.plan.going
        }

    @property
    def stayed(self) -> dict[str, str]:
        return {f"{unit.layer} / {unit.unit}": unit.reason for unit in self.plan.staying}


def seen_by(net: nn.Module, images: torch.Tensor, layers: Collection[str] = ()) -> Evidence:
    return Probe(net, "cpu", 2).collect(batches_of(images), len(images), (), layers=tuple(layers))


def pruned(
    net: nn.Module,
    *,
    size: tuple[int, int] = (13, 17),
    kinds: Collection[str] = KINDS,
    layers: Collection[str] = (),
    count: int = 3,
    channels: int = 3,
) -> Result:
    """Prunes a network on seeded noise, and holds the outcome against the network itself."""
    images = photos(count, channels, *size)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    evidence = seen_by(net, images, layers)
    decision, plan = planned(Probe(net, "cpu"), images[0], evidence, kinds)
    small = smaller_network(net, decision, plan)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [module.training for module in net.modules()] == [False] * len(list(net.modules()))
    with torch.no_grad():
        torch.testing.assert_close(small(images), net(images), rtol=0, atol=1e-10)
    check_sums(net, small, plan, images[:1])
    return Result(net, small, plan, decision, images)


def check_sums(net: nn.Module, small: nn.Module, plan: Plan, image: torch.Tensor) -> None:
    """Holds the sums of a plan against the two networks as they are."""
    assert plan.parameters == (parameters(net), parameters(small))
    assert plan.bytes == (state_size(net), state_size(small))
    assert plan.macs == (macs(net, image), macs(small, image))
    for layer in plan.layers:
        whole, left = net.get_submodule(layer.layer), small.get_submodule(layer.layer)
        assert layer.parameters == (parameters(whole), parameters(left))
        if layer.inputs[0]:
            assert layer.units == (len(whole.weight), len(left.weight))  # type: ignore[arg-type]


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def state_size(net: nn.Module) -> int:
    """Bytes of all tensors, as they are saved: those that share memory once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in net.state_dict().values()}
    return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


def macs(net: nn.Module, image: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(image)
    return int(counter.get_total_flops()) // 2
