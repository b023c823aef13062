"""Exact incremental occlusion: only what a hidden place changes is computed [nakandala2019]."""

from collections.abc import Callable, Sequence, Sized
from typing import TypeAlias, TypeVar

import numpy as np
import torch

from reportgen.errors import ResourceError, first_line
from reportgen.probe.answers import logits_in
from reportgen.probe.memory import memory_of
from reportgen.probe.occlusion.clean import Clean, Patch
from reportgen.probe.occlusion.graph import Graph, Untraceable, Values
from reportgen.probe.occlusion.grouping import grouped
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.occlusion.prepared import agree, clean_run
from reportgen.probe.occlusion.rules import Plan, macs_of, patch_of, planned, whole_of
from reportgen.probe.occlusion.windows import Windows, hidden_span
from reportgen.probe.probe import Probe, Progress

Places: TypeAlias = Sequence[tuple[int, int]]
"First row and column of each window."

Items = TypeVar("Items", Places, torch.Tensor)

CHUNK = 4
"Places at a time, as a multiple of the images at a time: most of a place is never computed."
ROOM = 0.5
"Share of a GPU's memory that places may fill: with few at a time it has too little to do."
FEW = (2**18, 2**15)
"Values a place, up to which results are collected, to run the layers after them in larger batches."
COLLECTED = 4
"""Places whose results are collected at most, about, as a multiple of those computed at a time; no
more than these where a GPU has room for many."""
LEAST = 1.05
"How many times fewer multiplications there must be, for windows to be worth it."


