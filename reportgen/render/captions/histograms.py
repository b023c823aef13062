"""Histograms: between which values nearly all lie, and what stands out from that."""

from itertools import accumulate

from reportgen.render.filters import number, percent, plural
from reportgen.report.blocks import Histogram
from reportgen.report.records import Parameter

TAIL = 0.05
"Share of the values that may lie beyond each end of what is called nearly all."


def caption(block: Histogram, noun: str = "value") -> str:
    """Between which values nine in ten lie, and how many are below zero.

    Edges of bins are all that is known, so the share is said to be at least nine in ten.
    """
    total = sum(block.counts)
    if not total:
        return f"No {noun} is finite, so there is nothing to see."
    full = [index for index, count in enumerate(block.counts) if count]
    if len(full) == 1:
        low, high = (number(_edge(block, full[0] + i), 3) for i in (0, 1))
        only = f"The one {noun} lies" if total == 1 else f"All {plural(total, noun)} lie"
        return f"{only} between {low} and {high}."
    low, high = (number(end, 3) for end in middle(block))
    text = f"Of {plural(total, noun)}, 90 % or more lie between {low} and {high}"
    if (low, high) == (number(_edge(block, full[0]), 3), number(_edge(block, full[-1] + 1), 3)):
        text = f"{plural(total, noun)}, spread from {low} to {high}"
    return f"{text}{_below(block, total)}."


def middle(block: Histogram) -> tuple[float, float]:
    """Edges of bins beyond which at most 5 % of the values lie on either side."""
    total, bins = sum(block.counts), len(block.counts)
    rising = list(accumulate(block.counts))
    falling = list(accumulate(reversed(block.counts)))
    left = sum(count <= TAIL * total for count in rising)
    right = sum(count <= TAIL * total for count in falling)
    return _edge(block, left), _edge(block, bins - right)


def _below(block: Histogram, total: int) -> str:
    """How many values are below zero, where zero is an edge of a bin and lies inside."""
    if not block.low < 0 < block.high:
        return ""
    bins = -block.low / (block.high - block.low) * len(block.counts)
    if abs(bins - round(bins)) > 1e-6:
        return ""
    below = sum(block.counts[: round(bins)])
    return f"; {percent(below / total)} are below zero" if below else ""


def within(block: Histogram, limit: float) -> float:
    """The share of values that surely lie within `limit` of zero: that of the bins inside it."""
    total = sum(block.counts)
    if not total:
        return 0.0
    inside = sum(
        count
        for index, count in enumerate(block.counts)
        if -limit <= _edge(block, index) and _edge(block, index + 1) <= limit
    )
    return inside / total


def alt(parameter: Parameter) -> str:
    """`Values of features.0.weight, from −1 to 2: 90 % or more between −0.3 and 0.4`."""
    block = parameter.histogram
    if not sum(block.counts):
        return f"{parameter.name} holds no finite value"
    ends = f"from {number(parameter.min, 3)} to {number(parameter.max, 3)}"
    if parameter.min == parameter.max:
        return f"Values of {parameter.name}: all are {number(parameter.min, 3)}"
    low, high = middle(block)
    return (
        f"Values of {parameter.name}, {ends}: 90 % or more between {number(low, 3)} and "
        f"{number(high, 3)}"
    )


def _edge(block: Histogram, index: int) -> float:
    """Where bin `index` begins."""
    return block.low + (block.high - block.low) * index / len(block.counts)
