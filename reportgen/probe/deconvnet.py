"""What in the pixels made one unit answer at one place: the deconvnet [zeiler2013].

The one activation is kept and all others of its layer are set to zero. From there each layer is
taken back by its adjoint: a convolution by the transposed one, a batch norm by its scale, a max
pooling by the switches recorded on the way forward; and each ReLU passes back what is positive.
Where overlapping windows of a pooling share a maximum, what comes back through them is added up, as
the adjoint does; `max_unpool2d` would keep one of them.
"""

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import nn

from reportgen.errors import ModelError, ResourceError
from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.maps import by_image, by_unit, on_grid
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.probe import Probe
from reportgen.probe.rectifiers import BackwardRule, why_not
from reportgen.probe.watch import FunctionCall, Observer, Watch


def projections(
    probe: Probe, images: torch.Tensor, call: Call, places: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    """The projection of one activation of each image down to its pixels.

    Args:
        probe: of the network.
        images: normalised (n c h w).
        call: with maps, whose activations they are.
        places: (unit, row, column), one an image.

    Returns:
        (n c h w) float32 on the CPU, in the units of the network's input; linear in the activation,
        which is passed back with its own value. Zero where nothing comes back.

    Raises:
        ModelError: if there is no way back through this network.
        ResourceError: if one image alone does not fit the memory.
    """
    if len(images) != len(places):
        raise ValueError(f"{len(images)} images and {len(places)} places")
    try:
        with probe.lent(images) as (module, moved):
            return _projected(module, moved, call, places).float().cpu()
    except ResourceError:
        if len(images) == 1:
            raise
    # Outside of the handler, where the error no longer holds the tensors of its frames.
    half = len(images) // 2
    parts = ((images[:half], places[:half]), (images[half:], places[half:]))
    return torch.cat([projections(probe, part, call, some) for part, some in parts])


def unprojected(calls: Sequence[Call], key: CallKey) -> str:
    """One sentence that says why a layer has no projections; empty where it has.

    Args:
        calls: all of the network, in the order of execution.
        key: of the layer; what comes after it does not matter.
    """
    by_key = {call.key: call for call in calls}
    needed, waiting = {key}, [key]
    while waiting:
        new = set(by_key[waiting.pop()].inputs) - needed
        needed |= new
        waiting.extend(new)
    # Before the first ReLU the way back is the plain adjoint, if the network has a ReLU at all.
    rectifier = [call for call in calls if call.rectifies][:1]
    return why_not([*(call for call in calls if call.key in needed), *rectifier])


def _projected(
    module: nn.Module, images: torch.Tensor, call: Call, places: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        # A clone, and then another: see `gradients.slopes`.
        leaf = images.detach().clone().requires_grad_()
        picker = _Picker(call, places)
        try:
            # The watch sees a function first, and then the rule how it is taken back.
            with suppress(_ReachedError), BackwardRule("deconvnet"), Watch(module, picker):
                module(leaf.clone())
            picked = picker.picked
            if picked is None or not picked.requires_grad:
                raise ModelError(_untaken(call, "it does not depend on the image by autograd"))
            (found,) = torch.autograd.grad(picked, leaf, picked.detach())
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(_untaken(call, said)) from error
        return found.detach()


def _untaken(call: Call, why: str) -> str:
    return f"There is no way back from {call.key} to the pixels: {why.rstrip('.')}."


class _ReachedError(Exception):
    """Ends a forward pass: nothing that follows is needed."""


class _Picker(Observer):
    """Takes one activation of each image out of what a call gives."""

    def __init__(self, call: Call, places: Sequence[tuple[int, int, int]]) -> None:
        self.picked: torch.Tensor | None = None
        self._call = call
        self._places = places

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Ends the forward pass at the call."""
        call = self._call
        if key != call.key or self.picked is not None:
            return
        assert call.grid is not None
        arranged, images = call.arrangement, len(self._places)
        placed = on_grid(by_unit(by_image(output, arranged, images), arranged), arranged)
        units, rows, columns = (torch.tensor(some) for some in zip(*self._places, strict=True))
        self.picked = placed[torch.arange(images), units, rows * call.grid[1] + columns]
        raise _ReachedError
