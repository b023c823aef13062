"""Spectra of the layers of a network as a figure for print: kernels, input, and before sampling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reportgen.figures.spectra import DECADES, FINEST
from reportgen.report.arrays import Array, FloatArray

_PANEL = 1.55
"Inches of a panel's width at least."
_AXIS = 0.3
"Inches of its numbers."


@dataclass(frozen=True, eq=False)
class SpectraSheet:
    """Energy over spatial frequency, each curve relative to its largest value."""

    layers: tuple[str, ...]
    "With their windows: `conv1, 11 x 11, stride 4`."
    strides: tuple[int, ...]
    bands: tuple[float, ...]
    "Cycles per pixel where the middle band begins and ends."
    curves: Mapping[str, FloatArray]
    "(layers rings) by name: `kernels`, `read`, `given`; NaN where there is no value."

    def data(self) -> Mapping[str, Array]:
        """The curves, whose they are, and the frequencies."""
        rings = next(iter(self.curves.values())).shape[1]
        frequencies = (np.arange(rings) + 0.5) * FINEST / rings
        return {"layers": np.array(self.layers), "cycles_per_pixel": frequencies, **self.curves}

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """One panel a layer; what its stride cannot carry is shaded."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import POINTS, SMALL, title_lines

        columns = min(len(self.layers), max(1, int(width / _PANEL)))
        rows = -(-len(self.layers) // columns)
        frequencies = self.data()["cycles_per_pixel"]
        looks = (
            ("read", "what the layer reads", {"color": "0.5", "linestyle": "--"}),
            ("given", "what its stride samples", {"color": "C1", "linestyle": ":"}),
            ("kernels", "its kernels", {"color": "C0"}),
        )
        with figure(width, 1.05 * rows + 0.55, PRESS) as drawn:
            panels = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
            for at, axes in enumerate(panels):
                if at >= len(self.layers):
                    axes.remove()
                    continue
                if self.strides[at] > 1:
                    start = FINEST / self.strides[at]
                    axes.axvspan(start, FINEST, color="0.92", label="too fine for the stride")
                for edge in self.bands:
                    axes.axvline(edge, color="0.75", linewidth=0.5)
                for name, label, look in looks:
                    axes.plot(frequencies, self.curves[name][at], label=label, **look)
                lines = title_lines(self.layers[at], (width / columns - _AXIS) * POINTS, SMALL)
                axes.set_title("\n".join(lines), fontsize=SMALL)
                axes.set(yscale="log", ylim=(10.0**-DECADES, 1.5), xlim=(0, FINEST))
                axes.set_yticks([10.0**-power for power in range(DECADES + 1)])
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter("")
                axes.tick_params(labelsize=SMALL, length=2, labelbottom=True)
            for axes in panels[: len(self.layers) : columns]:
                axes.set_ylabel("energy", labelpad=2)
            for axes in panels[max(0, len(self.layers) - columns) : len(self.layers)]:
                axes.set_xlabel("cycles per pixel", labelpad=2)
            known: dict[str, Any] = {}
            for axes in panels[: len(self.layers)]:
                known |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
            drawn.legend(
                known.values(),
                known.keys(),
                loc="outside lower center",
                ncols=4 if width > 4 else 2,
                frameon=False,
                fontsize=SMALL,
            )
            return saved(drawn, formats)
