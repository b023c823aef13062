"""Small plots as inline SVG, written from the data: no library, no script, about a kilobyte each.

Colours come from the page: `.bars` and `.dots` are filled or stroked with the current colour unless
the style sheet says otherwise; `.rule` is an axis, `.zero` marks zero and `.line` joins points.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from reportgen.report.blocks import Curve, Curves, Histogram

WIDTH = 400
"View box units, all plots; one unit is one pixel where the page gives the plot its own width."
_LEFT, _TOP = 2, 22
_HISTOGRAM, _CURVE = 120, 96
"Heights of the drawing itself."
_QUARTERS = 4
MOST_TARGETS = 64
"Columns of a curve that can be pointed at; more layers than that share them."


def histogram_svg(histogram: Histogram, title: str, *, log: bool | None = None) -> str:
    """Bars from `low` to `high`, with the ends of both axes in words.

    Args:
        histogram: at least one bin.
        title: what is counted, as the name of the plot for readers of text.
        log: whether heights grow with the logarithm of the count, which the plot then says;
            None for only where one bin holds more than ten times as many as any other.
    """
    counts, low, high = histogram.counts, histogram.low, histogram.high
    total, highest = sum(counts), max(counts)
    if log is None:
        log = highest > 10 * max(sorted(counts)[-2:-1], default=highest)
    step = (WIDTH - 2 * _LEFT) / len(counts)
    bottom = _TOP + _HISTOGRAM
    # Drawn in bins and quarters of a pixel, from one height to the next: a third of the text.
    bars, before = "M0 0", 0
    for count in counts:
        share = math.log1p(count) / math.log1p(highest) if log else count / max(highest, 1)
        height = round(_QUARTERS * _HISTOGRAM * share)
        bars += f"v{before - height}h1"
        before = height
    grid = f"translate({_LEFT} {bottom})scale({step:.5g} {1 / _QUARTERS})"
    labels = _text(_LEFT, bottom + 15, number(low)) + _text(WIDTH, bottom + 15, number(high), "end")
    zero = ""
    if low < 0 < high:
        x = _LEFT + (WIDTH - 2 * _LEFT) * -low / (high - low)
        zero = f'<path class="zero" d="M{x:.4g} {_TOP}V{bottom}" stroke="currentColor"/>'
        if 50 < x < WIDTH - 50:
            labels += _text(x, bottom + 15, "0", "middle")
    labels += _text(WIDTH, 12, f"up to {highest:,} in a bin{', log scale' if log else ''}", "end")
    edge = [number(low + (counts.index(highest) + i) / len(counts) * (high - low)) for i in (0, 1)]
    words = (
        f"{total:,} values from {number(low)} to {number(high)} in {len(counts)} bins. "
        f"The fullest, from {edge[0]} to {edge[1]}, holds {highest:,}."
        f"{' Heights are on a log scale.' if log else ''}"
    )
    drawing = (
        f'<path class="bars" transform="{grid}" fill="currentColor" d="{bars}V0z"/>{zero}'
        f'<path class="rule" stroke="currentColor" d="M0 {bottom}H{WIDTH}"/>{labels}'
    )
    return _svg("histogram", bottom + 20, title, words, drawing)


def curves_svg(
    curves: Curves, *, names: Sequence[str] = (), links: Callable[[str], str] | None = None
) -> tuple[str, ...]:
    """One plot a curve over the same axis of layers; pointing at a place tells layer and value.

    Args:
        curves: at least one layer.
        names: titles of the layers, where they differ from their slugs.
        links: gives the address for a layer's slug; None for no links.
    """
    return tuple(
        _curve_svg(curve, curves.layers, names or curves.layers, links) for curve in curves.curves
    )


def _curve_svg(
    curve: Curve, slugs: Sequence[str], names: Sequence[str], links: Callable[[str], str] | None
) -> str:
    known = {i: v for i, v in enumerate(curve.values) if v is not None and math.isfinite(v)}
    bottom = _TOP + _CURVE
    least, most = min(known.values(), default=0.0), max(known.values(), default=0.0)
    low, high = min(0.0, least), max(0.0, most)
    log = curve.unit != "share" and least > 0 and most > 100 * least
    if log:
        low, high = math.log(least), math.log(most)

    def place(index: int) -> str:
        value = math.log(known[index]) if log else known[index]
        share = (value - low) / (high - low) if high > low else 0.0
        return f"{(index + 0.5) * WIDTH / len(slugs):.4g} {bottom - _CURVE * share:.4g}"

    places = [place(index) for index in known]
    labels = (
        _text(0, 12, curve.name, weight="600")
        + _text(WIDTH, 12, with_unit(most, curve.unit) if known else "nowhere defined", "end")
        + _text(0, bottom + 15, "first layer")
        + _text(WIDTH, bottom + 15, f"last of {len(slugs)}", "end")
    )
    if log:
        labels += _text(WIDTH / 2, bottom + 15, f"log scale from {number(least)}", "middle")
    drawing = (
        f'<path class="rule" stroke="currentColor" d="M0 {bottom}H{WIDTH}"/>'
        f'<path class="line" fill="none" stroke="currentColor" d="M{"L".join(places)}"/>'
        f'<path class="dots" fill="none" stroke="currentColor" stroke-width="4" '
        f'stroke-linecap="round" d="{"".join(f"M{place}h0" for place in places)}"/>'
        if places
        else ""
    )
    description = f"{curve.caption} {len(known)} of {len(slugs)} layers have a value" + (
        f", from {with_unit(least, curve.unit)} to {with_unit(most, curve.unit)}." if known else "."
    )
    targets = _targets(curve, known, slugs, names, links)
    return _svg("curve", bottom + 20, curve.name, description, drawing + labels, targets)


def _targets(
    curve: Curve,
    known: Mapping[int, float],
    slugs: Sequence[str],
    names: Sequence[str],
    links: Callable[[str], str] | None,
) -> str:
    """Columns to point at, each telling the layer with the highest value in it."""
    columns = ""
    if not slugs:  # of a network without a layer
        return columns
    span = -(-len(slugs) // MOST_TARGETS)
    step = WIDTH / len(slugs)
    for start in range(0, len(slugs), span):
        inside = [i for i in range(start, min(start + span, len(slugs))) if i in known]
        if not inside:
            continue
        index = max(inside, key=known.__getitem__)
        words = escape(f"{names[index]}: {with_unit(known[index], curve.unit)}")
        box = f"M{start * step:.4g} {_TOP}h{span * step:.4g}v{_CURVE}h-{span * step:.4g}z"
        column = f'<path d="{box}"><title>{words}</title></path>'
        if links:
            column = f'<a href="{escape(links(slugs[index]))}" tabindex="-1">{column}</a>'
        columns += column
    return f'<g class="targets" fill="none" pointer-events="all" aria-hidden="true">{columns}</g>'


def number(value: float) -> str:
    """Three digits or whole thousands, with a true minus sign."""
    is_large = 1000 <= abs(value) < 1e9
    return (f"{value:,.0f}" if is_large else f"{value:.3g}").replace("-", "−")


def with_unit(value: float, unit: str) -> str:
    """A value as it is said: shares in percent, others with their unit."""
    if unit == "share":
        return f"{number(100 * value)} %"
    return f"{number(value)} {unit}".rstrip()


def _svg(
    kind: str, height: int, title: str, description: str, drawing: str, targets: str = ""
) -> str:
    # The targets stand beside what is an image to readers of text: an image may hold no links.
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}"><g role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{drawing}</g>{targets}</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str = "", weight: str = "") -> str:
    anchor = f' text-anchor="{anchor}"' if anchor else ""
    weight = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" fill="currentColor" font-size="12"{anchor}{weight}>'
        f"{escape(words)}</text>"
    )
