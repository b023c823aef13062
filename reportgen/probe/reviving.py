"""Lets a gradient into units that are off, so that a picture that excites none can start."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from reportgen.probe.operations import operation_name, rectifies, tensors_in


class Reviving(TorchFunctionMode):
    """Inside `with Reviving(images):` a ReLU that lets no gradient of these through does after all.

    Then the gradient passes at one value of the image: of those that it would raise, the one that
    is nearest to turning on. (At all of them, as in [olah2017], those of a whole map would cancel
    but for their common brightness.) All spellings of ReLU are seen, in place or not; the values of
    the forward pass stay as they are.
    """

    def __init__(self, images: torch.Tensor) -> None:
        """Takes which images of the batch it is about: (n,), true or false."""
        super().__init__()
        self._images = images

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
        # Windows of an image may lie behind one another where the images do.
        each, rest = divmod(len(operand), len(self._images)) if operand.ndim > 1 else (0, 0)
        if not (torch.is_grad_enabled() and operand.requires_grad and each) or rest:
            return func(*args, **kwargs)
        images = self._images.to(operand.device).repeat_interleave(each)
        # A clone's gradient is that of this one use, whatever else reads the operand.
        clone = operand.clone()
        incoming: list[torch.Tensor] = []
        before = operand.detach().clone()

        def revived(masked: torch.Tensor) -> torch.Tensor:
            is_stuck = _by_image(images & masked.eq(0).flatten(1).all(dim=1), masked)
            raising = incoming.pop().clamp(min=0)
            candidates = before.masked_fill(raising == 0, -torch.inf)
            nearest = candidates == _by_image(candidates.flatten(1).amax(dim=1), masked)
            return torch.where(is_stuck, torch.where(nearest, raising, 0), masked)

        # Before the ReLU, which may write to the clone: a hook is of the version it was put on.
        clone.register_hook(revived)  # type: ignore[no-untyped-call]
        result = func(
            *(clone if value is operand else value for value in args),
            **{name: clone if value is operand else value for name, value in kwargs.items()},
        )
        result.register_hook(incoming.append)
        return operand.copy_(result) if result is clone else result


def _by_image(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(n,) in the shape (n 1 ...) of as many axes as `like`."""
    return values.view(-1, *[1] * (like.ndim - 1))
