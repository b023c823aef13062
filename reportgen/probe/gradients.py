"""How much a class's score would change with the values of a layer: one forward, one backward.

Values and gradient belong to the moment the tensor was handed over. A clone keeps the values, and
a hook of the tensor itself keeps the gradient: autograd gives it for the version that the hook was
registered on, whatever an in-place ReLU writes there afterwards. The network computes with its own
tensors, so nothing about its answer changes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from reportgen.errors import ModelError, first_line
from reportgen.probe.answers import scores_in
from reportgen.probe.evidence import CallKey
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.operations import tensors_in
from reportgen.probe.watch import FunctionCall, Observer, Watch

Side: TypeAlias = Literal["output", "input"]

UNTAKEN = "No gradient can be taken through this network"


@dataclass(frozen=True)
class Spot:
    """A tensor of the forward pass: what a call gives, or the first tensor that it reads."""

    key: CallKey
    side: Side = "output"


@dataclass(frozen=True, eq=False)
class Slopes:
    """The values at one spot for one image, and the gradients of scores with respect to them.

    Tensors are float32 on the CPU, with their axes as the network has them, batch included.
    """

    values: torch.Tensor
    gradients: tuple[torch.Tensor, ...]
    "One per class asked for, in that order: change of the score per unit of change of the value."


def slopes(
    module: nn.Module, image: torch.Tensor, spots: Collection[Spot], classes: Sequence[int]
) -> Mapping[Spot, Slopes]:
    """Values and gradients at `spots` of a borrowed network for one image.

    The gradient is taken through the image, so frozen networks have one as well, and no weight gets
    a `grad`.

    Args:
        module: takes (b c h w), gives scores (b classes).
        image: normalised (c h w), on the device of the network.
        spots: where; those that are not on a path from the image to the score by which a gradient
            can flow are missing from the result.
        classes: whose scores; one backward pass each.

    Raises:
        ModelError: if no gradient can be taken through the network.
    """
    with differentiated():
        # A clone, and then another: the image may be an inference tensor, and a network that writes
        # to its input must not find a leaf there.
        leaf = image.detach().clone().requires_grad_()
        capture = _Capture(spots)
        with Watch(module, capture):
            scores = scores_in(module(leaf[None].clone()), 1)[0]
        if not scores.requires_grad:
            raise ModelError(untaken("its scores do not depend on the image by autograd"))
        gradients = []
        for number, index in enumerate(classes, 1):
            capture.gradients = {}
            torch.autograd.grad(
                scores[index], leaf, retain_graph=number < len(classes), allow_unused=True
            )
            gradients.append(capture.gradients)
        return {
            spot: Slopes(
                values.float().cpu(),
                # No gradient came by: the score does not depend on what lies here.
                tuple(
                    found.get(spot, torch.zeros_like(values)).float().cpu() for found in gradients
                ),
            )
            for spot, values in capture.values.items()
        }


@contextmanager
def differentiated(problem: str = UNTAKEN) -> Iterator[None]:
    """Gradients are recorded inside, whatever the caller does; autograd's refusals become ours.

    Args:
        problem: what to say of a refusal; the reason is added.

    Raises:
        ModelError: if no gradient can be taken through the network.
    """
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{problem}: {first_line(error)}.") from error


def untaken(why: str) -> str:
    """What to say of a network that no gradient can be taken through."""
    return f"{UNTAKEN}: {why}."


class _Capture(Observer):
    """Keeps the values at the spots during the forward pass, their gradients during a backward."""

    def __init__(self, spots: Collection[Spot]) -> None:
        self.values: dict[Spot, torch.Tensor] = {}
        self.gradients: dict[Spot, torch.Tensor] = {}
        self._spots = frozenset(spots)

    def enter(self, key: CallKey, inputs: Any) -> None:
        """Takes what a call reads."""
        first = next(tensors_in(inputs), None)
        if first is not None:
            self._take(Spot(key, "input"), first)

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Takes what a call gives."""
        self._take(Spot(key), output)

    def _take(self, spot: Spot, tensor: torch.Tensor) -> None:
        # A leaf is a weight that a module gives as it is: the hook would stay on it.
        if spot not in self._spots or not tensor.requires_grad or tensor.is_leaf:
            return
        self.values[spot] = tensor.detach().clone()

        def keep(gradient: torch.Tensor) -> None:
            self.gradients[spot] = gradient.detach().clone()

        tensor.register_hook(keep)  # type: ignore[no-untyped-call]
