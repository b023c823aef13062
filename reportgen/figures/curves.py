"""The curves over the layers as a figure for print: small multiples over one axis."""

from collections.abc import Sequence

from matplotlib.ticker import EngFormatter

from reportgen.figures.export import PRESS, SCREEN, figure, saved
from reportgen.report.blocks import Curves

BESIDE_PAGE = 5.5
"Inches of a figure that stands beside a page."
_NAMES = 24 / 5.5
"Layers named on an inch of their axis."
_LONGEST = 26
"Letters of a layer's name; of longer ones the end is shown."
_LETTER = 0.06
"Inches of a letter."
_LARGE = 10_000
"From here on numbers have prefixes: 25M."


def curves_figure(
    curves: Curves, formats: Sequence[str] = ("pdf", "svg", "png"), *, width: float | None = None
) -> dict[str, bytes]:
    """One panel a curve, from the first layer at the left to the last at the right.

    Args:
        curves: at least one.
        formats: of the files to make.
        width: in inches, for a paper; None for a figure beside a page.

    Returns:
        File contents by format. The same curves give the same bytes.
    """
    inches, dpi = (BESIDE_PAGE, SCREEN) if width is None else (width, PRESS)
    ticks = range(0, len(curves.layers), -(-len(curves.layers) // round(_NAMES * inches)))
    names = [curves.layers[at] for at in ticks]
    names = [name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}" for name in names]
    panel = 1.1 if width is None else 0.95
    height = panel * len(curves.curves) + _LETTER * max(map(len, names)) + 0.1
    with figure(inches, height, dpi) as drawn:
        panels = drawn.subplots(len(curves.curves), sharex=True, squeeze=False)[:, 0]
        for axes, curve in zip(panels, curves.curves, strict=True):
            scale = 100 if curve.unit == "share" else 1
            known = [(i, scale * v) for i, v in enumerate(curve.values) if v is not None]
            values = [value for _, value in known]
            axes.plot([i for i, _ in known], values, marker=".", markersize=3)
            unit = "%" if curve.unit == "share" else curve.unit
            axes.set_title(f"{curve.name} ({unit})" if unit else curve.name, loc="left")
            if curve.unit != "share" and values and 0 < 100 * min(values) < max(values):
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter("")
            else:
                axes.set_ylim(bottom=min([0.0, *values]))
            if width is not None and values and max(values) >= _LARGE:
                axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        panels[-1].set_xticks(ticks, names, rotation=90)
        panels[-1].set_xlim(-0.5, len(curves.layers) - 0.5)
        return saved(drawn, formats)
