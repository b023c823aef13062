"""Follows every channel of a network from the layers that make it to the layers that read it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx, nn

from reportgen.errors import first_line
from reportgen.probe.evidence import CallKey
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.occlusion.graph import Untraceable, traced
from reportgen.probe.occlusion.recognise import name_of
from reportgen.probe.operations import is_atomic, is_leaf, kind_of_function
from reportgen.probe.pruning.channels import COPIES, ROOT, Followed, path_of
from reportgen.probe.pruning.rules import follow


def followed(module: nn.Module, image: torch.Tensor) -> Followed:
    """Follows the channels of a borrowed network, which is left as it is.

    Args:
        module: in evaluation mode; takes (b c h w).
        image: one normalised image (c h w), on the network's device.

    Raises:
        Untraceable: if its path depends on the values it sees, or it cannot be followed otherwise.
    """
    root, graph = traced(module)
    interpreter = fx.Interpreter(root, graph=graph)
    modules = {
        path.removeprefix(ROOT).removeprefix("."): part
        for path, part in interpreter.module.named_modules()
        if path.startswith(ROOT)
    }
    found = Followed(interpreter, tuple(graph.nodes), image, modules)
    found.keys = dict(_keys(graph, modules))
    found.is_shared = dict(_shared(graph, module))
    batch = image.expand(COPIES, *image.shape).contiguous()
    values: dict[fx.Node, Any] = {}
    last = {read: node for node in graph.nodes for read in node.all_input_nodes}
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = batch
        elif node.op != "output":
            try:
                values[node] = found.run(node, values)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                # Any code may have been traced, such as one that counts the images.
                raise Untraceable(
                    f"The network cannot be run step by step ({first_line(error)})."
                ) from error
        follow(found, node, values.get(node))
        for read in node.all_input_nodes:
            if last[read] is node:
                del values[read]
    return found


def unused(found: Followed, network: nn.Module) -> list[str]:
    """Names of the parts of a network with weights that nothing called, such as auxiliary heads."""
    called = {path_of(node) for node in found.nodes if node.op in ("call_module", "get_attr")}
    idle: list[str] = []
    for path, part in network.named_modules():
        if not path or next(part.parameters(), None) is None:
            continue
        # What is called is above it, below it, or the part itself.
        is_used = any(_is_in(path, name) or _is_in(name, path) for name in called)
        if not is_used and not any(_is_in(path, outer) for outer in idle):
            idle.append(path)
    return idle


def _is_in(path: str, outer: str) -> bool:
    return f"{path}.".startswith(f"{outer}.")


def _keys(graph: fx.Graph, modules: Mapping[str, nn.Module]) -> Iterator[tuple[fx.Node, CallKey]]:
    """The names under which `Watch` reports what the nodes give."""
    counts: Counter[str] = Counter()
    for node in graph.nodes:
        path = ""
        if node.op == "call_module":
            path = path_of(node)
        elif node.op in ("call_function", "call_method"):
            name = name_of(node).strip("_")
            scopes = list(node.meta.get("nn_module_stack", {}).values())
            scope = scopes[-1][0].removeprefix(ROOT).removeprefix(".") if scopes else ""
            if scope in modules and scope and is_leaf(modules[scope]) and is_atomic(modules[scope]):
                # Inside of a layer that is reported as a whole.
                continue
            if kind_of_function(name, node.args, node.kwargs) is not None:
                path = f"{scope}.F.{name}" if scope else f"F.{name}"
        if path:
            counts[path] += 1
            yield node, CallKey(path, counts[path])


def _shared(graph: fx.Graph, module: nn.Module) -> Iterator[tuple[str, str]]:
    calls = Counter(path_of(node) for node in graph.nodes if node.op == "call_module")
    # A module under two names is listed once by `named_modules`, and called under that name.
    owners: dict[int, list[str]] = {}
    for path, part in module.named_modules():
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            owners.setdefault(id(tensor), []).append(path)
    for names in owners.values():
        for path in names:
            if len(names) > 1:
                other = next(name for name in names if name != path)
                yield path, f"{path} shares its weights with {other}"
            elif calls[path] > 1:
                yield path, f"{path} is used {calls[path]} times"
