"""What named layers read and give for some images, and how a score would change with it.

Tensors are cloned the moment they are handed over, for the network may write to them later. The
gradient is asked for at the place in autograd's graph where the tensor came from at that moment,
so an in-place ReLU behind it does no harm, and there is no hook on any tensor or module to leave.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from reportgen.errors import ModelError, OptionError, first_line
from reportgen.probe.answers import scores_in
from reportgen.probe.evidence import CallKey
from reportgen.probe.gradients import differentiated, untaken
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.operations import is_atomic, is_leaf, tensors_in
from reportgen.probe.selection import is_named, no_such_layer
from reportgen.probe.watch import FunctionCall, Observer, Watch

Targets: TypeAlias = int | Sequence[int] | None
"Class to explain: one for all images, one an image, or None for that which the network says."


@dataclass(frozen=True, eq=False)
class Captured:
    """What one call of a layer read and gave, as float32 tensors on the CPU.

    Axes are as the network has them: the images lie on the first in all but a few networks.
    """

    inputs: tuple[torch.Tensor, ...]
    "All tensors that it was given, in order, but for weights and buffers of the network."
    output: torch.Tensor
    "The first tensor that it gave."
    input_gradients: tuple[torch.Tensor | None, ...] | None
    """Of each image's score with respect to `inputs`, by every way from there and not through this
    call alone; zeros where the score does not depend on it, None for a tensor that autograd does
    not follow. None as a whole where none was asked for."""
    output_gradient: torch.Tensor | None
    "The same for `output`."


def capture(
    module: nn.Module,
    images: torch.Tensor,
    layers: Sequence[str],
    targets: Targets,
    *,
    gradients: bool,
) -> Mapping[str, Captured]:
    """What layers of a borrowed network read and give for some images, all in one forward pass.

    Args:
        module: takes (b c h w), gives scores (b classes).
        images: normalised (b c h w), on the device of the network.
        layers: globs over names of calls, or exact names of modules that hold others.
        targets: the class whose score is explained; used only with `gradients`.
        gradients: whether to take them, in one backward pass for all images.

    Returns:
        By name of the call (`relu`, `relu#2`), in the order in which they ended.

    Raises:
        ModelError: if the network cannot take the images, or no gradient can be taken.
        OptionError: if there is no such layer or class, or not one target for each image.
    """
    catcher = _Catcher(module, layers)
    with differentiated() if gradients else nullcontext():
        leaf = images.detach().clone().requires_grad_(gradients)
        with Watch(module, catcher):
            # Another clone: a network that writes to its input must not find a leaf there.
            scores = scores_in(_forward(module, leaf.clone()), len(images))
        for name in layers:
            if not catcher.has(name):
                raise OptionError(f"{name}: {no_such_layer(catcher.calls, name)}")
        if not gradients:
            return catcher.captured(None)
        if not scores.shape[1]:
            raise ModelError(untaken("it gives boxes, and no score for a class"))
        if not scores.requires_grad:
            raise ModelError(untaken("its scores do not depend on the image by autograd"))
        wanted = scores.gather(1, _classes(targets, scores)[:, None])
        # In evaluation mode an image has no part in the scores of others, so the gradient of the
        # sum is that of each image's own score.
        edges = catcher.edges
        slopes = torch.autograd.grad(wanted.sum(), edges, allow_unused=True) if edges else ()
        return catcher.captured(slopes)


def _forward(module: nn.Module, images: torch.Tensor) -> Any:
    try:
        return module(images)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        shape = " x ".join(str(size) for size in images.shape)
        raise ModelError(f"The network cannot take {shape} images: {first_line(error)}.") from error


def _classes(targets: Targets, scores: torch.Tensor) -> torch.Tensor:
    """The class to explain for each image, (b,)."""
    count, classes = scores.shape
    if targets is None:
        return scores.detach().argmax(1)
    chosen = [targets] * count if isinstance(targets, int) else [int(one) for one in targets]
    if len(chosen) != count:
        raise OptionError(f"There are {len(chosen)} targets for {count} images; give one for each.")
    for one in chosen:
        if not 0 <= one < classes:
            raise OptionError(f"There is no class {one}; the network has 0 to {classes - 1}.")
    return torch.tensor(chosen, device=scores.device)


class _Catcher(Observer):
    """Takes what the wanted calls read and give as it passes by."""

    sees_blocks = True

    def __init__(self, module: nn.Module, layers: Sequence[str]) -> None:
        self.calls: list[CallKey] = []
        "Those seen, which are layers themselves."
        self.edges: list[GradientEdge] = []
        "Where to ask for gradients."
        self._layers = layers
        self._inputs: dict[CallKey, tuple[_Taken, ...]] = {}
        self._outputs: dict[CallKey, _Taken] = {}
        self._own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
        self._blocks = {
            path for path, part in module.named_modules() if not is_leaf(part) | is_atomic(part)
        }

    def enter(self, key: CallKey, inputs: Any) -> None:
        """Takes what a call reads."""
        if key.path not in self._blocks:
            self.calls.append(key)
        if any(self._is_meant(key, name) for name in self._layers):
            given = (tensor for tensor in tensors_in(inputs) if id(tensor) not in self._own)
            self._inputs[key] = tuple(map(self._take, given))

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Takes what a call gives."""
        if key in self._inputs:
            self._outputs[key] = self._take(output)

    def has(self, name: str) -> bool:
        """Whether a call of this name was seen."""
        return any(self._is_meant(key, name) for key in self._outputs)

    def captured(self, slopes: Sequence[torch.Tensor | None] | None) -> Mapping[str, Captured]:
        """What was taken, with the gradients found at `edges`; None where none was asked for."""
        return {
            str(key): Captured(
                inputs=tuple(taken.values for taken in self._inputs[key]),
                output=output.values,
                input_gradients=None
                if slopes is None
                else tuple(taken.gradient(slopes) for taken in self._inputs[key]),
                output_gradient=None if slopes is None else output.gradient(slopes),
            )
            for key, output in self._outputs.items()
        }

    def _is_meant(self, key: CallKey, name: str) -> bool:
        # A glob means layers, not the blocks around them: `layer1.*` would catch all twice.
        is_layer = key.path not in self._blocks
        return name in (key.path, str(key)) or (is_layer and is_named(key, name))

    def _take(self, tensor: torch.Tensor) -> "_Taken":
        edge = None
        if tensor.requires_grad:
            edge = len(self.edges)
            self.edges.append(get_gradient_edge(tensor))
        # A clone also where it is on the CPU in float32 already.
        return _Taken(tensor.detach().to("cpu", torch.float32, copy=True), edge)


@dataclass(frozen=True, eq=False)
class _Taken:
    """A tensor's values, and which of the edges asks for its gradient."""

    values: torch.Tensor
    edge: int | None

    def gradient(self, slopes: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
        """Its gradient among those found; zeros where the score does not depend on it."""
        if self.edge is None:
            return None
        slope = slopes[self.edge]
        return torch.zeros_like(self.values) if slope is None else slope.detach().float().cpu()
