"""The network as a list of steps that can be run one by one, some of them on a part of a map only.

The list is made once per network with `torch.fx`. The network itself is never changed: its modules
are copied, and weights that stay as they are are shared.
"""

import operator
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from reportgen.errors import first_line
from reportgen.probe.answers import scores_in
from reportgen.probe.occlusion.kinds import Convolution, Kind
from reportgen.probe.occlusion.recognise import Recogniser, has_hooks

Values: TypeAlias = dict[fx.Node, Any]
"What each node of the graph gave."


class Untraceable(Exception):
    """The network cannot be run step by step; the message says why, in one sentence."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of the network."""

    node: fx.Node
    "Under which the result is kept."
    kind: Kind
    function: Callable[..., Any]
    reads: tuple[fx.Node, ...]
    "Earlier steps whose results it takes, in order; constants are not among them."
    is_last: bool
    "Whether the result is a map with its channels last, (b h w c)."
    ends: tuple[fx.Node, ...]
    "Nodes whose results are not needed after this step."

    def __call__(self, values: Mapping[fx.Node, Any]) -> Any:
        """The result, from those of all nodes that are read."""
        if isinstance(self.kind, Convolution):
            return self.kind(values[self.reads[0]])
        arguments, keywords = map_arg((self.node.args, self.node.kwargs), values.__getitem__)
        return self.function(*arguments, **keywords)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as steps, with its norms folded into its convolutions."""

    image: fx.Node
    "Under which the images (b c h w) are kept."
    steps: tuple[Step, ...]
    constants: Mapping[fx.Node, Any]
    "Results that do not depend on the image."
    output: Any
    "A structure with nodes in it: what the network returns."

    def scores(self, values: Mapping[fx.Node, Any], images: int) -> torch.Tensor:
        """The scores (b classes) in the results of all steps, where they lie.

        Raises:
            ModelError: if there are none.
        """
        return scores_in(map_arg(self.output, values.__getitem__), images)

    def run(self, batch: torch.Tensor) -> torch.Tensor:
        """Scores (b classes) of normalised images (b c h w), where they lie: the plain way."""
        values: Values = {**self.constants, self.image: batch}
        values[self.image] = batch.contiguous(memory_format=torch.channels_last)
        for step in self.steps:
            values[step.node] = step(values)
            for node in step.ends:
                del values[node]
        return self.scores(values, len(batch))


class _OneArgument(nn.Module):
    """Gives a network its image and leaves all other arguments as they are by default."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> Any:
        return self.network(image)


def graph_of(module: nn.Module) -> Graph:
    """Follows a network that is in evaluation mode.

    Args:
        module: takes (b c h w); left as it is.

    Raises:
        Untraceable: if its path depends on the values it sees, or it cannot be followed otherwise.
    """
    root = _OneArgument(_sharing_copy(module))
    tracer = fx.Tracer()
    try:
        graph = tracer.trace(root)
    # The network's own code runs on stand-ins for tensors, and may fail there in any way.
    except Exception as error:
        raise Untraceable(
            f"The network cannot be followed step by step ({first_line(error)})."
        ) from error
    return _listed(graph, dict(tracer.root.named_modules()), tracer.root)


def _sharing_copy(module: nn.Module) -> nn.Module:
    """A copy of the modules that shares their parameters and buffers."""
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    try:
        copy = deepcopy(module, dict(shared))
    # Anything may be among the attributes of a module, also what cannot be copied.
    except Exception as error:
        raise Untraceable(f"The network cannot be copied ({first_line(error)}).") from error
    for part in copy.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    return copy


