"""Fast occlusion: only the difference that a hidden place makes goes through the network, in bf16.

The values of the clean image stay in float32 and are computed once. A difference is rounded to
eight bits, so that its error scales with the difference, and not with the value it is added to.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

import torch

from reportgen.errors import first_line
from reportgen.probe.answers import logits_in
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.occlusion.clean import Clean
from reportgen.probe.occlusion.delta_rules import Rules
from reportgen.probe.occlusion.delta_steps import wide_steps
from reportgen.probe.occlusion.delta_windows import Difference
from reportgen.probe.occlusion.graph import Graph, Untraceable, Values
from reportgen.probe.occlusion.grouping import grouped
from reportgen.probe.occlusion.kinds import Convolution
from reportgen.probe.occlusion.prepared import clean_run
from reportgen.probe.occlusion.rules import planned
from reportgen.probe.occlusion.windows import Windows, hidden_span
from reportgen.probe.probe import Probe, Progress

MOST_PLACES, FEWEST, CLASSES = 64, 8, 4
"Places at a time, and how finely they are grouped; see `grouped`."

WIDE, MOST_WIDE = 0.005, 0.3
"""Share of the multiplications that stays in float32, first layers first: this much for every
convolution, up to a limit. What is rounded early passes through all later layers, and a deep
network multiplies it: a fifth of ResNet-50 with random weights in float32 takes nine tenths of the
error away."""


def delta_scores(
    probe: Probe,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
    progress: Progress | None = None,
    dtype: torch.dtype = torch.bfloat16,
    clean: torch.Tensor | None = None,
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
        clean: the network's own scores (1 classes) of the image; computed where they are None.

    Raises:
        Untraceable: if the network cannot be run step by step.
        ResourceError: if the places of one group do not fit the memory.
    """
    with probe.borrow():
        _, graph, results = clean_run(probe, image, clean)
        with probe.lent(image) as (_, moved), probe.lent(filling) as (_, hiding):
            engine = DeltaEngine(graph, results, moved, hiding, window, dtype)
            scores = torch.empty(len(places), results.scores.shape[1])
            done = 0
            for indices, some in engine.scores(places):
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
        share: float | None = None,
    ) -> None:
        """Gets weights and differences ready.

        Args:
            graph: of the network.
            clean: results of its steps for the image.
            image: normalised, (c h w).
            filling: normalised, (c h w), shown where a window hides the image.
            window: height and width in pixels.
            dtype: of the differences, behind the first layers.
            share: of the multiplications that is done in float32; None for `WIDE` a convolution.
        """
        self._graph, self._clean, self._window = graph, clean, window
        self._change = filling - image
        height, width = image.shape[1:]
        middle = ((height - window[0]) // 2, (width - window[1]) // 2)
        plan = planned(graph, clean.sizes, self._hidden([middle]))
        if share is None:
            depth = sum(isinstance(step.kind, Convolution) for step in graph.steps)
            share = min(MOST_WIDE, WIDE * depth)
        self._rules = Rules(graph, clean, dtype, wide_steps(graph, clean.sizes, plan, share))

    def scores(self, places: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Indices of places and their scores (some classes), float32 on the CPU."""
        size = (self._change.shape[1], self._change.shape[2])
        found = grouped(places, size, self._window, MOST_PLACES, CLASSES, FEWEST)
        # The largest first, so that all threads end at about the same time.
        parts = sorted((part.tolist() for part in found), key=len, reverse=True)
        with _workers(self._change.device) as pool:
            running = {self._start(pool, places, part): part for part in parts}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    part = running.pop(future)
                    error = future.exception()
                    if error is None:
                        yield part, future.result()
                    elif is_out_of_memory(error) and len(part) > 1:
                        middle = len(part) // 2
                        for half in (part[:middle], part[middle:]):
                            running[self._start(pool, places, half)] = half
                    elif is_out_of_memory(error):
                        raise error
                    else:
                        # What works for values may fail for differences of them, in any way.
                        raise Untraceable(
                            f"No differences go through the network ({first_line(error)})."
                        ) from error

    def _start(
        self, pool: Executor, places: Sequence[tuple[int, int]], part: Sequence[int]
    ) -> Future[torch.Tensor]:
        return pool.submit(self._scores, [places[index] for index in part])

    def _hidden(self, places: Sequence[tuple[int, int]]) -> Windows:
        height, width = self._change.shape[1:]
        rows = hidden_span([max(0, row) for row, _ in places], self._window[0], height)
        columns = hidden_span([max(0, column) for _, column in places], self._window[1], width)
        return Windows(rows, columns)

    @torch.no_grad()
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
        return Difference(torch.stack(parts).contiguous(memory_format=torch.channels_last), windows)


@contextmanager
def _workers(device: torch.device) -> Iterator[Executor]:
    """As many threads as PyTorch would use for one operation, each of which uses one.

    Operations on small windows are too short to be shared out; groups of places are not.
    """
    threads = torch.get_num_threads()
    count = threads if device.type == "cpu" else 1
    pool = ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, 1))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
