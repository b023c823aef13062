"""Curves of a score while pixels are taken away or put back, beside those of random maps."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 190, 96
"View box units of the drawing itself; one unit is one pixel where it has its own width."
_TOP, _BELOW = 22, 38


def fading_svg(
    title: str, own: Sequence[float], random: Sequence[float], highest: float, words: str
) -> str:
    """One method's curve (solid) and that of random maps (dashed), from none to all pixels.

    Args:
        title: `Deletion`, `Insertion`.
        own: the score before the first step and after each; at least two values.
        random: the same of random maps.
        highest: upper end of the scale, which starts at zero.
        words: of the method, for readers of text.
    """
    bottom = _TOP + HEIGHT

    def path(values: Sequence[float]) -> str:
        places = [
            f"{i * WIDTH / (len(values) - 1):.4g} "
            f"{bottom - HEIGHT * min(value / (highest or 1.0), 1):.4g}"
            for i, value in enumerate(values)
        ]
        return "M" + "L".join(places)

    areas = [
        (sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1) for values in (own, random)
    ]
    hint = "low is good" if title == "Deletion" else "high is good"
    at_end = ' text-anchor="end"'
    text = (
        (0, 12, ' font-weight="600"', title),
        (WIDTH, 12, at_end, hint),
        (0, bottom + 15, "", "no pixel"),
        (WIDTH, bottom + 15, at_end, "all"),
        (0, bottom + 32, "", f"area {areas[0]:.2f}, random {areas[1]:.2f}"),
    )
    labels = "".join(
        f'<text x="{x}" y="{y}" fill="currentColor" font-size="12"{more}>{label}</text>'
        for x, y, more, label in text
    )
    named = f"{title}: {words}, area {areas[0]:.2f}; random maps, area {areas[1]:.2f}."
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + _BELOW}" width="{WIDTH}" '
        f'height="{bottom + _BELOW}" role="img" aria-label="{escape(named)}">'
        f'<path class="rule" stroke="currentColor" d="M0 {bottom}H{WIDTH}"/>'
        f'<path class="rule" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-dasharray="4 3" d="{path(random)}"/>'
        f'<path class="dots" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linejoin="round" d="{path(own)}"/>{labels}</svg>'
    )
