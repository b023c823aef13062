"""One quantity over checkpoints as a small plot: a dot for each, neighbours joined."""

import math
from collections.abc import Sequence
from html import escape

from reportgen.figures.svg import with_unit

HEIGHT = 84
"View box units of the drawing itself; one unit is one pixel where it has its own width."
_TOP, _BELOW, _SIDE = 22, 20, 6
_NAME = 24
"Units that the name of a checkpoint takes."


def series_svg(
    title: str,
    unit: str,
    names: Sequence[str],
    values: Sequence[float | None],
    *,
    highest: float | None = None,
    width: int = 190,
    about: str = "",
) -> str:
    """The values from the first checkpoint at the left to the last at the right.

    Args:
        title: what is shown, above the plot; empty where the page says it.
        unit: of the values; `share` for percent.
        names: short names of the checkpoints.
        values: one a checkpoint; None where it is not defined.
        highest: upper end of the scale, which starts at zero; None for the largest value.
        width: in view box units.
        about: what is shown, for readers of text; empty for the title.
    """
    known = {i: v for i, v in enumerate(values) if v is not None and math.isfinite(v)}
    top = highest if highest is not None else max(known.values(), default=0.0)
    bottom = _TOP + HEIGHT
    step = (width - 2 * _SIDE) / max(len(values) - 1, 1)

    def place(index: int) -> str:
        share = min(max(known[index], 0.0) / top, 1.0) if top > 0 else 0.0
        return f"{_SIDE + index * step:.4g} {bottom - HEIGHT * share:.4g}"

    line = "".join(f"{'L' if index - 1 in known else 'M'}{place(index)}" for index in sorted(known))
    dots = "".join(f"M{place(index)}h0" for index in sorted(known))
    first, last = (with_unit(known[i], unit) if i in known else "–" for i in (0, len(values) - 1))
    at_end = ' text-anchor="end"'
    # As many names as there is room for; the first and the last always.
    every = -(-len(values) * _NAME // width)
    between = [
        (_SIDE + i * step, bottom + 15, ' text-anchor="middle"', names[i])
        for i in range(every, len(values) - every, every)
    ]
    text = (
        (0, 12, ' font-weight="600"', title),
        (width, 12, at_end, f"{first} → {last}"),
        (0, bottom + 15, "", names[0]),
        (width, bottom + 15, at_end, names[-1]),
        *between,
    )
    labels = "".join(
        f'<text x="{x:.4g}" y="{y}" fill="currentColor" font-size="12"{more}>{escape(words)}</text>'
        for x, y, more, words in text
        if words
    )
    told = ", ".join(
        f"{name} {with_unit(known[i], unit) if i in known else 'not defined'}"
        for i, name in enumerate(names)
    )
    return (
        f'<svg class="chart" viewBox="0 0 {width} {bottom + _BELOW}" width="{width}" '
        f'height="{bottom + _BELOW}" role="img" aria-label="{escape(f"{about or title}: {told}")}">'
        f'<path class="rule" stroke="currentColor" d="M0 {bottom}H{width}"/>'
        f'<path class="line" fill="none" stroke="currentColor" d="{line}"/>'
        f'<path class="dots" fill="none" stroke="currentColor" stroke-width="5" '
        f'stroke-linecap="round" d="{dots}"/>{labels}</svg>'
    )
