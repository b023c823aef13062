"""Other rules for the way back through a ReLU: guided backpropagation and the deconvnet."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch.overrides import TorchFunctionMode

from reportgen.probe.evidence import Call
from reportgen.probe.operations import argument, operation_name, rectifies, tensors_in

Rule: TypeAlias = Literal["guided", "deconvnet"]

_INPLACE_AT = {"relu": 1, "relu6": 1, "hardtanh": 3, "threshold": 3}
"Where the functions that can write to their input are told so."

_ATTENTION = frozenset(
    {"MultiheadAttention", "F.multi_head_attention_forward", "F.scaled_dot_product_attention"}
)
_OUTPUTS = ("Softmax", "LogSoftmax", "Sigmoid", "F.softmax", "F.log_softmax", "F.sigmoid")


class BackwardRule(TorchFunctionMode):
    """Inside `with BackwardRule(rule):` a ReLU passes gradients back by another rule.

    `guided` [springenberg2015] passes what is positive where the ReLU was on; `deconvnet`
    [zeiler2013] passes what is positive, wherever the ReLU was on or off. All spellings are seen
    (`nn.ReLU`, `F.relu`, `torch.relu`, `x.relu_()`, `clamp(min=0)`), in place or not, and all
    values of the forward pass stay as they are.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        """Sees every function of PyTorch that runs."""
        kwargs = kwargs or {}
        name = operation_name(func)
        if not rectifies(name, args, kwargs):
            return func(*args, **kwargs)
        operand = next(tensors_in((args, kwargs)))
        if not (torch.is_grad_enabled() and operand.requires_grad):
            return func(*args, **kwargs)

        def rectified(tensor: torch.Tensor) -> torch.Tensor:
            places = [tensor if value is operand else value for value in args]
            names = {key: tensor if item is operand else item for key, item in kwargs.items()}
            result: torch.Tensor = func(*places, **names)
            return result

        is_in_place = _is_in_place(func, name, args, kwargs)
        if self._rule == "guided":
            # What is overwritten may be a view, and a hook of a view misses what is read from its
            # base. So the work is done on a copy, and the result is put where it belongs.
            result = rectified(operand.clone() if is_in_place else operand)
            result.register_hook(_positive)  # type: ignore[no-untyped-call]
        else:
            # The native way back would mask the gradient: only the values are taken from it.
            with torch.no_grad():
                values = rectified(operand.detach().clone())
            result = _Passing.apply(operand, values)
        return operand.copy_(result) if is_in_place else result


class _Passing(torch.autograd.Function):
    """Given values forwards; backwards what is positive of the gradient."""

    @staticmethod
    def forward(context: Any, operand: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The values, whatever the operand."""
        return values.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Rectifies the gradient."""
        return _positive(gradient), None


def _positive(gradient: torch.Tensor) -> torch.Tensor:
    return gradient.clamp(min=0)


def _is_in_place(func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> bool:
    spelled = getattr(func, "__name__", "")
    if spelled.endswith("_") and not spelled.endswith("__"):
        return True
    at = _INPLACE_AT.get(name)
    return at is not None and bool(argument(args, kwargs, at, "inplace", False))


def why_not(calls: Sequence[Call]) -> str:
    """One sentence that says why neither rule is defined for a network; empty where both are.

    They are defined for ReLU and its bounded kin. A softmax or sigmoid as the last call that
    computes is no hidden layer: the gradient passes it as it does by default.
    """
    working = [call for call in calls if call.kind != "other" or call.type in _ATTENTION]
    if working and working[-1].type in _OUTPUTS:
        working.pop()
    for call in working:
        if call.type in _ATTENTION:
            return f"{call.key} is attention, for which no such rule is defined."
        if call.kind == "activation" and not call.rectifies:
            name = call.type.removeprefix("F.")
            return f"{call.key} is {name}, and the rule is defined for ReLU only."
    if not any(call.kind == "activation" for call in working):
        return "No ReLU was seen in this network, so that the rule would change nothing."
    return ""
