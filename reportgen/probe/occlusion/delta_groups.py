"""Puts places together whose windows are of one size in every layer, as far as that pays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen.probe.occlusion.graph import Graph
from reportgen.probe.occlusion.kinds import Convolution
from reportgen.probe.occlusion.rules import Sizes, planned
from reportgen.probe.occlusion.windows import Span, Windows

LEAST = 10
"Places in a group, about: smaller ones waste the time that every operation takes to begin."


def groups(
    graph: Graph,
    sizes: Sizes,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
    most: int,
) -> list[list[int]]:
    """Indices of places in groups, so that little is computed beside what changes.

    A group computes windows as large as its largest. Rows and columns are sorted into classes of
    similar windows, merged two by two as it costs least, and a group is a pair of classes.

    Args:
        graph: of the network.
        sizes: of its maps.
        window: height and width of what is hidden.
        places: first row and column of each.
        most: places in a group.
    """
    kinds = []
    for axis in (0, 1):
        starts = sorted({place[axis] for place in places})
        number = max(1, round((len(places) / LEAST) ** 0.5))
        kinds.append(_classes(graph, sizes, window, starts, axis, number))
    found: dict[tuple[int, int], list[int]] = {}
    for index, (row, column) in enumerate(places):
        found.setdefault((kinds[0][row], kinds[1][column]), []).append(index)
    parts = []
    for members in found.values():
        number = -(-len(members) // most)
        parts += [part.tolist() for part in np.array_split(np.array(members), number)]
    return sorted(parts, key=len, reverse=True)


def _classes(
    graph: Graph,
    sizes: Sizes,
    window: tuple[int, int],
    starts: Sequence[int],
    axis: int,
    number: int,
) -> dict[int, int]:
    """The class of each start along an axis, of about `number` classes."""
    lengths = np.stack([_lengths(graph, sizes, window, start, axis) for start in starts])
    _, alike = np.unique(lengths, axis=0, return_inverse=True)
    members = {int(k): np.flatnonzero(alike.ravel() == k).tolist() for k in range(alike.max() + 1)}

    def cost(some: list[int]) -> float:
        return len(some) * float(lengths[some].max(0).sum())

    while len(members) > 1:
        pairs = [
            (cost(members[a] + members[b]) - cost(members[a]) - cost(members[b]), a, b)
            for a in members
            for b in members
            if a < b
        ]
        dearer, a, b = min(pairs)
        if len(members) <= number and dearer > 0:
            break
        members[a] += members.pop(b)
    return {starts[i]: kind for kind, some in members.items() for i in some}


def _lengths(
    graph: Graph, sizes: Sizes, window: tuple[int, int], start: int, axis: int
) -> NDArray[np.float64]:
    """What the window at one start costs along an axis, per convolution, in multiplications."""
    height, width = sizes[graph.image]
    length = (height, width)[axis]
    low, high = start, min(start + window[axis], length)
    spans = [Span(np.zeros(1, np.int64), 1), Span(np.zeros(1, np.int64), 1)]
    spans[axis] = Span(np.array([low]), high - low)
    plan = planned(graph, sizes, Windows(spans[0], spans[1]))
    costs = []
    for step in graph.steps:
        if isinstance(step.kind, Convolution):
            full = sizes[step.node]
            size = plan[step.node].size[axis] if step.node in plan else full[axis]
            costs.append(step.kind.weight.numel() * full[0] * full[1] * size / full[axis])
    return np.array(costs)
