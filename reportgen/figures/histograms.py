"""Histograms for print, such as those of the weights of a layer, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.report.arrays import Array
from reportgen.report.blocks import Histogram

_PANEL = 1.6
"Inches of a histogram's width at least; 1.15 is its height."
_AXIS = 0.3
"Inches of its numbers."


@dataclass(frozen=True, eq=False)
class Histograms:
    """Several histograms, each on axes of its own."""

    title: str
    of: str
    "What is counted: `weight`."
    names: tuple[str, ...]
    histograms: tuple[Histogram, ...]

    def data(self) -> Mapping[str, Array]:
        """Edges of the bins, and counts; of several histograms one below the other."""
        bins: list[Sequence[Array]] = []
        for name, shown in zip(self.names, self.histograms, strict=True):
            edges, counts = _edges(shown), np.array(shown.counts)
            bins.append((np.full(len(counts), name), edges[:-1], edges[1:], counts))
        columns = (np.concatenate(column) for column in zip(*bins, strict=True))
        return dict(zip(("name", "from", "to", "count"), columns, strict=True))

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """One panel a histogram."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import POINTS, SMALL, TEXT, TITLE, title_lines

        columns = min(len(self.names), max(1, int(width / _PANEL)))
        rows = -(-len(self.names) // columns)
        with figure(width, 1.15 * rows + 0.25, PRESS) as drawn:
            title = "\n".join(title_lines(self.title, width * POINTS))
            drawn.suptitle(title, fontsize=TITLE, x=0.01, ha="left")
            panels = drawn.subplots(rows, columns, squeeze=False).ravel()
            for axes in panels[len(self.names) :]:
                axes.remove()
            for axes, name, shown in zip(panels, self.names, self.histograms, strict=False):
                axes.stairs(shown.counts, _edges(shown), fill=True)
                axes.axvline(0, color="black", linewidth=0.5, linestyle=":")
                axes.set_xlim(*_edges(shown)[[0, -1]])
                lines = title_lines(name, (width / columns - _AXIS) * POINTS)
                axes.set_title("\n".join(lines), fontsize=TEXT)
                axes.tick_params(labelsize=SMALL, length=2)
                axes.locator_params(nbins=4)
                axes.set_xlabel(self.of, labelpad=1)
            for axes in panels[: len(self.names) : columns]:
                axes.set_ylabel("count", labelpad=2)
            return saved(drawn, formats)


def _edges(shown: Histogram) -> Array:
    """Where bins begin and end; half to both sides of the one value that all have."""
    half = 0.0 if shown.high > shown.low else 0.5
    edges: Array = np.linspace(shown.low - half, shown.high + half, len(shown.counts) + 1)
    return edges
