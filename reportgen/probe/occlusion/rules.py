"""What each kind of operation does with the window of a map that has changed [nakandala2019].

First where the windows of every step lie, which is arithmetic alone; then what is in them, from the
true values inside and those of the clean image around.
"""

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx

from reportgen.probe.occlusion.clean import Clean, Patch
from reportgen.probe.occlusion.graph import Graph, Step, Values
from reportgen.probe.occlusion.kinds import (
    Concatenation,
    Convolution,
    Join,
    Mean,
    Measure,
    Pointwise,
    Pooling,
    Reaches,
)
from reportgen.probe.occlusion.windows import (
    Windows,
    cells_averaged,
    changed_span,
    needed_span,
    union_span,
)

MOST = 0.75
"Share of a map from which on the whole of it is computed: cutting windows out has a price too."

Plan: TypeAlias = Mapping[fx.Node, Windows]
"Where each result may differ from the clean one; nodes that are missing are computed whole."

Sizes: TypeAlias = Mapping[fx.Node, tuple[int, int]]
"Height and width of every result that is a map."


def planned(graph: Graph, sizes: Sizes, start: Windows) -> Plan:
    """Where the windows of every step lie.

    Args:
        graph: of the network.
        sizes: of the maps, for one size of the image.
        start: what is hidden of the image.
    """
    plan: dict[fx.Node, Windows] = {}
    if _is_part(start, sizes[graph.image]):
        plan[graph.image] = start
    for step in graph.steps:
        before = [plan[read] for read in step.reads if read in plan]
        # Where one input is whole, or no map, so is the output.
        if len(before) == len(step.reads) and step.node in sizes:
            windows = _windows_after(step, before, sizes)
            if windows and _is_part(windows, sizes[step.node]):
                plan[step.node] = windows
    return plan


def _is_part(windows: Windows, size: tuple[int, int]) -> bool:
    return windows.rows.size * windows.columns.size < MOST * size[0] * size[1]


def _windows_after(step: Step, before: Sequence[Windows], sizes: Sizes) -> Windows | None:
    """Where the result of a step may change, where its inputs do; None for anywhere."""
    height, width = sizes[step.node]
    match step.kind:
        case Convolution(reaches=(down, across)) | Pooling(reaches=(down, across)):
            rows = changed_span(before[0].rows, down, height)
            return Windows(rows, changed_span(before[0].columns, across, width))
        case Pointwise():
            return before[0]
        case Join() | Concatenation():
            if any(sizes[read] != (height, width) for read in step.reads):
                return None
            rows = union_span([windows.rows for windows in before], height)
            return Windows(rows, union_span([windows.columns for windows in before], width))
    return None


def macs_of(graph: Graph, sizes: Sizes, plan: Plan) -> int:
    """Multiplications of all convolutions, for one place of a plan."""
    total = 0
    for step in graph.steps:
        if isinstance(step.kind, Convolution):
            size = plan[step.node].size if step.node in plan else sizes[step.node]
            total += step.kind.weight.numel() * size[0] * size[1]
    return total


def patch_of(
    step: Step, windows: Windows, values: MutableMapping[fx.Node, Any], clean: Clean
) -> Patch:
    """The result of a step inside of its windows.

    Args:
        step: one that the plan has windows for.
        windows: of its result.
        values: patches of all that it reads, and constants.
        clean: results for the clean image.
    """
    first = step.reads[0]
    match step.kind:
        case Convolution():
            maps = _read(first, values[first], windows, step.kind.reaches, clean, 0.0)
            return Patch(step.kind(maps, is_padded=True), windows)
        case Pooling():
            return Patch(_pooled(first, step.kind, values[first], windows, clean), windows)
    operands: Values = {}
    for read in step.reads:
        maps = clean.around(read, values[read], windows)
        operands[read] = maps.permute(0, 2, 3, 1) if clean.is_last(read) else maps
    result = step(ChainMap(operands, values), may_overwrite=True)
    return Patch(result.permute(0, 3, 1, 2) if step.is_last else result, windows)


def _read(
    node: fx.Node, patch: Patch, after: Windows, reaches: Reaches, clean: Clean, value: float
) -> torch.Tensor:
    """All cells (places c h w) that the output windows `after` read, padding among them."""
    needed = Windows(needed_span(after.rows, reaches[0]), needed_span(after.columns, reaches[1]))
    paddings = (reaches[0].padding, reaches[1].padding)
    return clean.around(node, patch, needed, paddings, value)


def _pooled(
    node: fx.Node, pooling: Pooling, patch: Patch, after: Windows, clean: Clean
) -> torch.Tensor:
    down, across = pooling.reaches
    kernel, stride = (down.kernel, across.kernel), (down.stride, across.stride)
    if pooling.is_maximum:
        maps = _read(node, patch, after, pooling.reaches, clean, -torch.inf)
        return F.max_pool2d(maps, kernel, stride, 0, (down.dilation, across.dilation))
    maps = _read(node, patch, after, pooling.reaches, clean, 0.0)
    if pooling.divisor is not None:
        return F.avg_pool2d(maps, kernel, stride, divisor_override=pooling.divisor)
    counts = [
        cells_averaged(span, reach, length, pooling.counts_padding)
        for span, reach, length in zip(
            (after.rows, after.columns), pooling.reaches, clean.sizes[node], strict=True
        )
    ]
    if all((count == size).all() for count, size in zip(counts, kernel, strict=True)):
        return F.avg_pool2d(maps, kernel, stride)
    sums = F.avg_pool2d(maps, kernel, stride, divisor_override=1)
    cells = torch.from_numpy(np.einsum("by,bx->byx", *counts)).to(sums)
    return sums / cells[:, None]


def whole_of(step: Step, values: MutableMapping[fx.Node, Any], clean: Clean, places: int) -> Any:
    """The whole result of a step, for every place of a batch.

    Args:
        step: any.
        values: of all that it reads, patches or whole; what is made whole here stays so.
        clean: results for the clean image.
        places: in the batch.
    """
    patched = [read for read in step.reads if isinstance(values[read], Patch)]
    if isinstance(step.kind, Measure):
        return step(ChainMap({read: clean.repeated(read, places) for read in patched}, values))
    if patched and isinstance(step.kind, Mean):
        means = clean.means(patched[0], values[patched[0]])
        if means is not None:
            return means if step.kind.keeps_axes else means.flatten(1)
    whole = {read: clean.whole(read, values[read]) for read in patched}
    return step(ChainMap(whole, values), may_overwrite=True)
