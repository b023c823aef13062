"""What is known of the channels of a network: where each is made, kept apart, joined and read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from reportgen.probe.evidence import CallKey
from reportgen.probe.pruning.slots import Forest, Slots, Track

COPIES = 2
"The image goes through twice in one batch: an axis of length 1 could not be told from others."

ROOT = "network"
"Under which name the copy of the network hangs."

How: TypeAlias = Literal[
    "apply", "same", "zero", "join", "cat", "spread", "mix", "alone", "unknown"
]
"""What an operation does to a channel that is constant: it applies a function to each value; leaves
any constant the same, or only zero; combines several; places them side by side; spreads each over
the columns of a vector; mixes them; or treats each one by weights of its own."""


@dataclass(frozen=True, eq=False)
class Mixing:
    """A convolution or linear layer: each of its outputs reads all of its inputs."""

    path: str
    node: fx.Node
    rows: Slots
    "(outputs,) slots of what it makes."
    columns: Slots | None
    "(inputs,) slots of what it reads; None where these are no channels that could go."


@dataclass(frozen=True, eq=False)
class Alone:
    """A norm, a depthwise convolution or a PReLU: weights for each channel alone."""

    path: str
    node: fx.Node
    slots: Slots


@dataclass(eq=False)
class Followed:
    """A network as a graph in which every channel is known from where it is made on."""

    interpreter: fx.Interpreter
    "Runs single nodes."
    nodes: tuple[fx.Node, ...]
    "In the order of execution."
    image: torch.Tensor
    "(c h w), in the number format and on the device of the network."
    modules: Mapping[str, nn.Module]
    "By path. They share their weights with the network."
    forest: Forest = field(default_factory=Forest)
    tracks: dict[fx.Node, Track] = field(default_factory=dict)
    "Of the nodes that give channels which are followed."
    opaque: dict[fx.Node, str] = field(default_factory=dict)
    "Why no channels are known of what a node gives."
    shapes: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
    "Of the nodes that give one tensor; the batch is the first axis."
    how: dict[fx.Node, How] = field(default_factory=dict)
    mixings: list[Mixing] = field(default_factory=list)
    alone: list[Alone] = field(default_factory=list)
    keys: dict[fx.Node, CallKey] = field(default_factory=dict)
    "Under which name the probe sees what a node gives."
    is_shared: dict[str, str] = field(default_factory=dict)
    "Why a module's weights cannot be changed for one call alone, by path."

    def run(self, node: fx.Node, given: Mapping[fx.Node, Any]) -> Any:
        """What a node gives, with `given` in the place of the nodes that it reads."""
        args, kwargs = map_arg((node.args, node.kwargs), lambda read: given[read])
        return getattr(self.interpreter, node.op)(node.target, args, kwargs)


def path_of(node: fx.Node) -> str:
    """The path of the module that a node calls, in the network itself."""
    return str(node.target).removeprefix(ROOT).removeprefix(".")
