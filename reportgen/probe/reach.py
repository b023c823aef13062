"""Runs a network as far as one call, and no further."""

from contextlib import suppress

import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.maps import by_image, by_unit, on_grid
from reportgen.probe.watch import FunctionCall, Observer, Watch


def output_of(module: nn.Module, call: Call, images: torch.Tensor) -> torch.Tensor:
    """What a call gives for images, (images units positions); nothing that follows it is run.

    Positions are those of its maps where it has any, row by row, without class and register tokens.

    Inside of another `TorchFunctionMode`, a function that is the call itself is told of with what
    that mode made of it.

    Args:
        module: borrowed.
        call: of the network.
        images: normalised (b c h w), to which the network may write.

    Raises:
        ModelError: if the network leaves the call out for these images.
    """
    reader = _Reader(call.key)
    with suppress(_ReachedError), Watch(module, reader):
        module(images)
    if reader.output is None:
        raise ModelError(f"The network leaves {call.key} out for some images.")
    arranged = call.arrangement
    return on_grid(by_unit(by_image(reader.output, arranged, len(images)), arranged), arranged)


class _ReachedError(Exception):
    """Ends a forward pass: nothing that follows is needed."""


class _Reader(Observer):
    """Takes what one call gives."""

    def __init__(self, key: CallKey) -> None:
        self.output: torch.Tensor | None = None
        self._key = key

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Ends the forward pass at the call."""
        if key == self._key:
            self.output = output
            raise _ReachedError
