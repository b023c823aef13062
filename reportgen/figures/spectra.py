"""Spectra as inline SVG: energy over spatial frequency, and where a stride stops carrying it."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 400, 96
"View box units of the drawing itself; one unit is one pixel where it has its own width."
_TOP, _BELOW = 22, 20
DECADES = 3
"Powers of ten on the scale; what lies lower is drawn at its bottom."
FINEST = 0.5
"Cycles per pixel at the right edge."

Values = Sequence[float]


def spectrum_svg(
    words: str,
    kernels: Values,
    read: Values,
    given: Values,
    bands: Sequence[float],
    stride: int,
) -> str:
    """Radial averages of a layer's spectra, on a log scale, each relative to its largest value.

    Solid: its kernels. Dashed: what it reads. Dotted: what its stride samples. What the stride
    cannot carry is shaded.

    Args:
        words: of the layer, for readers of text.
        kernels: of rings of equal width from 0 to `FINEST`; NaN where there is no value.
        read: the same of its input.
        given: the same of its output before sampling.
        bands: where the middle band begins and ends.
        stride: 1 for none.
    """
    bottom = _TOP + HEIGHT
    drawing = ""
    if stride > 1:
        left = WIDTH / stride
        drawing += (
            f'<path fill="currentColor" opacity=".08" '
            f'd="M{left:.4g} {_TOP}H{WIDTH}V{bottom}H{left:.4g}z"/>'
        )
    for edge in bands:
        x = WIDTH * edge / FINEST
        drawing += f'<path class="rule" stroke="currentColor" d="M{x:.4g} {_TOP}V{bottom}"/>'
    drawing += f'<path class="rule" stroke="currentColor" d="M0 {bottom}H{WIDTH}"/>'
    for values, kind, more in (
        (read, "rule", ' stroke-width="2" stroke-dasharray="4 3"'),
        (given, "zero", ' stroke-width="2"'),
        (kernels, "dots", ' stroke-width="2" stroke-linejoin="round"'),
    ):
        path = _path(values, bottom)
        if path:
            drawing += f'<path class="{kind}" fill="none" stroke="currentColor"{more} d="{path}"/>'
    names = ("coarse", "middle", "fine")
    edges = (0.0, *bands, FINEST)
    for name, (start, end) in zip(names, pairwise(edges), strict=True):
        drawing += _text(WIDTH * (start + end) / 2 / FINEST, 14, name)
    drawing += _text(0, bottom + 15, "0", "start")
    for edge in bands:
        drawing += _text(WIDTH * edge / FINEST, bottom + 15, f"1/{1 / edge:.3g}")
    drawing += _text(WIDTH, bottom + 15, "1/2 cycles per pixel", "end")
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + _BELOW}" width="{WIDTH}" '
        f'height="{bottom + _BELOW}" role="img" aria-label="{escape(words)}">{drawing}</svg>'
    )


def _path(values: Values, bottom: int) -> str:
    """A line through the middle of each ring that has a value, until it leaves the scale."""
    known = [(ring, value) for ring, value in enumerate(values) if math.isfinite(value)]
    while len(known) > 1 and max(known[-2][1], known[-1][1]) <= 10.0**-DECADES:
        known.pop()
    places = []
    for ring, value in known:
        height = 1 + math.log10(max(value, 10.0**-DECADES)) / DECADES
        x = (ring + 0.5) * WIDTH / len(values)
        places.append(f"{x:.4g} {bottom - HEIGHT * min(height, 1):.3g}")
    return f"M{'L'.join(places)}" if places else ""


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.4g}" y="{y}" fill="currentColor" font-size="12" '
        f'text-anchor="{anchor}">{words}</text>'
    )
