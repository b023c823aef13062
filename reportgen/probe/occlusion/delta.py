"""Fast occlusion: only the difference that a hidden place makes goes through the network, in bf16.

The values of the clean image stay in float32 and are computed once. A difference is rounded to eight
bits, so that its error scales with the difference, and not with the value that it is added to.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import fx

from reportgen.probe.answers import logits_in
from reportgen.probe.occlusion.clean import Clean
from reportgen.probe.occlusion.delta_groups import groups
from reportgen.probe.occlusion.delta_rules import Difference, Rules, weight_of
from reportgen.probe.occlusion.graph import Graph, Values, graph_of
from reportgen.probe.occlusion.places import with_hidden
from reportgen.probe.occlusion.rules import Plan, Sizes, planned
from reportgen.probe.occlusion.windows import Windows, hidden_span
from reportgen.probe.probe import Probe, Progress

MOST_PLACES = 64
"At a time; a group of similar places rarely has more."

WIDE = 0.12
"Share of the multiplications that stays in float32, first layers first."


def delta_scores(
    probe: Probe,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> torch.Tensor:
    """Scores (places classes), float32 on the CPU, with each place hidden, to a rounding error.

    Args:
        probe: runs the network.
        image: normalised, (c h w).
        filling: normalised, (c h w), shown where a window hides the image.
        window: height and width in pixels.
        places: first row and column of each window.
        progress: told of the places done.
        dtype: of the differences, behind the first layers.

    Raises:
        Untraceable: if the network cannot be run step by step.
        ResourceError: if the places of one group do not fit the memory.
    """
    with probe.lent(image) as (module, moved), probe.lent(filling) as (_, hiding):
        graph = graph_of(module)
        engine = DeltaEngine(graph, Clean(graph, moved), moved, hiding, window, dtype)
        scores = torch.empty(0)
        done = 0
        for indices, some in engine.scores(places):
            if not len(scores):
                scores = some.new_empty(len(places), some.shape[1])
            scores[indices] = some
            done += len(indices)
            if progress:
                progress(done, len(places))
    return scores


class DeltaEngine:
    """One network, one image and what hides it: gives scores of places, group by group."""

    def __init__(
        self,
        graph: Graph,
        clean: Clean,
        image: torch.Tensor,
        filling: torch.Tensor,
        window: tuple[int, int],
        dtype: torch.dtype,
        share: float = WIDE,
    ) -> None:
        """Gets weights and differences ready.

        Args:
            graph: of the network.
            clean: results of its steps for the image.
            image: normalised, (c h w).
            filling: normalised, (c h w), shown where a window hides the image.
            window: height and width in pixels.
            dtype: of the differences, behind the first layers.
            share: of the multiplications that is done in float32.
        """
        self._graph, self._clean, self._window = graph, clean, window
        self._change = filling - image
        height, width = image.shape[1:]
        middle = ((height - window[0]) // 2, (width - window[1]) // 2)
        plan = planned(graph, clean.sizes, self._hidden([middle]))
        self._rules = Rules(graph, clean, dtype, wide_steps(graph, clean.sizes, plan, share))

    def scores(
        self, places: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Indices of places and their scores (some classes), float32 on the CPU."""
        parts = groups(self._graph, self._clean.sizes, self._window, places, MOST_PLACES)
        for part in parts:
            yield part, self._scores([places[index] for index in part])

    def _hidden(self, places: Sequence[tuple[int, int]]) -> Windows:
        height, width = self._change.shape[1:]
        rows = hidden_span([max(0, row) for row, _ in places], self._window[0], height)
        columns = hidden_span([max(0, column) for _, column in places], self._window[1], width)
        return Windows(rows, columns)

    def _scores(self, places: Sequence[tuple[int, int]]) -> torch.Tensor:
        graph = self._graph
        start = self._hidden(places)
        plan = planned(graph, self._clean.sizes, start)
        values: Values = {**graph.constants, graph.image: self._first(places, start)}
        for step in graph.steps:
            values[step.node] = self._rules.result(step, values, plan)
            for node in step.ends:
                del values[node]
        true = {node: self._rules.true(node, value) for node, value in values.items()}
        return logits_in(graph.scores(true, len(places)), len(places))

    def _first(self, places: Sequence[tuple[int, int]], windows: Windows) -> Difference:
        """What hiding changes in the image itself."""
        height, width = windows.size
        parts = []
        for place, row, column in zip(
            places, windows.rows.starts.tolist(), windows.columns.starts.tolist(), strict=True
        ):
            part = self._change[:, row : row + height, column : column + width].clone()
            # The windows of a group are of one size, and what is hidden may be cut off at a border.
            part[:, : max(0, place[0] - row)] = 0
            part[:, :, : max(0, place[1] - column)] = 0
            parts.append(part)
        return Difference(
            torch.stack(parts).contiguous(memory_format=torch.channels_last), windows
        )


def wide_steps(graph: Graph, sizes: Sizes, plan: Plan, share: float) -> frozenset[fx.Node]:
    """The steps whose differences stay in float32: the first ones, and the last linear layer.

    Rounding errors grow from layer to layer, and the windows of the first layers are small.

    Args:
        graph: of the network.
        sizes: of its maps.
        plan: for one place.
        share: of all multiplications.
    """
    costs = []
    for step in graph.steps:
        weight = weight_of(step)
        size = plan[step.node].size if step.node in plan else sizes.get(step.node, (1, 1))
        costs.append(0 if weight is None else weight.numel() * size[0] * size[1])
    limit, total, found = share * sum(costs), 0, set()
    for step, cost in zip(graph.steps, costs, strict=True):
        total += cost
        if total > limit:
            break
        found.add(step.node)
    last = [step.node for step, cost in zip(graph.steps, costs, strict=True) if cost]
    return frozenset(found | set(last[-1:]))
