"""The kernels of each convolution: as colour pictures, and every channel of every filter."""

import math

import numpy as np

from reportgen.analyses.filters import kernels, weighted_module
from reportgen.analyses.findings import counted, percent
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.units import is_deep
from reportgen.figures.mosaic import LARGEST_SIDE, best_columns, mosaic, signed_levels
from reportgen.report.arrays import Array, FloatArray, Pixels
from reportgen.report.blocks import Atlas
from reportgen.report.places import middle_named, middle_slice
from reportgen.report.records import Fact, Layer, Panel

LARGEST_PICTURE = 450_000
"Pixels of one picture of kernels, which hardly compress: 192 x 64 kernels of 5 x 5 fit."

ALL_PICTURES = 3_000_000
"Pixels that the pictures of all layers share, but for the least that each one has."
DEEP_PICTURES = 900_000
"The same where a network is deep."
LEAST_PICTURE = 16_384
MANY_PICTURES = 30
"Where there are more, each gets less than its part: half of it at twice as many."

NARROW = 4
"Times as tall as wide: where filters down and channels across would be more, rows hold several."

COARSE = 15
"Levels either side of zero in a colour picture of more values than that, as of a ViT's patches."

SCALE_QUANTILE = 0.999
"Share of the non-zero weights within the colour scale: a few outliers must not turn the rest grey."


def run(study: Study) -> Outcome:
    """One panel per convolution that has a weight of its own."""
    panels = {}
    count = sum(call.kind == "conv" for call in study.evidence.calls)
    # Many layers with large pictures would be half of a report.
    every = DEEP_PICTURES if is_deep(len(study.layer_records)) else ALL_PICTURES
    each = every * min(count, MANY_PICTURES) // max(count, 1) ** 2
    room = min(LARGEST_PICTURE, max(LEAST_PICTURE, each))
    first = next((c for c in study.evidence.calls if c.kind == "conv"), None)
    for call, layer in zip(study.evidence.calls, study.layer_records, strict=True):
        module = weighted_module(study.loaded.module, call) if call.kind == "conv" else None
        weight = None if module is None else kernels(module)
        if weight is not None:
            groups = int(getattr(module, "groups", 1))
            takes_rgb = call is first and weight.shape[1] == 3 and groups == 1
            panels[layer.slug] = _panel(weight, groups, layer, takes_rgb, room)
    return Outcome(panels)


def _panel(weight: FloatArray, groups: int, layer: Layer, takes_rgb: bool, room: int) -> Panel:
    filters, channels, *depth, height, width = weight.shape
    limit = colour_limit(weight)
    rows, columns = largest(weight, room)
    plane = weight[:, :, middle_slice(depth[0])] if depth else weight
    shown = plane[np.ix_(rows, columns)]
    facts: dict[str, Fact] = {
        "filters": filters,
        "channels": channels,
        "height": height,
        "width": width,
        "groups": groups,
        "symmetric_limit": limit,
        "shown_filters": len(rows),
        "shown_channels": len(columns),
        "filter_rows": tuple(int(row) for row in rows),
        "channel_columns": tuple(int(column) for column in columns),
        "clipped": int(np.count_nonzero(np.abs(weight) > limit)),
    }
    if depth:
        facts["slices"] = depth[0]
    blocks = {"channels": _collated(shown, weight, limit, layer)}
    if takes_rgb:
        blocks = {"rgb": _rgb(plane, weight, limit, layer), **blocks}
    return Panel(facts=facts, blocks=blocks)


def colour_limit(weight: Array) -> float:
    """End of the colour scale either side of zero: 99.9 % of the non-zero weights are within.

    Weights beyond are drawn at the end of the scale. 0 where there is no finite non-zero weight.
    """
    size = np.abs(weight[np.isfinite(weight) & (weight != 0)])
    # The quantile is a value that is there, so that three weights give the largest of them.
    return float(np.quantile(size, SCALE_QUANTILE, method="higher")) if size.size else 0.0


