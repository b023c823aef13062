"""A count that falls as images are added, as inline SVG over the number of images."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise

from reportgen.figures.svg import number

WIDTH, HEIGHT = 400, 110
"View box units of the drawing itself; one unit is one pixel where it has its own width."
_TOP, _BELOW, _END = 22, 20, 44
"Above it, below it, and at its right for the last value."


def dwindling_svg(
    title: str, images: Sequence[int], counts: Sequence[float], *, height: int = HEIGHT
) -> str:
    """Counts after so many images, on a log scale of images; each point tells its numbers.

    Args:
        title: what is counted.
        images: rising, from 1 on; at least two.
        counts: after so many images, none above the first.
        height: of the drawing itself.
    """
    bottom, room = _TOP + height, WIDTH - _END
    highest = max(*counts, 1e-9)
    most = images[-1]

    def x(n: int) -> float:
        return room * math.log(n) / math.log(most)

    def y(count: float) -> float:
        return bottom - height * count / highest

    places = [f"{x(n):.4g} {y(count):.4g}" for n, count in zip(images, counts, strict=True)]
    ticks = [1, *(10**k for k in range(1, 9) if 2 * 10**k <= most), most]
    drawn = f'<path class="rule" stroke="currentColor" d="M0 {bottom}H{room}"/>'
    drawn += f'<path class="line" fill="none" stroke="currentColor" d="M{"L".join(places)}"/>'
    drawn += '<path class="dots" fill="none" stroke="currentColor" stroke-width="4" '
    drawn += f'stroke-linecap="round" d="{"".join(f"M{place}h0" for place in places)}"/>'
    drawn += _text(0, 12, title, weight="600")
    drawn += _text(8, _TOP + 2, mean_count(counts[0]))
    drawn += _text(room + 8, y(counts[-1]) + 4, mean_count(counts[-1]))
    for n in ticks:
        words = f"{n:,}" + (" image" if n == 1 else " images" if n == most else "")
        drawn += _text(x(n), bottom + 15, words, "" if n == 1 else "middle")
    told = (
        f"{title}: {mean_count(counts[0])} after 1 image, {mean_count(counts[-1])} after {most:,}."
    )
    middles = [x(a) / 2 + x(b) / 2 for a, b in pairwise(images)]
    columns = "".join(
        f'<path d="M{left:.4g} {_TOP}H{right:.4g}V{bottom}H{left:.4g}z">'
        f"<title>After {n:,}: {mean_count(count)}</title></path>"
        for n, count, (left, right) in zip(
            images, counts, pairwise([0.0, *middles, room]), strict=True
        )
    )
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {bottom + _BELOW}" width="{WIDTH}" '
        f'height="{bottom + _BELOW}"><g role="img" aria-label="{escape(told)}">{drawn}</g>'
        '<g class="targets" fill="none" pointer-events="all" aria-hidden="true">'
        f"{columns}</g></svg>"
    )


def mean_count(count: float) -> str:
    """Whole counts in full, means with three digits."""
    return f"{round(count):,}" if math.isclose(count, round(count)) else number(count)


def _text(x: float, y: float, words: str, anchor: str = "", weight: str = "") -> str:
    more = f' text-anchor="{anchor}"' if anchor else ""
    more += f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" fill="currentColor" font-size="12"{more}>'
        f"{escape(words)}</text>"
    )
