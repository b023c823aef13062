"""The curves over the layers as a figure for print: small multiples over one axis."""

from collections.abc import Sequence

from reportgen.figures.export import PRESS, SCREEN, figure, saved
from reportgen.report.blocks import Curves

BESIDE_PAGE = 5.5
"Inches of a figure that stands beside a page."
_NAMES = 24 / 5.5
"Layers named on an inch of their axis."


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
    with figure(inches, 1.1 * len(curves.curves) + 0.5, dpi) as drawn:
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
        ticks = range(0, len(curves.layers), -(-len(curves.layers) // round(_NAMES * inches)))
        panels[-1].set_xticks(ticks, [curves.layers[i] for i in ticks], rotation=90)
        panels[-1].set_xlim(-0.5, len(curves.layers) - 0.5)
        return saved(drawn, formats)
