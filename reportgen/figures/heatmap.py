"""A heatmap as pictures: spread over the image it explains, as a bare grid, and as a figure."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from reportgen.figures.mosaic import signed_levels
from reportgen.figures.placing import covers, smooth
from reportgen.report.arrays import GAP, Array, ByteArray, FloatArray
from reportgen.report.blocks import Heatmap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST_LIMIT = {"probability": 0.02, "logit": 0.2}
"By unit: the colour scale is never narrower, so that a map without effect looks empty."

BESIDE_PAGE = 3.5
"Inches of a figure that stands beside a page."

_LEFT, _RIGHT, _BELOW, _GAP = 40.0, 40.0, 30.0, 3.0
"Points that a figure for a paper leaves for numbers and words beside, below and above the map."
_LEAST = 125.0
"Points of a colour bar's length at least."
_BAR = 0.09
"Of the map's width: its colour bar and the space before it."


def colour_limit(heatmap: Heatmap) -> float:
    """End of the colour scale, which runs from -limit (0 where the map is not signed) to limit."""
    floor = SMALLEST_LIMIT.get(heatmap.unit, 0.0)
    # What lies below zero is not drawn where the map is not signed, and takes no part of the scale.
    drawn = heatmap.values if heatmap.signed else np.maximum(heatmap.values, 0)
    return max(_largest(drawn), heatmap.maximum or 0.0, floor)


def spread(heatmap: Heatmap, height: int, width: int) -> FloatArray:
    """The map over the pixels of its picture: the mean of the windows that cover each.

    Window (i, j) covers `window` pixels from `(i, j) * stride` on, less what lies outside. A map
    with `middles` is interpolated linearly between them.

    Returns:
        (height width) float64; NaN where no window reaches.
    """
    if heatmap.middles is not None:
        return smooth(heatmap.values, heatmap.middles, (height, width))
    rows, columns = heatmap.values.shape
    down = covers(height, rows, heatmap.window[0], heatmap.stride[0])
    across = covers(width, columns, heatmap.window[1], heatmap.stride[1])
    count = np.outer(down.sum(axis=1), across.sum(axis=1))
    total = down @ heatmap.values.astype(np.float64) @ across.T
    mean: FloatArray = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


def overlay_png(heatmap: Heatmap) -> bytes:
    """The map in grey levels, to be laid over its picture; transparent where no window reaches.

    It has the size of the picture; half of it where the map is smooth, which enlarges well. The
    page gives it colours and makes it the more transparent the weaker it is.
    """
    if heatmap.over is None:
        raise ValueError("there is no picture to lay the map over")
    pixels = heatmap.over.pixels
    size = (pixels.height, pixels.width)
    if heatmap.middles is None:
        values = spread(heatmap, *size)
    else:
        half = (-(-size[0] // 2), -(-size[1] // 2))
        values = smooth(heatmap.values, heatmap.middles, size, half)
    return _grey_png(np.where(np.isnan(values), GAP, _levels(heatmap, values)).astype(np.uint8))


def grid_png(heatmap: Heatmap) -> bytes:
    """The map alone in grey levels, one pixel a cell, for `image-rendering: pixelated`."""
    return _grey_png(_levels(heatmap, heatmap.values))


def outline(marks: Array) -> str:
    """The border of the marked cells as an SVG path in cells; empty where none is marked."""
    return "".join(f"M{x0} {y0}L{x1} {y1}" for (x0, y0), (x1, y1) in border(marks))


def border(marks: Array) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Edges, as pairs of (x, y) corners in cells, between a marked cell and one that is not."""
    padded = np.pad(marks.astype(np.int8), 1)
    level = np.argwhere(np.diff(padded, axis=0)[:, 1:-1])
    upright = np.argwhere(np.diff(padded, axis=1)[1:-1])
    return [((x, y), (x + 1, y)) for y, x in level.tolist()] + [
        ((x, y), (x, y + 1)) for y, x in upright.tolist()
    ]


