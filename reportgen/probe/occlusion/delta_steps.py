"""Tells which steps of a network treat a difference as they would a value, and how exactly."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import torch
from torch import fx, nn

from reportgen.probe.occlusion.graph import Graph, Step
from reportgen.probe.occlusion.kinds import Convolution
from reportgen.probe.occlusion.recognise import has_hooks
from reportgen.probe.occlusion.rules import Plan, Sizes

MOVES = {"flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "contiguous"}
"Operations that put values elsewhere and leave them as they are."
NOTHING = {"dropout", "dropout2d", "stochastic_depth", "identity", "clone", "detach"}
"Operations that do nothing in evaluation mode."
MEANS = {"adaptive_avg_pool2d", "adaptiveavgpool2d"}


def name_of(step: Step) -> str:
    """What PyTorch calls the operation, in small letters; empty for what is not PyTorch's own."""
    node = step.node
    if node.op == "call_method":
        return str(node.target)
    if isinstance(step.function, nn.Module):
        kind = type(step.function)
        is_own = kind.__module__.startswith(("torch.nn.", "torchvision.ops"))
        return kind.__name__.lower() if is_own and not has_hooks(step.function) else ""
    origin = (getattr(node.target, "__module__", None) or "torch").partition(".")[0]
    is_own = origin in ("torch", "torchvision", "_operator")
    return str(getattr(node.target, "__name__", "")) if is_own else ""


_cast: WeakKeyDictionary[Graph, dict[tuple[fx.Node, torch.dtype], torch.Tensor]]
_cast = WeakKeyDictionary()
"Weights of networks in other precisions, kept for the next image."


def weights_of(graph: Graph, dtypes: Mapping[fx.Node, torch.dtype]) -> dict[fx.Node, torch.Tensor]:
    """The weights of all convolutions and linear layers, each in its own precision."""
    cast, found = _cast.setdefault(graph, {}), {}
    for step in graph.steps:
        weight, key = weight_of(step), (step.node, dtypes[step.node])
        if weight is not None:
            if key not in cast:
                cast[key] = weight.to(key[1])
            found[step.node] = cast[key]
    return found


def weight_of(step: Step) -> torch.Tensor | None:
    """The weights of a convolution or a linear layer."""
    if isinstance(step.kind, Convolution):
        return step.kind.weight
    if type(step.function) is nn.Linear and not has_hooks(step.function):
        return step.function.weight.detach()
    return None


def wide_steps(graph: Graph, sizes: Sizes, plan: Plan, share: float) -> frozenset[fx.Node]:
    """The steps whose differences stay in float32: the first ones, and the last linear layer.

    Rounding errors grow from layer to layer, and the windows of the first layers are small.

    Args:
        graph: of the network.
        sizes: of its maps.
        plan: for one place.
        share: of all multiplications.
    """
    costs = []
    for step in graph.steps:
        weight = weight_of(step)
        size = plan[step.node].size if step.node in plan else sizes.get(step.node, (1, 1))
        costs.append(0 if weight is None else weight.numel() * size[0] * size[1])
    limit, total, found = share * sum(costs), 0, set()
    for step, cost in zip(graph.steps, costs, strict=True):
        total += cost
        if total > limit:
            break
        found.add(step.node)
    last = [step.node for step, cost in zip(graph.steps, costs, strict=True) if cost]
    return frozenset(found | set(last[-1:]))
