"""How large the gradient of one score is at every call: one forward pass and one backward pass.

Each gradient is reduced while the backward pass goes by, so that none is kept: a network with large
maps needs no more memory for it than training it on one image would.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.answers import scores_in
from reportgen.probe.evidence import CallKey
from reportgen.probe.gradients import differentiated, untaken
from reportgen.probe.probe import Probe
from reportgen.probe.statistics import LayerStatistics
from reportgen.probe.watch import FunctionCall, Observer, Watch


@dataclass(frozen=True, eq=False)
class GradientSize:
    """The gradient of a score with respect to what one call gives for one image."""

    mean_absolute: float
    "Change of the score per unit of change of a value, mean size over the values; NaN if any is."
    norm: float
    "Root of the sum of their squares."
    statistics: LayerStatistics
    "Of all values as one unit; those of several images can be merged."


def gradient_flow(probe: Probe, image: torch.Tensor, index: int) -> Mapping[CallKey, GradientSize]:
    """Sizes of the gradients of a class's score at the outputs of all calls that it flows through.

    Args:
        probe: of the network.
        image: normalised, (c h w) or a volume.
        index: of the class.

    Raises:
        ModelError: if no gradient can be taken through the network.
        ResourceError: if the image does not fit the memory.
    """
    reducer = _Reducer()
    with probe.lent(image[None]) as (module, moved), differentiated():
        # A clone, and then another, as in `slopes`.
        leaf = moved.detach().clone().requires_grad_()
        with Watch(module, reducer):
            scores = scores_in(module(leaf.clone()), 1)[0]
        if not scores.requires_grad:
            raise ModelError(untaken("its scores do not depend on the image by autograd"))
        torch.autograd.grad(scores[index], leaf, allow_unused=True)
    return reducer.sizes


class _Reducer(Observer):
    """Has every output's gradient reduced as soon as autograd has it."""

    def __init__(self) -> None:
        self.sizes: dict[CallKey, GradientSize] = {}

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Waits for the gradient of an output, as it is now: it may be overwritten later."""

        def reduce(gradient: torch.Tensor | None) -> None:
            if gradient is not None:
                self.sizes[key] = _size(gradient.detach())

        # A leaf is a weight that a module gives as it is: the hook would stay on it.
        if output.requires_grad and not output.is_leaf:
            output.register_hook(reduce)  # type: ignore[no-untyped-call]


def _size(gradient: torch.Tensor) -> GradientSize:
    # On Apple's GPUs there is no float64.
    values = (gradient.cpu() if gradient.device.type == "mps" else gradient).flatten()
    precise = values.double()
    statistics = LayerStatistics(units=1)
    statistics.update(values[None, None])
    return GradientSize(float(precise.abs().mean()), float(precise.norm()), statistics)
