"""What every step of a network gave for the clean image, from which windows are cut."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx

from reportgen.probe.occlusion.graph import Graph, Values
from reportgen.probe.occlusion.windows import Span, Windows


@dataclass(frozen=True, eq=False)
class Patch:
    """A result for a batch of places: true inside of its windows, clean outside."""

    inside: torch.Tensor
    "(places c h w), in channels-last memory."
    windows: Windows


class Clean:
    """The results of all steps for one image, each map as (1 c h w)."""

    def __init__(self, graph: Graph, image: torch.Tensor) -> None:
        """Runs the image (c h w) once."""
        batch = image[None].contiguous(memory_format=torch.channels_last)
        values: Values = {**graph.constants, graph.image: batch}
        for step in graph.steps:
            values[step.node] = step(values)
        self.scores = graph.scores(values, 1)
        "(1 classes)"
        self.results = values
        self._maps: dict[fx.Node, torch.Tensor] = {}
        last = {step.node for step in graph.steps if step.is_last}
        for node, value in values.items():
            if isinstance(value, torch.Tensor) and value.ndim == 4 and len(value) == 1:
                channels_first = value.permute(0, 3, 1, 2) if node in last else value
                self._maps[node] = channels_first
        self.sizes = {node: (m.shape[2], m.shape[3]) for node, m in self._maps.items()}
        "Height and width of every result that is a map."
        self._padded: dict[tuple[fx.Node, tuple[int, ...], float], torch.Tensor] = {}
        self._sums: dict[fx.Node, torch.Tensor] = {}

    def cut(
        self,
        node: fx.Node,
        rows: Span,
        columns: Span,
        paddings: tuple[int, int] = (0, 0),
        value: float = 0.0,
    ) -> torch.Tensor:
        """Windows of a map, (places c h w) in channels-last memory.

        Args:
            node: of the map.
            rows: of the windows; they may stick out of the map.
            columns: likewise.
            paddings: at least so many cells are kept ready around the map, down and across.
            value: of what lies outside of the map.
        """
        height, width = self.sizes[node]
        top, bottom = _margins(rows, height, paddings[0])
        left, right = _margins(columns, width, paddings[1])
        base = self._ready(node, (left, right, top, bottom), value)
        places, channels = len(rows.starts), base.shape[2]
        strides = (base.stride(0), base.stride(1))
        view = base.as_strided(
            (
                *(base.shape[0] - rows.size + 1, base.shape[1] - columns.size + 1),
                *(rows.size, columns.size, channels),
            ),
            (*strides, *strides, 1),
        )
        first, second = (
            torch.from_numpy(starts).to(base.device)
            for starts in (rows.starts + top, columns.starts + left)
        )
        windows: torch.Tensor = view[first, second]
        assert windows.shape[0] == places
        return windows.permute(0, 3, 1, 2)

    def _ready(
        self, node: fx.Node, margins: tuple[int, int, int, int], value: float
    ) -> torch.Tensor:
        """A map with margins left, right, above and below, (h w c), made once."""
        key = (node, margins, value)
        if key not in self._padded:
            padded = F.pad(self._maps[node][0], margins, value=value)
            self._padded[key] = padded.permute(1, 2, 0).contiguous()
        return self._padded[key]

    def around(
        self,
        node: fx.Node,
        patch: Patch,
        wanted: Windows,
        paddings: tuple[int, int] = (0, 0),
        value: float = 0.0,
    ) -> torch.Tensor:
        """Other windows of a map that is changed in some: (places c h w).

        The tensor of the patch itself where the windows are the same.

        Args:
            node: of the map.
            patch: what has changed.
            wanted: the windows; they may stick out of the map.
            paddings: as in `cut`.
            value: of what lies outside of the map.
        """
        if wanted.same_as(patch.windows):
            return patch.inside
        cut = self.cut(node, wanted.rows, wanted.columns, paddings, value)
        down = _overlaps(patch.windows.rows, wanted.rows)
        across = _overlaps(patch.windows.columns, wanted.columns)
        if len(set(down)) == 1 and len(set(across)) == 1:
            (to_y, from_y), (to_x, from_x) = down[0], across[0]
            cut[:, :, slice(*to_y), slice(*to_x)] = patch.inside[
                :, :, slice(*from_y), slice(*from_x)
            ]
            return cut
        for place, ((to_y, from_y), (to_x, from_x)) in enumerate(zip(down, across, strict=True)):
            cut[place, :, slice(*to_y), slice(*to_x)] = patch.inside[
                place, :, slice(*from_y), slice(*from_x)
            ]
        return cut

    def whole(self, node: fx.Node, patch: Patch) -> torch.Tensor:
        """The result with its patch in it, for every place, as the network knows it."""
        everything = self.everything(node, len(patch.inside))
        maps = self.around(node, patch, everything)
        return maps.permute(0, 2, 3, 1) if self.is_last(node) else maps

    def everything(self, node: fx.Node, places: int) -> Windows:
        """The windows that hold the whole map."""
        height, width = self.sizes[node]
        none = np.zeros(places, dtype=np.int64)
        return Windows(Span(none, height), Span(none, width))

    def repeated(self, node: fx.Node, places: int) -> torch.Tensor:
        """The clean result for every place, without a copy of it."""
        value = self.results[node]
        repeated: torch.Tensor = value.expand(places, *value.shape[1:])
        return repeated

    def is_last(self, node: fx.Node) -> bool:
        """Whether a map has its channels last, (b h w c)."""
        return self._maps[node] is not self.results[node]

    def means(self, node: fx.Node, patch: Patch) -> torch.Tensor | None:
        """The mean of every channel over the whole map, (places c 1 1).

        The sum over the clean cells outside of the windows is that over all, less that inside, in
        double precision.

        Returns:
            None where a clean value is not finite: then no difference gives the sum outside.
        """
        height, width = self.sizes[node]
        if node not in self._sums:
            sums = self._maps[node][0].double().cumsum(1).cumsum(2)
            self._sums[node] = F.pad(sums, (1, 0, 1, 0))
        sums = self._sums[node]
        if not bool(torch.isfinite(sums[:, -1, -1]).all()):
            return None
        rows, columns = patch.windows.rows, patch.windows.columns
        top, left = (torch.from_numpy(s.starts).to(sums.device) for s in (rows, columns))
        bottom, right = top + rows.size, left + columns.size
        inside = sums[:, bottom, right] - sums[:, top, right]
        inside = inside - sums[:, bottom, left] + sums[:, top, left]
        outside = (sums[:, -1, -1, None] - inside).T
        total = patch.inside.sum((2, 3), dtype=torch.float64) + outside
        means = total / (height * width)
        return means.to(patch.inside.dtype)[:, :, None, None]


def _margins(span: Span, length: int, padding: int) -> tuple[int, int]:
    """Cells needed in front of and behind an axis."""
    behind = int((span.starts + span.size).max()) - length
    return max(padding, -int(span.starts.min())), max(padding, behind)


def _overlaps(patch: Span, wanted: Span) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where a window lies in the wanted one, and which part of it: (first, behind last) of both."""
    found = []
    for start, other in zip(patch.starts.tolist(), wanted.starts.tolist(), strict=True):
        low, high = max(start, other), min(start + patch.size, other + wanted.size)
        high = max(low, high)
        found.append(((low - other, high - other), (low - start, high - start)))
    return found
