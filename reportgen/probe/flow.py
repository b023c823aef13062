"""What is known of a tensor on its way through the network: layout, what it sees, its origin."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch

from reportgen.probe.evidence import CallKey
from reportgen.probe.layout import Axis, Factor, Layout, Role
from reportgen.probe.operations import argument
from reportgen.probe.receptive_field import Span, gathered, joined

Spans: TypeAlias = tuple[Span | None, Span | None]
"What one position sees, down and across; None where that is not known."

UNSEEN: Spans = (None, None)

DIRECTIONS: Mapping[Role, tuple[int, ...]] = {"height": (0,), "width": (1,), "token": (0, 1)}
"The spans that positions along an axis of each role belong to: 0 is down, 1 is across."


@dataclass(frozen=True)
class Flow:
    """What is known of one tensor."""

    layout: Layout | None
    spans: Spans
    sources: tuple[CallKey, ...]
    "Calls whose output it was made from."
    is_rectified: bool = False
    is_constant: bool = False
    "True where it does not depend on the image."


@dataclass(frozen=True, eq=False)
class Operation:
    """One function at work, as the rules see it."""

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    image: tuple[int, int]
    "Height and width of the image in pixels."
    flow: Callable[[Any], Flow | None]
    "What is known of a tensor; None for constants, weights among them."
    flows: tuple[Flow, ...]
    "Of all operands that are no constants, in order."

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """An argument given by place or by name."""
        return argument(self.args, self.kwargs, index, name, default)

    def dims(self, index: int, default: int | None) -> list[int]:
        """The axes of the first operand that an argument names; all of them for None."""
        value = self.argument(index, "dim", self.kwargs.get("axis", default))
        ndim = self.operand.ndim
        if value is None or value == ():
            return list(range(ndim))
        return [dim % ndim for dim in (value if isinstance(value, (tuple, list)) else (value,))]

    @property
    def operand(self) -> torch.Tensor:
        """The first operand."""
        operand = self.argument(0, "input")
        tensor: torch.Tensor = operand[0] if isinstance(operand, (tuple, list)) else operand
        return tensor

    @property
    def layout(self) -> Layout | None:
        """Of the first operand."""
        flow = self.flow(self.operand)
        return flow.layout if flow else None

    @property
    def spans(self) -> Spans:
        """Of all operands together."""
        return (
            joined([flow.spans[0] for flow in self.flows], self.image[0]),
            joined([flow.spans[1] for flow in self.flows], self.image[1]),
        )

    @property
    def settled(self) -> Spans:
        """What is seen after positions were moved or mixed in an unknown way.

        That is unknown, too, unless all positions saw the same before.
        """
        down, across = self.spans
        return (
            down if down and not down.step else None,
            across if across and not across.step else None,
        )

    def gathered(self, *axes: Axis, spans: Spans | None = None) -> Spans:
        """What is seen after mixing all positions along some axes of an operand."""
        parts: defaultdict[int, list[Factor]] = defaultdict(list)
        for axis in axes:
            for factor in axis:
                parts[factor.ident].append(factor)
        result = list(spans or self.spans)
        for factors in parts.values():
            role, extent = factors[0].role, factors[0].extent
            size = 1
            for factor in factors:
                size *= factor.size
            if role == "batch":
                return UNSEEN
            for direction in DIRECTIONS.get(role, ()):
                if 1 < size < extent:
                    result[direction] = self.settled[direction]
                elif size > 1:
                    # Tokens may hold more than the grid, so nothing is said of their spacing.
                    known = result[direction] if role != "token" else None
                    result[direction] = gathered(known, size, self.image[direction])
        return result[0], result[1]


Known: TypeAlias = tuple[Layout | None, Spans]

Rule: TypeAlias = Callable[[Operation, torch.Tensor, int], Known]
"From an operation, one of its results and the number of that result to what is known of it."


def shifted(spans: Spans, axis: Axis, offset: int, step: int = 1) -> Spans:
    """What is seen after an axis was cut, from position `offset` on, every `step`-th."""
    if (offset, step) == (0, 1):
        return spans
    result = list(spans)
    is_grid = len(axis) == 1 and axis[0].is_whole and axis[0].role != "token"
    for factor in axis:
        for direction in DIRECTIONS.get(factor.role, ()):
            span = result[direction]
            if span is not None and is_grid:
                result[direction] = replace(
                    span,
                    start=span.start + offset * span.step,
                    step=span.step * step,
                    stride=span.stride * step,
                )
            elif span is not None and span.step:
                result[direction] = None
    return result[0], result[1]


def picked(spans: Spans, axis: Axis, position: int) -> Spans:
    """What is seen after one position was picked from an axis."""
    result = list(shifted(spans, axis, position))
    for factor in axis:
        for direction in DIRECTIONS.get(factor.role, ()):
            span = result[direction]
            if span is not None:
                result[direction] = replace(span, step=0, stride=0)
    return result[0], result[1]


def version_of(tensor: torch.Tensor) -> int:
    """Grows with every write; not for the tensors of inference mode, which do not count them."""
    return 0 if tensor.is_inference() else tensor._version


def memory_of(tensor: torch.Tensor) -> int:
    """Where the values lie; views of one another share it."""
    return tensor.untyped_storage().data_ptr()
