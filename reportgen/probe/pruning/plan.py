"""The plan of a pruning as plain data: what goes, what goes with it, what it saves, what stays."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from reportgen.probe.evidence import Evidence
from reportgen.probe.probe import Probe
from reportgen.probe.pruning.channels import COPIES, Alone, Mixing
from reportgen.probe.pruning.decide import KINDS, Channel, Decision, Kind, Verdict, decided
from reportgen.probe.pruning.follow import followed
from reportgen.report.pruned import Width


@dataclass(frozen=True)
class Going:
    """One unit that can go, with all that goes with it."""

    layer: str
    "The first convolution or linear layer that makes it."
    unit: int
    kind: Kind
    twin: int | None
    "For a duplicate: the unit of the same layer that takes its place."
    is_always: bool
    "Whether it is idle for every image, by its weights alone, and not on the images seen only."
    partners: tuple[tuple[str, int], ...]
    "Units of other layers that are joined with it, such as those of a residual sum."
    entries: tuple[str, ...]
    "Norms, depthwise convolutions and PReLUs that lose the weights of this channel."
    readers: tuple[str, ...]
    "Layers that lose the inputs that read it."


@dataclass(frozen=True)
class Staying:
    """One unit that is idle and has to stay."""

    layer: str
    unit: int
    kind: Kind
    reason: str
    "A clause: `the zero padding of conv2 lies beside its 0.5`."


@dataclass(frozen=True)
class LayerSaving:
    """One layer before and after all that goes has gone."""

    layer: str
    units: tuple[int, int]
    "Before and after, as in all that follows."
    inputs: tuple[int, int]
    "0 of a norm."
    parameters: tuple[int, int]
    macs: tuple[int, int]
    "Of one image; 0 of a norm."
    bytes: tuple[int, int]
    "Of its tensors in a file of weights, running means among them."


@dataclass(frozen=True)
class Plan:
    """What can be taken out of a network."""

    going: tuple[Going, ...]
    staying: tuple[Staying, ...]
    "Idle, but not to be taken out."
    layers: tuple[LayerSaving, ...]
    "Those that get smaller, in the order of execution."
    widths: Mapping[str, Width]
    "Of the same layers."
    parameters: tuple[int, int]
    "Of the whole network, before and after."
    macs: tuple[int, int]
    bytes: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Kept:
    """What is left of one layer."""

    part: Mixing | Alone
    rows: list[int]
    "Units that stay, in order."
    columns: list[int] | None
    "Inputs that stay; None where all do."


def planned(
    probe: Probe, image: torch.Tensor, seen: Evidence, kinds: Collection[str] = KINDS
) -> tuple[Decision, Plan]:
    """What can be taken out of a probe's network, and what that amounts to.

    Args:
        probe: holds the network; it follows one image, and nothing more is run.
        image: normalised, (c h w).
        seen: what the network gave for all images.
        kinds: of `KINDS`, those that may go.

    Raises:
        ResourceError: if the image does not fit the memory.
        Untraceable: if the network cannot be followed; in one sentence.
    """
    with probe.lent(image[None]) as (module, moved):
        decision = decided(followed(module, moved[0]), seen, kinds)
        return decision, plan_of(decision, module, seen.macs)


def kept(decision: Decision) -> Iterator[Kept]:
    """What is left of each layer that makes, treats or reads channels, in order of execution."""
    found, going = decision.found, decision.going
    place = {node: index for index, node in enumerate(found.nodes)}
    parts: list[Mixing | Alone] = [*found.mixings, *found.alone]
    for part in sorted(parts, key=lambda part: place[part.node]):
        slots = part.rows if isinstance(part, Mixing) else part.slots
        read = part.columns if isinstance(part, Mixing) else None
        columns = None if read is None else _left(found.forest.roots(read), going)
        yield Kept(part, _left(found.forest.roots(slots), going), columns)


def _left(roots: np.ndarray, going: Mapping[int, object]) -> list[int]:
    return [index for index, root in enumerate(roots.tolist()) if root not in going]


def plan_of(decision: Decision, network: nn.Module, macs: int) -> Plan:
    """The plan that a decision amounts to.

    Args:
        decision: what goes.
        network: all of it, for the sums.
        macs: of the whole network, for one image.
    """
    found = decision.found
    layers, widths = [], {}
    for left in kept(decision):
        saving, width = _saving(left, found.modules[left.part.path], found.shapes[left.part.node])
        if saving.units[0] > saving.units[1] or saving.inputs[0] > saving.inputs[1]:
            layers.append(saving)
            widths[saving.layer] = width
    parameters = sum(parameter.numel() for parameter in network.parameters())
    # Tensors under two names are one in the file, too.
    tensors = {tensor.data_ptr(): tensor for tensor in network.state_dict().values()}
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return Plan(
        going=tuple(
            _going(decision, decision.channels[root], root)
            for root in _in_order(decision, decision.going)
        ),
        staying=tuple(
            Staying(*_unit(decision.channels[root], verdict), verdict.kind, verdict.reason)
            for root, verdict in decision.verdicts.items()
            if verdict.reason
        ),
        layers=tuple(layers),
        widths=widths,
        parameters=(parameters, parameters - _saved(layer.parameters for layer in layers)),
        macs=(macs, macs - _saved(layer.macs for layer in layers)),
        bytes=(size, size - _saved(layer.bytes for layer in layers)),
    )


def _saved(pairs: Iterator[tuple[int, int]]) -> int:
    return sum(before - after for before, after in pairs)


def _saving(left: Kept, module: nn.Module, shape: Sequence[int]) -> tuple[LayerSaving, Width]:
    """What a layer saves, and its new widths.

    Args:
        left: what is left of it.
        module: the layer.
        shape: of what it gives for a batch of two.
    """
    rows = len(left.part.rows if isinstance(left.part, Mixing) else left.part.slots)
    units = rows, len(left.rows)
    inputs = (0, 0)
    if isinstance(left.part, Mixing):
        weight = module.weight
        assert isinstance(weight, nn.Parameter)
        columns = weight.shape[1]
        inputs = columns, columns if left.columns is None else len(left.columns)
    held = {name: tensor for name, tensor in module.state_dict().items() if tensor.ndim}
    sizes = {
        name: (
            tensor.numel(),
            _smaller(tensor.numel(), units, inputs if name == "weight" else (0, 0)),
        )
        for name, tensor in held.items()
    }
    learned = [sizes[name] for name, _ in module.named_parameters()]
    bits = [tuple(size * held[name].element_size() for size in sizes[name]) for name in sizes]
    is_norm = not hasattr(module, "kernel_size") and inputs == (0, 0)
    # A convolution runs its kernel at every position, a linear layer at every token.
    places = math.prod(shape) // (COPIES * rows)
    work = (0, 0) if is_norm else tuple(places * size for size in sizes["weight"])
    saving = LayerSaving(
        layer=left.part.path,
        units=units,
        inputs=inputs,
        parameters=(sum(s[0] for s in learned), sum(s[1] for s in learned)),
        macs=(work[0], work[1]),
        bytes=(sum(b[0] for b in bits), sum(b[1] for b in bits)),
    )
    if isinstance(left.part, Mixing):
        groups = getattr(module, "groups", None)
        return saving, Width(units[1], inputs[1] * (groups or 1), groups)
    if hasattr(module, "kernel_size"):
        return saving, Width(units[1], units[1], units[1])
    return saving, Width(units[1])


def _smaller(size: int, units: tuple[int, int], inputs: tuple[int, int]) -> int:
    """The size of a tensor of (units, ...) or (units, inputs, ...) afterwards."""
    size = size // units[0] * units[1]
    return size // inputs[0] * inputs[1] if inputs[0] else size


def _unit(channel: Channel, verdict: Verdict | None = None) -> tuple[str, int]:
    """Layer and unit: the one that is idle, else the first that makes the channel."""
    mixing, row = (verdict.where if verdict else None) or channel.rows[0]
    return mixing.path, row


def _in_order(decision: Decision, roots: Mapping[int, object]) -> list[int]:
    """Channels by the first layer that makes them, and its unit."""
    order = {mixing.path: index for index, mixing in enumerate(decision.found.mixings)}

    def place(root: int) -> tuple[int, int]:
        path, unit = _unit(decision.channels[root])
        return order[path], unit

    return sorted(roots, key=place)


def _going(decision: Decision, channel: Channel, root: int) -> Going:
    verdict = decision.verdicts[root]
    layer, unit = _unit(channel)
    twin = None if verdict.twin is None else _unit(decision.channels[verdict.twin])[1]
    return Going(
        layer=layer,
        unit=unit,
        kind=verdict.kind,
        twin=twin,
        is_always=verdict.is_always,
        partners=tuple((mixing.path, row) for mixing, row in channel.rows[1:]),
        entries=tuple(alone.path for alone, _ in channel.entries),
        readers=tuple(mixing.path for mixing in channel.columns),
    )
