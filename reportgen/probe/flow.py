"""What is known of a tensor on its way through the network: its layout, what it sees, where it comes from."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch

from reportgen.probe.evidence import CallKey
from reportgen.probe.layout import Axis, Factor, Layout
from reportgen.probe.operations import argument
from reportgen.probe.receptive_field import Span, gathered, joined

Spans: TypeAlias = tuple[Span | None, Span | None]
"What one position sees, down and across; None where that is not known."


@dataclass(frozen=True)
class Flow:
    """What is known of one tensor."""

    layout: Layout | None
    spans: Spans
    sources: tuple[CallKey, ...]
    "Calls whose output it was made from."
    is_rectified: bool = False


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

    @property
    def operand(self) -> torch.Tensor:
        """The first operand."""
        operand: torch.Tensor = self.argument(0, "input")
        return operand

    @property
    def layout(self) -> Layout | None:
        """Of the first operand."""
        flow = self.flow(self.operand)
        return flow.layout if flow else None

    @property
    def spans(self) -> Spans:
        """Of all operands together."""
        return (
            joined([flow.spans[0] for flow in self.flows]),
            joined([flow.spans[1] for flow in self.flows]),
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
            directions = {"height": (0,), "width": (1,), "token": (0, 1), "batch": (0, 1)}.get(role, ())
            for direction in directions:
                if role == "batch" or 1 < size < extent:
                    result[direction] = None
                elif size > 1:
                    known = result[direction] if role != "token" else None
                    result[direction] = gathered(known, size, self.image[direction])
        return result[0], result[1]


def shifted(spans: Spans, axis: Axis, offset: int, step: int = 1) -> Spans:
    """What is seen after an axis was cut, from position `offset` on, every `step`-th."""
    if (offset, step) == (0, 1):
        return spans
    result = list(spans)
    for factor in axis:
        for direction in {"height": (0,), "width": (1,), "token": (0, 1)}.get(factor.role, ()):
            span = result[direction]
            if span is not None and len(axis) == 1 and factor.is_whole and factor.role != "token":
                result[direction] = replace(
                    span,
                    start=span.start + offset * span.step,
                    step=span.step * step,
                    stride=span.stride * step,
                )
            elif span is None or span.step:
                result[direction] = None
    return result[0], result[1]
