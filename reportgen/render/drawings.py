"""Asks `figures` for the drawings of a page and for the files that stand beside it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from reportgen.figures.colormaps import COLORMAPS
from reportgen.figures.dwindling import HEIGHT, dwindling_svg
from reportgen.figures.dwindling import mean_count as mean_count  # for templates
from reportgen.figures.fading import fading_svg
from reportgen.figures.files import FORMATS, Drawn, Print, figure_files, figure_path, has_score
from reportgen.figures.heatmap import colour_limit, grid_png, outline, overlay_png
from reportgen.figures.spectra import spectrum_svg
from reportgen.figures.svg import curves_svg, histogram_svg
from reportgen.render.captions import histograms
from reportgen.report.arrays import Array
from reportgen.report.blocks import Curves, Heatmap, Histogram
from reportgen.report.records import Panel, Parameter, Report

COLOURS = tuple(COLORMAPS.values())
CURVES_SHOWN = 6
"Layers whose dead units are drawn over the number of images."
SPARK_WIDTH = 100
SPARK_HEIGHT = 40


def colour_filters() -> Markup:
    """The colour maps as SVG filters, and the ramp of a colour bar: once on every page.

    `cut` makes anything not fully opaque transparent: the lines between tiles, which are
    transparent in the picture, stay so under a veil. `fade` and `fade-signed` make a map over
    a photo the more transparent the weaker it is; gaps stay gaps.
    """
    box = 'x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB"'
    filters = "".join(
        f'<filter id="{c.name}" {box}>'
        f'<feComponentTransfer><feFuncR type="table" tableValues="{c.red}"/>'
        f'<feFuncG type="table" tableValues="{c.green}"/>'
        f'<feFuncB type="table" tableValues="{c.blue}"/></feComponentTransfer></filter>'
        for c in COLORMAPS.values()
    )
    cut = '<feFuncA type="linear" slope="255" intercept="-254"/>'
    filters += f'<filter id="cut" {box}><feComponentTransfer>{cut}</feComponentTransfer></filter>'
    # Levels become opacities; `sqrt(|2 level - 1|)` in eighths where zero is in the middle.
    strength = " ".join(f"{abs(step / 16 - 1) ** 0.5:.3g}" for step in range(33))
    for name, table in (("fade", "0 1"), ("fade-signed", strength)):
        filters += (
            f'<filter id="{name}" {box}><feColorMatrix values="1 0 0 0 0 0 1 0 0 0 0 0 1 0 0 '
            f'1 0 0 0 0"/><feComponentTransfer><feFuncA type="table" tableValues="{table}"/>'
            '</feComponentTransfer><feComposite operator="in" in2="SourceGraphic"/></filter>'
        )
    ends = '<stop stop-color="#000"/><stop offset="1" stop-color="#fefefe"/>'
    ramp = f'<linearGradient id="ramp">{ends}</linearGradient>'
    hidden = 'class="hush" width="0" height="0" aria-hidden="true"'
    return Markup(f"<svg {hidden}><defs>{filters}{ramp}</defs></svg>")


def histogram(block: Histogram, title: str) -> Markup:
    """A histogram with its axes in words."""
    return Markup(histogram_svg(block, title))


def curves(block: Curves, names: tuple[str, ...]) -> tuple[Markup, ...]:
    """One plot a curve. `names` are the titles of the layers."""
    return tuple(Markup(drawing) for drawing in curves_svg(block, names=names))


def fadings(arrays: Mapping[str, Array], at: int, words: str) -> tuple[Markup, ...]:
    """Deletion and insertion curves of the method `at`; all methods share one scale.

    Args:
        arrays: (methods steps+1) by the name of the curve.
        at: place of the method.
        words: what it is called.
    """
    pairs = {name: (arrays[name], arrays[f"random_{name}"]) for name in ("deletion", "insertion")}
    highest = max(float(values.max()) for pair in pairs.values() for values in pair)
    return tuple(
        Markup(fading_svg(name.title(), own[at].tolist(), random[at].tolist(), highest, words))
        for name, (own, random) in pairs.items()
    )


@dataclass(frozen=True)
class Dwindling:
    """One plot of dead units over the number of images."""

    svg: Markup
    counts: tuple[float, ...]
    "After so many images."


def dwindling(panel: Panel, layers: tuple[str, ...]) -> tuple[Dwindling, ...]:
    """How the dead units of all layers, and of those with most of them, fall with the images.

    Args:
        panel: of the section of dead filters.
        layers: titles of its `curve_layers`.
    """
    images, curves = panel.arrays["curve_images"].tolist(), panel.arrays["curve_dead"]
    drawn = [("Dead units, all layers", curves.sum(axis=0).tolist(), HEIGHT)]
    most = [at for at in np.argsort(-curves[:, -1], kind="stable").tolist() if curves[at, -1] >= 1]
    for at in sorted(most[:CURVES_SHOWN]) if len(layers) > 1 else ():
        drawn.append((layers[at], curves[at].tolist(), 56))
    return tuple(
        Dwindling(Markup(dwindling_svg(title, images, counts, height=height)), tuple(counts))
        for title, counts, height in drawn
    )


def spectrum(
    arrays: Mapping[str, Array], at: int, bands: tuple[float, ...], stride: int, words: str
) -> Markup:
    """The spectra of the layer `at` of a section's arrays; `words` say what is drawn."""
    kernels, read, given = (arrays[name][at].tolist() for name in ("kernels", "read", "given"))
    return Markup(spectrum_svg(words, kernels, read, given, bands, stride))


