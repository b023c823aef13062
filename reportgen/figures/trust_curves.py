"""Deletion and insertion curves of every attribution method, as a figure for print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.report.arrays import Array, FloatArray

_PANEL = 1.55
"Inches of a panel's width at least."
_AXIS = 0.3
"Inches of its numbers."


@dataclass(frozen=True, eq=False)
class TrustCurves:
    """The probability of the class as pixels go and come back, by method."""

    title: str
    methods: tuple[str, ...]
    curves: Mapping[str, FloatArray]
    """(methods steps+1) by name: `deletion`, `random_deletion`, `insertion` and
    `random_insertion`."""

    def data(self) -> Mapping[str, Array]:
        """The curves, and whose they are."""
        return {"methods": np.array(self.methods), **self.curves}

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """Two panels a method; solid is its own curve, dashed that of random maps."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import POINTS, SMALL, TITLE, title_lines

        columns = 2 * max(1, int(width / (2 * _PANEL)))
        count = 2 * len(self.methods)
        rows = -(-count // columns)
        highest = max(float(np.nanmax(values)) for values in self.curves.values()) or 1.0
        with figure(width, 0.95 * rows + 0.55, PRESS) as drawn:
            title = "\n".join(title_lines(self.title, width * POINTS))
            drawn.suptitle(title, fontsize=TITLE, x=0.01, ha="left")
            panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
            for at, axes in enumerate(panels):
                if at >= count:
                    axes.remove()
                    continue
                method, kind = at // 2, ("deletion", "insertion")[at % 2]
                own, random = (self.curves[f"{prefix}{kind}"][method] for prefix in ("", "random_"))
                shares = np.linspace(0, 100, len(own))
                axes.plot(shares, random, color="0.5", linestyle="--", label="random maps")
                axes.plot(shares, own, color="C0", label="in the order of the map")
                name = f"{self.methods[method]}: {kind}"
                lines = title_lines(name, (width / columns - _AXIS) * POINTS, SMALL)
                axes.set_title("\n".join(lines), fontsize=SMALL)
                axes.set_ylim(0, 1.05 * highest)
                axes.tick_params(labelsize=SMALL, length=2, labelbottom=True)
                axes.set_xticks([0, 50, 100])
            for axes in panels[:count:columns]:
                axes.set_ylabel("probability", labelpad=2)
            for axes in panels[max(0, count - columns) : count]:
                axes.set_xlabel("pixels changed (%)", labelpad=2)
            lines, names = panels[0].get_legend_handles_labels()
            drawn.legend(
                lines[::-1], names[::-1], loc="outside lower center", ncols=2, frameon=False
            )
            return saved(drawn, formats)