def _listed(graph: fx.Graph, modules: Mapping[str, nn.Module], root: nn.Module) -> Graph:
    _write_nothing_in_place(graph)
    norms = _norms_after_convolutions(graph, modules)
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)
    nodes = list(graph.nodes)
    last_use = {read: node for node in nodes for read in node.all_input_nodes}
    ends: dict[fx.Node, list[fx.Node]] = {}
    for read, node in last_use.items():
        ends.setdefault(node, []).append(read)
    image = next(node for node in nodes if node.op == "placeholder")
    recogniser = Recogniser(modules, {})
    constants = recogniser.constants
    steps: list[Step] = []
    moving = {image}
    "Nodes whose results depend on the image."
    for node in nodes:
        if node.op in ("placeholder", "output"):
            continue
        function = _function(node, modules, root)
        reads = tuple(read for read in node.all_input_nodes if read in moving)
        if not reads:
            arguments, keywords = map_arg((node.args, node.kwargs), constants.__getitem__)
            constants[node] = function(*arguments, **keywords)
            continue
        moving.add(node)
        if recogniser.mixes_images(node):
            raise Untraceable("A batch norm without running statistics mixes the images.")
        kind, is_last = recogniser.kind(node, reads)
        if isinstance(kind, Convolution):
            if node in norms:
                kind = kind.normed(*norms[node])
            kind = _laid_out(kind)
        over = tuple(read for read in ends.get(node, ()) if read in moving)
        steps.append(Step(node, kind, function, reads, is_last, over))
    return Graph(image, tuple(steps), constants, nodes[-1].args[0])


def _laid_out(convolution: Convolution) -> Convolution:
    """The same with its weights in the order in which channels-last maps are read."""
    weight = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
    bias = None if convolution.bias is None else convolution.bias.detach()
    return Convolution(weight, bias, convolution.reaches, convolution.groups)


def _function(
    node: fx.Node, modules: Mapping[str, nn.Module], root: nn.Module
) -> Callable[..., Any]:
    """What a node calls, to be called with its arguments."""
    if node.op == "call_module":
        return modules[str(node.target)]
    if node.op == "call_method":
        return _method(str(node.target))
    if node.op == "get_attr":
        return lambda: operator.attrgetter(str(node.target))(root)
    assert callable(node.target)
    return node.target


def _method(name: str) -> Callable[..., Any]:
    return lambda tensor, *arguments, **keywords: getattr(tensor, name)(*arguments, **keywords)


IN_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.ipow: operator.pow,
}


def _write_nothing_in_place(graph: fx.Graph) -> None:
    """Replaces what writes into a tensor by what gives a new one, which all later nodes read.

    Raises:
        Untraceable: if there is no such function.
    """
    for node in graph.nodes:
        if node.op == "call_method" and node.target in ("view", "contiguous"):
            # Maps lie with their channels last here, where a view may not be possible.
            _relax(graph, node)
            continue
        if node.kwargs.get("inplace") is True:
            node.update_kwarg("inplace", False)
        elif node.op == "call_function" and node.target in IN_PLACE:
            node.target = IN_PLACE[node.target]
        elif node.op in ("call_method", "call_function") and _name(node).endswith("_"):
            name = _name(node)
            owner = torch.Tensor if node.op == "call_method" else torch
            if name.endswith("__"):
                continue
            if not hasattr(owner, name[:-1]):
                raise Untraceable(f"The network writes into a tensor with {name}.")
            node.target = name[:-1] if node.op == "call_method" else getattr(torch, name[:-1])
        else:
            continue
        if node.args and isinstance(node.args[0], fx.Node):
            before = set(_until(graph, node))
            node.args[0].replace_all_uses_with(
                node, delete_user_cb=lambda user, known=before: user not in known
            )


def _relax(graph: fx.Graph, node: fx.Node) -> None:
    if node.target == "contiguous":
        first = node.args[0]
        assert isinstance(first, fx.Node)
        node.replace_all_uses_with(first)
        graph.erase_node(node)
    elif not any(isinstance(argument, torch.dtype) for argument in node.args):
        node.target = "reshape"


def _until(graph: fx.Graph, last: fx.Node) -> list[fx.Node]:
    """All nodes up to one, with it."""
    nodes = []
    for node in graph.nodes:
        nodes.append(node)
        if node is last:
            break
    return nodes


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _norms_after_convolutions(
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
