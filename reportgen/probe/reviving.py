"""Lets a gradient into units that are off, so that a picture that excites none of them can start."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from reportgen.probe.operations import operation_name, rectifies, tensors_in


class Reviving(TorchFunctionMode):
    """Inside `with Reviving():` a ReLU that lets no gradient of an image through does so after all.

    What is positive of the gradient then passes where the ReLU is off, since a step up along it
    can turn units on [olah2017]. All spellings of ReLU are seen, in place or not; the values of the
    forward pass stay as they are.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        """Sees every function of PyTorch that runs."""
        kwargs = kwargs or {}
        if not rectifies(operation_name(func), args, kwargs):
            return func(*args, **kwargs)
        operand = next(tensors_in((args, kwargs)))
        if not (torch.is_grad_enabled() and operand.requires_grad):
            return func(*args, **kwargs)
        # A clone's gradient is that of this one use, whatever else reads the operand.
        clone = operand.clone()
        incoming: list[torch.Tensor] = []
        off = torch.empty(0)

        def revived(masked: torch.Tensor) -> torch.Tensor:
            is_stuck = masked.flatten(1).eq(0).all(dim=1)
            raising = torch.where(off, incoming.pop().clamp(min=0), 0)
            return torch.where(is_stuck.view(-1, *[1] * (masked.ndim - 1)), raising, masked)

        # Before the ReLU, which may write to the clone: a hook belongs to the version it was put on.
        clone.register_hook(revived)
        result = func(
            *(clone if value is operand else value for value in args),
            **{name: clone if value is operand else value for name, value in kwargs.items()},
        )
        off = result.detach() <= 0
        result.register_hook(incoming.append)
        return operand.copy_(result) if result is clone else result
