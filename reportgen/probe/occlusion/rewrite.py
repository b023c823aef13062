"""Rewrites a traced network so that its results can be kept: nothing is written in place."""

import operator
from collections.abc import Mapping

import torch
from torch import fx, nn

from reportgen.probe.occlusion.recognise import has_hooks, name_of


class Untraceable(Exception):
    """The network cannot be run step by step; the message says why, in one sentence."""


IN_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.ipow: operator.pow,
}


def write_nothing_in_place(graph: fx.Graph, modules: Mapping[str, nn.Module]) -> None:
    """Replaces what writes into a tensor by what gives a new one, which all later nodes read.

    Raises:
        Untraceable: if there is no such function.
    """
    for node in graph.nodes:
        if node.op == "call_method" and node.target in ("view", "contiguous"):
            # Maps lie with their channels last here, where a view may not be possible.
            _relax(graph, node)
            continue
        if node.op == "call_module":
            if getattr(modules[node.target], "inplace", False) is not True:
                continue
        elif node.kwargs.get("inplace") is True:
            node.update_kwarg("inplace", False)
        elif node.op == "call_function" and node.target in IN_PLACE:
            node.target = IN_PLACE[node.target]
        elif node.op in ("call_method", "call_function") and name_of(node).endswith("_"):
            name = name_of(node)
            owner = torch.Tensor if node.op == "call_method" else torch
            if name.endswith("__"):
                continue
            if not hasattr(owner, name[:-1]):
                raise Untraceable(f"The network writes into a tensor with {name}.")
            node.target = name[:-1] if node.op == "call_method" else getattr(torch, name[:-1])
        else:
            continue
        if node.args and isinstance(node.args[0], fx.Node):
            _replace_later(graph, node.args[0], node)
    for module in modules.values():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]


def _relax(graph: fx.Graph, node: fx.Node) -> None:
    if node.target == "contiguous":
        first = node.args[0]
        assert isinstance(first, fx.Node)
        node.replace_all_uses_with(first)
        graph.erase_node(node)
    elif not any(isinstance(argument, torch.dtype) for argument in node.args):
        node.target = "reshape"


def _replace_later(graph: fx.Graph, written: fx.Node, result: fx.Node) -> None:
    """Makes all that comes after `result`, and reads what it has written to, read the result."""
    nodes = list(graph.nodes)
    later = set(nodes[nodes.index(result) + 1 :])
    written.replace_all_uses_with(result, delete_user_cb=later.__contains__)


def norms_after_convolutions(
    graph: fx.Graph, modules: Mapping[str, nn.Module]
) -> dict[fx.Node, tuple[torch.Tensor, torch.Tensor]]:
    """Takes norms that follow a convolution out of the graph.

    Returns:
        By convolution: by what its output is multiplied and moved instead, (outputs,) each.
    """
    found = {}
    for node in graph.nodes:
        before = node.args[0] if node.args else None
        if not (
            node.op == "call_module"
            and isinstance(before, fx.Node)
            and before.op == "call_module"
            and len(before.users) == 1
            and before not in found
        ):
            continue
        norm, convolution = modules[node.target], modules[str(before.target)]
        if not (type(norm) is nn.BatchNorm2d and isinstance(convolution, nn.Conv2d)):
            continue
        if norm.running_mean is None or norm.running_var is None or norm.training:
            continue
        # In half precision folded weights round otherwise than the network does.
        is_exact = norm.running_var.dtype in (torch.float32, torch.float64)
        if has_hooks(norm) or has_hooks(convolution) or not is_exact:
            continue
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.detach().double()
        shift = -norm.running_mean.double() * scale
        if norm.bias is not None:
            shift = shift + norm.bias.detach().double()
        dtype = convolution.weight.dtype
        found[before] = scale.to(dtype), shift.to(dtype)
        node.replace_all_uses_with(before)
        graph.erase_node(node)
    return found
