"""Exact incremental occlusion: only what a hidden place changes is computed [nakandala2019]."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import nn

from reportgen.errors import ResourceError
from reportgen.probe.answers import logits_in
from reportgen.probe.occlusion.clean import Clean, Patch
from reportgen.probe.occlusion.graph import Graph, Untraceable, Values, graph_of
from reportgen.probe.occlusion.places import with_hidden
from reportgen.probe.occlusion.rules import Plan, macs_of, patch_of, planned, whole_of
from reportgen.probe.occlusion.windows import Span, Windows, hidden_span
from reportgen.probe.probe import Probe, Progress

CHUNK = 4
"Places at a time, as a multiple of the images at a time: most of a place is never computed."


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
    with probe.lent(image) as (module, moved):
        graph = graph_of(module)
        clean = Clean(graph, moved)
    scores: list[torch.Tensor] = []
    start, size = 0, CHUNK * probe.batch_size
    while start < len(places):
        some = places[start : start + size]
        with probe.lent(filling) as (_, hiding):
            scores.append(_scores_of(graph, clean, moved, hiding, window, some))
        start += len(some)
        if progress:
            progress(start, len(places))
    return torch.cat(scores)


def _scores_of(
    graph: Graph,
    clean: Clean,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
) -> torch.Tensor:
    height, width = image.shape[1:]
    rows = hidden_span([row for row, _ in places], window[0], height)
    columns = hidden_span([column for _, column in places], window[1], width)
    plan = planned(graph, clean.sizes, Windows(rows, columns))
    images = with_hidden(image, filling, window, places)
    values: Values = {**graph.constants}
    if graph.image in plan:
        inside = torch.stack(
            [
                one[:, r : r + rows.size, c : c + columns.size]
                for one, r, c in zip(images, rows.starts.tolist(), columns.starts.tolist())
            ]
        )
        values[graph.image] = Patch(
            inside.contiguous(memory_format=torch.channels_last), plan[graph.image]
        )
    else:
        values[graph.image] = images.contiguous(memory_format=torch.channels_last)
    for step in graph.steps:
        if step.node in plan:
            values[step.node] = patch_of(step, plan[step.node], values, clean)
        else:
            values[step.node] = whole_of(step, values, clean, len(places))
        for node in step.ends:
            del values[node]
    for node, value in values.items():
        if isinstance(value, Patch):
            values[node] = clean.whole(node, value)
    return logits_in(graph.scores(values, len(places)), len(places))
