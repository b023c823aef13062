"""Runs a network as far as one call, and no further."""

from contextlib import suppress

import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.maps import by_image
from reportgen.probe.watch import FunctionCall, Observer, Watch


def output_of(module: nn.Module, call: Call, images: torch.Tensor) -> torch.Tensor:
    """What a call gives for images, (images *shape); nothing that follows it is run.

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
    return by_image(reader.output, call.arrangement, len(images))


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