def heatmap_figure(
    heatmap: Heatmap,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    *,
    clean: float | None = None,
    title: str = "",
    width: float | None = None,
) -> dict[str, bytes]:
    """The map as a seaborn heatmap with axes in image pixels, for a paper.

    Args:
        heatmap: of an occlusion map, values are drops: clean score minus occluded score.
        formats: of the files to make.
        clean: the clean score, to show the occluded scores themselves, dark where they are low,
            on a scale that ends at the clean one; None to show the drops around zero.
        title: in place of the heatmap's own.
        width: in inches, for a paper; None for a figure beside a page.

    Returns:
        File contents by format. The same map gives the same bytes.
    """
    import seaborn

    from reportgen.figures.export import PRESS, SCREEN, figure, saved
    from reportgen.figures.sheet import POINTS, TITLE, Sheet, block_height, title_lines

    rows, columns = heatmap.values.shape
    aspect = heatmap.stride[0] / heatmap.stride[1]
    tall = aspect * rows / columns
    title = title or heatmap.title
    inches, height, dpi = BESIDE_PAGE, 0.75 * BESIDE_PAGE * tall + 0.6, SCREEN
    place, words, bar = (0.0, 0.0, 0.0, 0.0), [title], 1.0
    if width is not None:
        # A paper has no room to give away, so everything is placed to the point.
        words = title_lines(title, width * POINTS)
        across = (width * POINTS - _LEFT - _RIGHT) / (1.0 + _BAR)
        down = across * tall
        place = (_LEFT, block_height(words, TITLE) + _GAP, across, down)
        # The words beside the bar of a flat map need a longer one.
        bar = max(1.0, _LEAST / down)
        foot = max(_BELOW, (bar - 1) * down + 2 * _GAP)
        inches, height, dpi = width, (place[1] + down + foot) / POINTS, PRESS
    with figure(inches, height, dpi) as drawn:
        sheet = Sheet(drawn)
        axes = drawn.add_subplot() if width is None else sheet.axes(place)
        scale = _drop_scale(heatmap) if clean is None else _score_scale(heatmap, clean)
        seaborn.heatmap(
            **scale,
            ax=axes,
            cbar_ax=axes.inset_axes((1 + _BAR - 0.05, 1 - bar, 0.05, bar)),
            xticklabels=False,
            yticklabels=False,
            # A vector path for every cell makes files several times larger, no sharper in print.
            rasterized=True,
        )
        axes.set_aspect(aspect)
        if width is None:
            axes.set_title(title)
        else:
            sheet.words(0, 0, words, TITLE)
        _pixel_axes(axes, heatmap)
        if heatmap.marks is not None:
            lines = [[start, end, (np.nan, np.nan)] for start, end in border(heatmap.marks)]
            x, y = np.array(lines, dtype=float).reshape(-1, 2).T
            axes.plot(x, y, color="black", linewidth=1, clip_on=False)
        return saved(drawn, formats, is_placed=width is not None)


def _drop_scale(heatmap: Heatmap) -> dict[str, Any]:
    """Seaborn's words for the drops: their colours, the ends of the scale and its label."""
    limit = colour_limit(heatmap)
    label = f"{heatmap.unit}, clean − occluded" if heatmap.signed else heatmap.unit
    return {
        "data": heatmap.values,
        "cmap": "RdBu_r" if heatmap.signed else "magma",
        "vmin": -limit if heatmap.signed else 0.0,
        "vmax": limit,
        "cbar_kws": {"label": label},
    }


def _score_scale(heatmap: Heatmap, clean: float) -> dict[str, Any]:
    """The same for what is left of the score."""
    scores = clean - heatmap.values.astype(np.float64)
    least, most = float(np.nanmin(scores)), float(np.nanmax(scores))
    return {
        "data": scores,
        "cmap": "magma",
        "vmin": 0.0 if heatmap.unit == "probability" else min(0.0, least),
        "vmax": clean,
        "cbar_kws": {
            "label": f"{heatmap.unit} (clean: {clean:.3g})",
            "extend": "max" if most > clean else "neither",
        },
    }


def _pixel_axes(axes: "Axes", heatmap: Heatmap) -> None:
    """Ticks at cells, labelled with the pixel at the middle of the cell."""
    over = heatmap.over.pixels if heatmap.over else None
    sizes = (over.height, over.width) if over else (None, None)
    middles = heatmap.middles or ((None, None), (None, None))
    for axis, count, window, stride, size, first, last in zip(
        (axes.yaxis, axes.xaxis),
        heatmap.values.shape,
        heatmap.window,
        heatmap.stride,
        sizes,
        *middles,
        strict=True,
    ):
        cells = np.arange(0, count, -(-count // 7))
        starts = cells * stride
        ends = starts + window if size is None else np.minimum(starts + window, size)
        centres = (starts + ends - 1) / 2
        if first is not None and last is not None:
            centres = np.linspace(first, last, count)[cells]
        axis.set_ticks(cells + 0.5, [f"{round(centre, 1):g}" for centre in centres])
    axes.tick_params(axis="both", rotation=0, length=2)
    axes.set_xlabel("x (px)" if heatmap.middles else "centre of the occluder, x (px)")
    axes.set_ylabel("y (px)")


def _largest(values: FloatArray) -> float:
    return float(np.nanmax(np.abs(values), initial=0.0))


def _levels(heatmap: Heatmap, values: FloatArray) -> ByteArray:
    limit = colour_limit(heatmap)
    if heatmap.signed:
        return signed_levels(values, limit)[0]
    share = np.clip(np.nan_to_num(values) / (limit or 1.0), 0, 1)
    levels: ByteArray = np.rint(254 * share).astype(np.uint8)
    return levels


def _grey_png(levels: ByteArray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels)).save(buffer, "PNG", transparency=GAP)
    return buffer.getvalue()