def exact_scores(
    probe: Probe,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Places,
    progress: Progress | None = None,
    clean: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scores (places classes), float32 on the CPU, with each place hidden: those of `plain_scores`.

    Where windows would save too few multiplications, the whole network is run, but step by step:
    with its norms folded into its convolutions, and its channels last.

    Args:
        probe: runs the network.
        image: normalised, (c h w).
        filling: normalised, (c h w), shown where a window hides the image.
        window: height and width in pixels.
        places: first row and column of each window.
        progress: told of the places done.
        clean: the network's own scores (1 classes) of the image; computed where they are None.

    Raises:
        Untraceable: if the network cannot be run step by step.
        ResourceError: if one place alone does not fit the memory.
    """
    with probe.borrow():
        known, graph, results = clean_run(probe, image, clean)
        with probe.lent(filling) as (_, moved):
            hidden = _Hidden(probe, graph, results, moved, window)
        scores = hidden.scores(places, progress)
        if not known.is_checked:
            # Once per network: steps that agree for a clean image might not for a hidden place.
            middle = len(places) // 2
            expected = plain_scores(probe, image, filling, window, [places[middle]])
            size = float(logits_in(results.scores, 1).nan_to_num(0, 0, 0).abs().max())
            if not agree(scores[[middle]], expected, results.scores.dtype, size):
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
        self._size = clean.sizes[graph.image]

    def scores(self, places: Places, progress: Progress | None) -> torch.Tensor:
        """Scores (places classes), float32 on the CPU.

        Raises:
            ResourceError: if one place alone does not fit the memory.
        """
        most = self._most()
        # Where a GPU is full of places, no more of them are needed for a large batch.
        enough = max(most, COLLECTED * CHUNK * self._probe.batch_size)
        batches = grouped(places, self._size, self._window, most)
        plans = [self._plan([places[i] for i in batch]) for batch in batches]
        if not self._is_worth_it(plans, batches):
            return self._plainly(places, progress)
        early, late = self._cuts(plans)
        done, parts, scores = 0, [], []
        for number, batch in enumerate(batches, 1):
            some = [places[i] for i in batch]
            parts += self._in_parts(some, most, lambda few: self._windowed(few, early))
            done += len(some)
            if number == len(batches) or sum(map(len, parts)) >= enough:
                scores += self._finished(parts, most, early, late)
                parts = []
            if progress:
                progress(done, len(places))
        return torch.cat(scores)[np.argsort(np.concatenate(batches))]

    def _most(self) -> int:
        """Places at a time: on a GPU as many as it has room for, with all results of each."""
        results = self._clean.results.items()
        kept = [value for node, value in results if node not in self._graph.constants]
        each = sum(value.nbytes for value in kept if isinstance(value, torch.Tensor))
        fitting = int(ROOM * memory_of(self._probe.device) / each)
        return max(CHUNK * self._probe.batch_size, fitting)

    def _finished(
        self, parts: list[torch.Tensor], most: int, early: int, late: int
    ) -> list[torch.Tensor]:
        """Scores in parts, from the results of the first `early` steps."""
        with self._probe.lent(self._filling):
            together = torch.cat(parts)
        middle = self._in_parts(together, most, lambda few: self._whole(few, early, late))
        with self._probe.lent(self._filling):
            together = torch.cat(middle)
        return self._in_parts(together, COLLECTED * most, lambda few: self._whole(few, late))

    def _is_worth_it(self, plans: Sequence[Plan], batches: Sequence[Sized]) -> bool:
        """Whether windows save enough multiplications."""
        graph, sizes = self._graph, self._clean.sizes
        windowed = sum(
            len(batch) * macs_of(graph, sizes, plan)
            for plan, batch in zip(plans, batches, strict=True)
        )
        whole = sum(map(len, batches)) * macs_of(graph, sizes, {})
        return whole >= LEAST * windowed

    def _plainly(self, places: Places, progress: Progress | None) -> torch.Tensor:
        """Scores (places classes) by all steps for the whole image."""
        parts: list[torch.Tensor] = []

        def run(some: Places) -> torch.Tensor:
            images = self._start(some, self._clean.everything(self._graph.image, len(some)))
            return logits_in(self._graph.run(images), len(some))

        size = self._probe.batch_size
        for start in range(0, len(places), size):
            parts += self._in_parts(places[start : start + size], size, run)
            if progress:
                progress(sum(map(len, parts)), len(places))
        return torch.cat(parts)

    def _in_parts(
        self, items: Items, most: int, run: Callable[[Items], torch.Tensor]
    ) -> list[torch.Tensor]:
        """What `run` gives for some places at a time; for half as many when memory runs out."""
        parts: list[torch.Tensor] = []
        start = 0
        while start < len(items):
            some = items[start : start + most]
            try:
                with self._probe.lent(self._filling):
                    parts.append(run(some))
            except ResourceError:
                if len(some) == 1:
                    raise
                most = len(some) // 2
            # What works for the clean image may fail for parts of it or for many, in any way.
            except Exception as error:
                raise Untraceable(
                    f"The network does not run step by step ({first_line(error)})."
                ) from error
            else:
                start += len(some)
                continue
            # Outside of the handler: there the error still holds the tensors of its frames.
            torch.cuda.empty_cache()
        return parts

    def _plan(self, places: Places) -> Plan:
        height, width = self._size
        rows = hidden_span([row for row, _ in places], self._window[0], height)
        columns = hidden_span([column for _, column in places], self._window[1], width)
        return planned(self._graph, self._clean.sizes, Windows(rows, columns))

    def _cuts(self, plans: Sequence[Plan]) -> tuple[int, int]:
        """Numbers of steps after which one result of few values is all that later steps need.

        Returns:
            The first with no more than each of `FEW` values a place; else the number of all steps.
        """
        found: dict[int, int] = {}
        alive = {self._graph.image}
        for done, step in enumerate(self._graph.steps, 1):
            alive = (alive | {step.node}) - set(step.ends)
            result = self._clean.results[step.node]
            is_one = isinstance(result, torch.Tensor) and alive == {step.node}
            is_one = is_one and result.ndim > 1 and len(result) == 1
            if is_one and not any(step.node in plan for plan in plans):
                for few in FEW:
                    if result.numel() <= few:
                        found.setdefault(few, done)
        early, late = (found.get(few, len(self._graph.steps)) for few in FEW)
        return early, late

    def _windowed(self, places: Places, end: int) -> torch.Tensor:
        """What the steps up to `end` give: the one result that later steps need, or the scores."""
        graph, clean = self._graph, self._clean
        plan = self._plan(places)
        windows = plan.get(graph.image) or clean.everything(graph.image, len(places))
        inside = self._start(places, windows)
        start = Patch(inside, windows) if graph.image in plan else inside
        values: Values = {**graph.constants, graph.image: start}
        for step in graph.steps[:end]:
            if step.node in plan:
                values[step.node] = patch_of(step, plan[step.node], values, clean)
            else:
                values[step.node] = whole_of(step, values, clean, len(places))
            for node in step.ends:
                del values[node]
        for node, value in values.items():
            if isinstance(value, Patch):
                values[node] = clean.whole(node, value)
        return self._result(values, end, len(places))

    def _whole(self, before: torch.Tensor, start: int, end: int | None = None) -> torch.Tensor:
        """What the steps from `start` to `end` give, from the one result before them."""
        graph = self._graph
        end = len(graph.steps) if end is None else end
        if start == end:
            return before
        values: Values = {**graph.constants, graph.steps[start - 1].node: before}
        for step in graph.steps[start:end]:
            # What was collected is needed again where the memory is too small for so many places.
            is_own = graph.steps[start - 1].node not in step.reads
            values[step.node] = step(values, may_overwrite=is_own)
            for node in step.ends:
                del values[node]
        return self._result(values, end, len(before))

    def _result(self, values: Values, end: int, places: int) -> torch.Tensor:
        steps = self._graph.steps
        if end < len(steps):
            result: torch.Tensor = values[steps[end - 1].node]
            return result
        return logits_in(self._graph.scores(values, places), places)

    def _start(self, places: Places, windows: Windows) -> torch.Tensor:
        """Windows of the image, in which its places are hidden."""
        inside = self._clean.cut(self._graph.image, windows.rows, windows.columns)
        first = zip(windows.rows.starts.tolist(), windows.columns.starts.tolist(), strict=True)
        for shown, (top, left), (row, column) in zip(inside, first, places, strict=True):
            hidden = self._filling[
                :, row : row + self._window[0], column : column + self._window[1]
            ]
            down, across = row - top, column - left
            shown[:, down : down + hidden.shape[1], across : across + hidden.shape[2]] = hidden
        return inside
