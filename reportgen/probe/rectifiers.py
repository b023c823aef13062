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
        if self._rule == "guided":
            result = func(*args, **kwargs)
            result.register_hook(_positive)
            return result
        # The native way back would mask the gradient: only the values are taken from it.
        passing = operand.clone()
        with torch.no_grad():
            values = func(*(_detached(value) for value in args), **_detached(kwargs))
        result = _Passing.apply(passing, values)
        return operand.copy_(result) if _is_in_place(func, name, args, kwargs) else result


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


def _detached(value: Any) -> Any:
    """Copies of tensors that may be written to, without their history."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {name: _detached(item) for name, item in value.items()}
    return value


def _is_in_place(func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> bool:
    spelled = getattr(func, "__name__", "")
    if spelled.endswith("_") and not spelled.endswith("__"):
        return True
    at = _INPLACE_AT.get(name)
    return at is not None and bool(argument(args, kwargs, at, "inplace", False))


def why_not(calls: Sequence[Call]) -> str:
    """One sentence that says why neither rule is defined for a network; empty where both are.

    They are defined for ReLU and its bounded kin. A softmax or sigmoid as the last call that
    computes is left out, for gradients are taken of what it is given.
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
