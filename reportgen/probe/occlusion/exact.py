"""Exact incremental occlusion: only what a hidden place changes is computed [nakandala2019]."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from reportgen.errors import ResourceError
from reportgen.probe.answers import logits_in
from reportgen.probe.occlusion.clean import Clean, Patch
from reportgen.probe.occlusion.graph import Graph, Untraceable, Values
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.occlusion.prepared import agree, clean_run
from reportgen.probe.occlusion.rules import Plan, macs_of, patch_of, planned, whole_of
from reportgen.probe.occlusion.windows import Windows, hidden_span
from reportgen.probe.probe import Probe, Progress

Places: TypeAlias = Sequence[tuple[int, int]]
"First row and column of each window."

CHUNK = 4
"Places at a time, as a multiple of the images at a time: most of a place is never computed."
TAIL = 4
"Places at a time for the last layers, as a multiple of those before."
SMALL = 2**15
"Values a place, up to which results are collected for the last layers."
LEAST = 1.05
"How many times fewer multiplications there must be, for windows to be worth it."


def exact_scores(
    probe: Probe,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
    progress: Progress | None = None,
) -> torch.Tensor:
    """Scores (places classes), float32 on the CPU, with each place hidden: those of `plain_scores`.

    Args:
        probe: runs the network.
        image: normalised, (c h w).
        filling: normalised, (c h w), shown where a window hides the image.
        window: height and width in pixels.
        places: first row and column of each window.
        progress: told of the places done.

    Raises:
        Untraceable: if the network cannot be run step by step.
        ResourceError: if one place alone does not fit the memory.
    """
    with probe.borrow():
        known, graph, clean = clean_run(probe, image)
        with probe.lent(filling) as (_, moved):
            scores = _Hidden(probe, graph, clean, moved, window).scores(places, progress)
        if not known.is_checked:
            # Once per network: steps that agree for a clean image might not for a hidden place.
            middle = len(places) // 2
            expected = plain_scores(probe, image, filling, window, [places[middle]])
            if not agree(scores[[middle]].to(clean.scores.dtype), expected):
                raise Untraceable("Step by step, a hidden place gets other scores than as a whole.")
            known.is_checked = True
        return scores


class _Hidden:
    """One image of which places are hidden."""

    def __init__(
        self,
        probe: Probe,
        graph: Graph,
        clean: Clean,
        filling: torch.Tensor,
        window: tuple[int, int],
    ) -> None:
        """Takes the image as `clean` has it, and what is shown in windows, on the same device."""
        self._probe = probe
        self._graph = graph
        self._clean = clean
        self._filling = filling
        self._window = window

    def scores(self, places: Places, progress: Progress | None) -> torch.Tensor:
        """Scores (places classes), float32 on the CPU.

        Raises:
            ResourceError: if one place alone does not fit the memory.
        """
        most = CHUNK * self._probe.batch_size
        # As even as can be: a small last part would cost as much as a larger one.
        size = -(-len(places) // -(-len(places) // most))
        plans = [self._plan(places[i : i + size]) for i in range(0, len(places), size)]
        cut = self._cut(plans)
        collected: list[torch.Tensor] = []
        start = 0
        while start < len(places):
            some = places[start : start + size]
            result = self._fitting(lambda some=some: self._until(cut, some), len(some))
            if result is None:
                size = len(some) // 2
                continue
            collected.append(result)
            start += len(some)
            if progress:
                progress(start, len(places))
        late = torch.cat(collected)
        del collected
        scores = []
        start, size = 0, TAIL * most
        while start < len(late):
            part = late[start : start + size]
            result = self._fitting(lambda part=part: self._after(cut, part), len(part))
            if result is None:
                size = len(part) // 2
                continue
            scores.append(result)
            start += len(part)
        return torch.cat(scores)

    def _fitting(self, run: Callable[[], torch.Tensor], places: int) -> torch.Tensor | None:
        """What `run` gives; None where the memory is too small, but there are fewer places to try."""
        try:
            with self._probe.lent(torch.empty(places)):
                return run()
        except ResourceError:
            if places == 1:
                raise
        # Outside of the handler: there the error still holds the tensors of its frames.
        torch.cuda.empty_cache()
        return None

    def _plan(self, places: Places) -> Plan:
        height, width = self._clean.sizes[self._graph.image]
        rows = hidden_span([row for row, _ in places], self._window[0], height)
        columns = hidden_span([column for _, column in places], self._window[1], width)
        return planned(self._graph, self._clean.sizes, Windows(rows, columns))

    def _cut(self, plans: Sequence[Plan]) -> int:
        """The number of steps after which one small result is all that later steps need."""
        alive = {self._graph.image}
        for done, step in enumerate(self._graph.steps, 1):
            alive = (alive | {step.node}) - set(step.ends)
            result = self._clean.results[step.node]
            if (
                alive == {step.node}
                and isinstance(result, torch.Tensor)
                and len(result) == 1
                and result.numel() <= SMALL
                and not any(step.node in plan for plan in plans)
            ):
                return done
        return len(self._graph.steps)

    def _until(self, cut: int, places: Places) -> torch.Tensor:
        """What the first steps give: the one result that later steps need, or the scores."""
        graph, clean = self._graph, self._clean
        plan = self._plan(places)
        values: Values = {**graph.constants, graph.image: self._start(places, plan)}
        for step in graph.steps[:cut]:
            if step.node in plan:
                values[step.node] = patch_of(step, plan[step.node], values, clean)
            else:
                values[step.node] = whole_of(step, values, clean, len(places))
            for node in step.ends:
                del values[node]
        if cut < len(graph.steps):
            result: torch.Tensor = values[graph.steps[cut - 1].node]
            return result
        for node, value in values.items():
            if isinstance(value, Patch):
                values[node] = clean.whole(node, value)
        return graph.scores(values, len(places))

    def _start(self, places: Places, plan: Plan) -> Patch | torch.Tensor:
        """The image with its places hidden: their windows, or all of it."""
        node, clean = self._graph.image, self._clean
        windows = plan.get(node) or clean.everything(node, len(places))
        inside = clean.cut(node, windows.rows, windows.columns)
        first = zip(windows.rows.starts.tolist(), windows.columns.starts.tolist(), strict=True)
        for shown, (top, left), (row, column) in zip(inside, first, places, strict=True):
            hidden = self._filling[
                :, row : row + self._window[0], column : column + self._window[1]
            ]
            down, across = row - top, column - left
            shown[:, down : down + hidden.shape[1], across : across + hidden.shape[2]] = hidden
        return Patch(inside, windows) if node in plan else inside

    def _after(self, cut: int, late: torch.Tensor) -> torch.Tensor:
        """Scores, from what the first steps gave."""
        graph = self._graph
        if cut == len(graph.steps):
            return logits_in(late, len(late))
        values: Values = {**graph.constants, graph.steps[cut - 1].node: late}
        for step in graph.steps[cut:]:
            values[step.node] = step(values, may_overwrite=True)
            for node in step.ends:
                del values[node]
        return logits_in(graph.scores(values, len(late)), len(late))
