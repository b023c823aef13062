"""The network as a list of steps that can be run one by one, some of them on a part of a map only.

The list is made once per network with `torch.fx`. The network itself is never changed: its modules
are copied, and weights that stay as they are are shared.
"""

import operator
from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from reportgen.errors import first_line
from reportgen.probe.answers import scores_in
from reportgen.probe.occlusion.kinds import Concatenation, Convolution, Join, Kind, Pointwise
from reportgen.probe.occlusion.recognise import Recogniser, name_of
from reportgen.probe.occlusion.rewrite import Untraceable as Untraceable
from reportgen.probe.occlusion.rewrite import norms_after_convolutions, write_nothing_in_place

Values: TypeAlias = dict[fx.Node, Any]
"What each node of the graph gave."


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
    overwriting: Callable[[torch.Tensor], torch.Tensor] | None = None
    "The same in the memory of what it reads, where nothing else needs that."

    def __call__(self, values: Mapping[fx.Node, Any], may_overwrite: bool = False) -> Any:
        """The result, from those of all nodes that are read.

        Args:
            values: results by node.
            may_overwrite: whether the results read belong to the caller, who needs them no more.
        """
        if isinstance(self.kind, Convolution):
            return self.kind(values[self.reads[0]])
        if may_overwrite and self.overwriting:
            return self.overwriting(values[self.reads[0]])
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
        values: Values = {**self.constants}
        values[self.image] = batch.contiguous(memory_format=torch.channels_last)
        for step in self.steps:
            values[step.node] = step(values, may_overwrite=True)
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


def traced(module: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """A copy of a network, as the attribute `network` of a module, and what it does in order.

    Nothing is written in place. Only the image is an argument; what the graph calls belongs to the
    copy, which shares its weights with `module`.

    Raises:
        Untraceable: if its path depends on the values it sees, or it cannot be followed otherwise.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    try:
        root = _OneArgument(deepcopy(module, dict(shared)))
    # Anything may be among the attributes of a module, also what cannot be copied.
    except Exception as error:
        raise Untraceable(f"The network cannot be copied ({first_line(error)}).") from error
    try:
        graph = fx.Tracer().trace(root)
    # The network's own code runs on stand-ins for tensors, and may fail there in any way.
    except Exception as error:
        raise Untraceable(
            f"The network cannot be followed step by step ({first_line(error)})."
        ) from error
    write_nothing_in_place(graph, dict(root.named_modules()))
    return root, graph


def graph_of(module: nn.Module) -> Graph:
    """Follows a network that is in evaluation mode.

    Args:
        module: takes (b c h w); left as it is. Weights that stay as they are are shared with it.

    Raises:
        Untraceable: if its path depends on the values it sees, or it cannot be followed otherwise.
    """
    root, graph = traced(module)
    modules = dict(root.named_modules())
    norms = norms_after_convolutions(graph, modules)
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)
    return _listed(graph, root, modules, norms)


def _listed(
    graph: fx.Graph,
    root: nn.Module,
    modules: Mapping[str, nn.Module],
    norms: Mapping[fx.Node, tuple[torch.Tensor, torch.Tensor]],
) -> Graph:
    nodes = list(graph.nodes)
    ends: dict[fx.Node, list[fx.Node]] = {}
    for read, last in {read: node for node in nodes for read in node.all_input_nodes}.items():
        ends.setdefault(last, []).append(read)
    constants: Values = {}
    recogniser = Recogniser(modules, constants)
    steps: dict[fx.Node, Step] = {}
    image = next(node for node in nodes if node.op == "placeholder")
    for node in nodes:
        if node.op in ("placeholder", "output"):
            continue
        function = _function(node, root, modules)
        if node in norms:
            # For a convolution that no window is known of; another has the norm in its weights.
            function = _normed(function, *norms[node])
        reads = tuple(read for read in node.all_input_nodes if read is image or read in steps)
        if not reads:
            arguments, keywords = map_arg((node.args, node.kwargs), constants.__getitem__)
            constants[node] = function(*arguments, **keywords)
            continue
        if recogniser.mixes_images(node):
            raise Untraceable("The network has a batch norm that takes its mean over the images.")
        kind, is_last = recogniser.kind(node, reads)
        if isinstance(kind, Convolution):
            kind = (kind.normed(*norms[node]) if node in norms else kind).laid_out()
        over = tuple(read for read in ends.get(node, ()) if read is image or read in steps)
        is_own = isinstance(kind, Pointwise) and _is_new(steps.get(reads[0]))
        overwriting = _overwriting(node, function) if is_own else None
        steps[node] = Step(node, kind, function, reads, is_last, over, overwriting)
    return Graph(image, tuple(steps.values()), constants, nodes[-1].args[0])


def _function(
    node: fx.Node, root: nn.Module, modules: Mapping[str, nn.Module]
) -> Callable[..., Any]:
    """What a node calls, to be called with its arguments."""
    target = node.target
    if callable(target):
        return target
    match node.op:
        case "call_module":
            return modules[target]
        case "call_method":
            return lambda tensor, *rest, **named: getattr(tensor, target)(*rest, **named)
    return lambda: operator.attrgetter(target)(root)


def _normed(
    function: Callable[..., Any], scale: torch.Tensor, shift: torch.Tensor
) -> Callable[..., Any]:
    """A function whose maps are multiplied by `scale` and moved by `shift`, (outputs,) each."""
    return lambda *given, **named: (
        function(*given, **named) * scale[:, None, None] + shift[:, None, None]
    )


def _is_new(step: Step | None) -> bool:
    """Whether the result of a step lies in memory of its own, and one other step reads it."""
    if step is None or len(step.node.users) > 1:
        return False
    is_norm = isinstance(step.function, nn.BatchNorm2d)
    return is_norm or isinstance(step.kind, (Convolution, Join, Concatenation))


def _overwriting(
    node: fx.Node, function: Callable[..., Any]
) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The function that a node calls, writing into what it reads; None where there is none."""
    if isinstance(function, nn.Module) and hasattr(function, "inplace"):
        writing = copy(function)
        writing.inplace = True  # type: ignore[assignment]
        return writing
    return torch.relu_ if name_of(node) == "relu" else None