def largest(weight: FloatArray, pixels: int = LARGEST_PICTURE) -> tuple[Array, Array]:
    """Filters and channels that fit in one picture: those of largest norm, in their own order.

    Args:
        weight: (filters channels [slices] height width); one slice is shown.
        pixels: of the picture.

    Returns:
        Sorted indices of the filters (rows of the picture) and of the channels (columns).
    """
    filters, channels, *_, height, width = weight.shape
    tall, wide = (1, 1) if height == width == 1 else (height + 1, width + 1)
    rows, columns = min(filters, LARGEST_SIDE // tall), min(channels, LARGEST_SIDE // wide)
    room = max(1, pixels // (tall * wide))
    if rows * columns > room:
        # Both sides shrink alike, and what rounding leaves goes to the channels.
        rows = max(1, min(room, int(rows * math.sqrt(room / (rows * columns)))))
        columns = min(columns, max(1, room // rows))
    power = np.square(np.nan_to_num(weight, posinf=0.0, neginf=0.0).astype(np.float64))
    power = power.sum(axis=tuple(range(2, power.ndim)))
    return _top(power.sum(axis=1), rows), _top(power.sum(axis=0), columns)


def _top(sizes: Array, count: int) -> Array:
    chosen: Array = np.sort(np.argsort(-sizes, kind="stable")[:count])
    return chosen


def _collated(shown: FloatArray, weight: FloatArray, limit: float, layer: Layer) -> Atlas:
    """Every kernel in one picture, filters down and channels across [zeiler2014].

    Where there are few channels, as in a depthwise convolution, a row holds several filters.
    Kernels of one value have no shape of their own: they stand without gaps, as the matrix of
    filters x channels, which is then the one tile.
    """
    filters, channels, height, width = shown.shape
    levels, _ = signed_levels(shown, limit)
    each = _filters_a_row(*shown.shape)
    is_matrix = height == width == 1
    if is_matrix:
        tiles, across = levels.reshape(1, filters, channels), 1
    else:
        tiles, across = levels.reshape(filters * channels, height, width), each * channels
    count, tile_height, tile_width = tiles.shape
    order = "one row per filter, one column per channel"
    if each > 1:
        order = "one per filter, row by row"
        if channels > 1:
            order = f"{each} filters a row, the {channels} channels of each side by side"
    caption = (
        f"{counted(filters * channels, 'kernel')} of {height} x {width}{_of_slices(weight)}: "
        f"{order}. {_scale(limit, weight)}"
    )
    if shown.shape[:2] != weight.shape[:2]:
        caption += (
            f" Shown are the {filters:,} of {weight.shape[0]:,} filters and the {channels:,} of "
            f"{weight.shape[1]:,} channels with the largest norm."
        )
    return Atlas(
        pixels=Pixels.of(mosaic(tiles, across), f"{layer.slug}-kernels", gap=True),
        columns=across,
        count=count,
        tile_height=tile_height,
        tile_width=tile_width,
        full_height=tile_height,
        full_width=tile_width,
        low=np.full(count, -limit, dtype=np.float32),
        high=np.full(count, limit, dtype=np.float32),
        labels=(),
        order=(),
        signed=True,
        alt=f"Kernels of {layer.title}: {counted(filters, 'filter')}, "
        f"{counted(channels, 'channel')} of each.",
        caption=caption,
    )


def _filters_a_row(filters: int, channels: int, height: int, width: int) -> int:
    """One, or as many as make a picture of a strip; kernels of one value are never a strip."""
    wide = channels * (width + 1)
    if height == width == 1 or filters * (height + 1) <= NARROW * wide:
        return 1
    return best_columns(filters, height, wide - 1)


def _of_slices(weight: FloatArray) -> str:
    """Which of several slices is shown, in words."""
    is_of_several = weight.ndim == 5 and weight.shape[2] > 1
    return f", {middle_named(weight.shape[2])} of each" if is_of_several else ""


def _rgb(shown: FloatArray, weight: FloatArray, limit: float, layer: Layer) -> Atlas:
    """Each filter of the first layer as a small colour picture; grey is zero."""
    filters, _, height, width = shown.shape
    levels, _ = signed_levels(shown, limit)
    note = ""
    if levels.size > LARGEST_PICTURE:
        coarse = np.rint((levels.astype(np.float64) - 127) / 127 * COARSE) / COARSE
        levels = np.rint(127 + 127 * coarse).astype(np.uint8)
        note = f" Colours are rounded to {2 * COARSE + 1} levels, for the size of the picture."
    columns = best_columns(filters, height, width)
    squares = np.square(np.nan_to_num(weight).astype(np.float64))
    norms = np.sqrt(squares.sum(axis=tuple(range(1, weight.ndim))))
    return Atlas(
        pixels=Pixels.of(
            mosaic(levels.transpose(0, 2, 3, 1), columns), f"{layer.slug}-rgb", gap=True
        ),
        columns=columns,
        count=filters,
        tile_height=height,
        tile_width=width,
        full_height=height,
        full_width=width,
        low=np.full(filters, -limit, dtype=np.float32),
        high=np.full(filters, limit, dtype=np.float32),
        labels=(),
        order=tuple(int(index) for index in np.argsort(-norms, kind="stable")),
        signed=True,
        alt=f"The {filters} filters of {layer.title} as colour pictures.",
        caption=(
            f"{counted(filters, 'filter')} of {height} x {width} over red, green and blue"
            f"{_of_slices(weight)}; mid grey is zero. {_scale(limit, weight)}{note}"
        ),
    )


def _scale(limit: float, weight: FloatArray) -> str:
    """The colour scale in words."""
    text = f"One scale for all, from {-limit:.3g} to {limit:.3g}, zero in the middle"
    beyond = int(np.count_nonzero(np.abs(weight) > limit)) / weight.size
    if not beyond:
        return f"{text}."
    low, high = float(np.nanmin(weight)), float(np.nanmax(weight))
    return f"{text}; {percent(beyond)} of the weights, up to {low:.3g} and {high:.3g}, lie beyond."


ANALYSIS = Analysis(
    name="kernels",
    title="Kernels",
    place="layer",
    run=run,
    references=(
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV, 2014.",
    ),
)