def spark(parameter: Parameter) -> Markup:
    """A histogram without axes, for a page that has one for every parameter."""
    histogram = parameter.histogram
    counts, low, high = histogram.counts, histogram.low, histogram.high
    highest = max(counts, default=0) or 1
    step = SPARK_WIDTH // max(len(counts), 1) or 1
    width = step * max(len(counts), 1)
    path = "".join(f"V{SPARK_HEIGHT - round(SPARK_HEIGHT * n / highest)}h{step}" for n in counts)
    zero = ""
    if low < 0 < high:
        x = f"{width * -low / (high - low):.1f}"
        zero = f'<line x1="{x}" x2="{x}" y1="0" y2="{SPARK_HEIGHT}"/>'
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">'
        '<path d="M0 {}{}V{}z"/>{}</svg>'
    ).format(
        width,
        SPARK_HEIGHT,
        histograms.alt(parameter),
        SPARK_HEIGHT,
        path,
        SPARK_HEIGHT,
        Markup(zero),
    )


@dataclass(frozen=True)
class Heat:
    """What a page needs to draw a heatmap."""

    overlay: str
    "The map at the size of its picture, transparent where it is weak."
    grid: str
    "The map alone, one pixel a cell; not made of smooth maps."
    outline: str
    "SVG path around the marked cells, in cells; empty where there are none."
    dots: str
    "SVG path of a dot in the middle of each marked cell, in cells."
    limit: float
    "End of the colour scale, on both sides of zero where the map is signed."
    low: float
    high: float
    exports: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    "Figures for print: (what it shows, ((format, where it lies), ...))."


def heat(subject: str, section: str, name: str, block: Heatmap) -> Heat:
    """How the map `name` of a section is drawn for a subject."""
    stem = _stem(subject, section, name)
    shown = [("", "the map" if block.middles else "the drop")] if block.for_print else []
    if block.for_print and has_score(block):
        shown.append(("score", f"the {block.unit} that is left"))
    return Heat(
        overlay=f"{stem}-overlay.png",
        grid=f"{stem}-grid.png",
        outline="" if block.marks is None else outline(block.marks),
        dots="" if block.marks is None else _dots(block.marks),
        limit=colour_limit(block),
        low=float(np.nanmin(block.values)),
        high=float(np.nanmax(block.values)),
        exports=tuple((words, forms(subject, section, name, shows)) for shows, words in shown),
    )


def largest_limit(panel: Panel) -> float:
    """End of the colour scale that all maps of a section can share whose scale starts at zero."""
    limits = [colour_limit(b) for b in panel.blocks.values() if isinstance(b, Heatmap)]
    known, names = panel.facts.get("limit", ()), panel.facts.get("maps", ())
    assert isinstance(known, tuple) and isinstance(names, tuple)
    for name, end in zip(names, known, strict=False):
        if name in ("gradient", "smoothgrad"):
            assert isinstance(end, float)
            limits.append(end)
    return max(limits, default=1.0)


def forms(subject: str, section: str, name: str, shows: str = "") -> tuple[tuple[str, str], ...]:
    """A figure for print as (format, where it lies)."""
    return tuple(
        (form.upper(), figure_path(subject, section, name, form, shows=shows)) for form in FORMATS
    )


def _dots(marks: Array) -> str:
    return "".join(f"M{x}.5 {y}.5h0" for y, x in np.argwhere(marks).tolist())


def files(report: Report, printed: Callable[[Print], Drawn]) -> Iterator[tuple[str, bytes]]:
    """The pictures that pages lay over others, and the figures for print, which `printed` gives."""
    for image in report.images:
        for section, panel in image.panels.items():
            for name, block in panel.blocks.items():
                if isinstance(block, Heatmap):
                    stem = _stem(image.slug, section, name)
                    if block.middles is None:
                        yield f"{stem}-grid.png", grid_png(block)
                    if block.over is not None:
                        yield f"{stem}-overlay.png", overlay_png(block)
    yield from figure_files(report, printed)


def _stem(subject: str, section: str, name: str) -> str:
    return f"figures/{subject}-{section}-{name}"
