"""Atlases of feature maps and rows of units: which is strongest here, how many are silent."""

import numpy as np

from reportgen.render.captions.phrases import capital, listed, part_of
from reportgen.render.filters import number, plural
from reportgen.report.arrays import Array, FloatArray
from reportgen.report.blocks import Atlas, Strip
from reportgen.report.places import place_of
from reportgen.report.records import Image, Layer


def caption(layer: Layer, block: Atlas, peak: str = "") -> str:
    """The strongest channel, what half of them stay below, and those that are the same everywhere.

    Args:
        layer: that gave the maps.
        block: its maps for one image.
        peak: where in the image the strongest channel has its highest value; empty if not known.
    """
    low, high = (end.astype(float) for end in block.ends)
    known, n = np.isfinite(high), block.count
    if not known.any():
        return "Nothing to see: no channel holds a finite value."
    zero = (low == high) & (high == 0)
    same = (low == high) & (high != 0)
    if not (high > low).any():
        return f"Nothing to see: {_rest(layer, zero, same, ~known)}."
    value = number(float(high[_tile(block)]), 3)
    best, where = strongest(block), f", at the {peak}" if peak else ""
    if n == 1:
        return f"Channel {best} goes from {number(float(low[0]), 3)} to {value}{where}."
    text = f"Channel {best} is strongest: {value}{where}."
    if high[known].max() <= 0:
        text = f"No channel is above zero here: the highest value is {value}, of channel {best}."
    if 2 * int(zero.sum()) < n and known.all():
        shown = plural(n, "channel") + (" shown" if n < layer.units else "")
        text += f" Half of the {shown} stay at {_middle(high)} or below."
    rest = _rest(layer, zero, same, ~known)
    return f"{text} {capital(rest)}." if rest else text


def _rest(layer: Layer, zero: Array, same: Array, broken: Array) -> str:
    """How many maps are zero everywhere, of another single value, or without a finite one."""
    # A map of zeros may hold values that are not finite: the range is that of the others.
    silent = "zero or not finite" if layer.nonfinite else "zero"
    found = (
        (zero, ("is", "are"), f"{silent} everywhere on this image"),
        (same, ("gives", "give"), "one value everywhere"),
        (broken, ("holds", "hold"), "no finite value"),
    )
    parts = [
        f"{part_of(int(which.sum()), len(which), 'channel')} {verbs[int(which.sum()) > 1]} {what}"
        for which, verbs, what in found
        if which.any()
    ]
    return listed(parts)


def alt(layer: Layer, image: Image, block: Atlas, peak: str = "") -> str:
    """`64 feature maps of features.3 for chelsea.png; channel 12 is strongest, 3.1, upper left`.

    Args:
        layer: that gave the maps.
        image: that they are of.
        block: the maps.
        peak: where the strongest channel has its highest value; empty if not known.
    """
    text = f"{plural(block.count, 'feature map')} of {layer.title} for {image.path}"
    low, high = block.ends
    if not (high > low).any():
        return f"{text}, none of which varies"
    value = number(float(high[_tile(block)]), 3)
    return f"{text}; channel {strongest(block)} is strongest, {value}" + (peak and f", {peak}")


def units_alt(layer: Layer, image: Image, block: Strip) -> str:
    """`10 units of classifier for chelsea.png; unit 3 is largest, 9.25`."""
    text = f"{plural(block.values.size, 'unit')} of {layer.title} for {image.path}"
    if not np.isfinite(block.values).any():
        return f"{text}, none of them finite"
    return f"{text}; unit {block.top[0][0]} is largest, {number(block.top[0][1], 3)}"


def strongest(block: Atlas) -> str:
    """The channel with the highest value."""
    tile = _tile(block)
    return block.labels[tile] if block.labels else str(tile)


def _tile(block: Atlas) -> int:
    return block.order[0] if block.order else int(block.ends[1].argmax())


def peak_place(layer: Layer, image: Image, images: tuple[Image, ...], block: Atlas) -> str:
    """Where in an image the strongest channel of its atlas has its highest value.

    It is known where the report keeps the strongest positions of each unit and this image is among
    the nine of that channel; else it is empty.
    """
    panel = layer.panels.get("patches")
    if panel is None or "image" not in panel.arrays:
        return ""
    unit = int(strongest(block))
    for k, index in enumerate(panel.arrays["image"][unit].tolist()):
        if index >= 0 and images[index] is image:
            row, column = (int(panel.arrays[key][unit][k]) for key in ("row", "column"))
            return place_in_map(layer, row, column)
    return ""


def place_in_map(layer: Layer, row: int, column: int) -> str:
    """Where a position of a layer's maps lies; empty where their size is not known."""
    panel = layer.panels.get("activations")
    for block in panel.blocks.values() if panel else ():
        if isinstance(block, Atlas):
            return place_of(((row + 0.5) / block.full_height, (column + 0.5) / block.full_width))
    return ""


def units(block: Strip) -> str:
    """The largest unit of a layer without a map, the next one, and what half of them stay below."""
    values = block.values.astype(float).ravel()
    finite = values[np.isfinite(values)]
    lost = len(values) - len(finite)
    left_out = (
        f" {plural(lost, 'value')} {'is' if lost == 1 else 'are'} not finite." if lost else ""
    )
    if not finite.size:
        return f"Nothing to see:{left_out or ' there is no unit.'}"
    if finite.size == 1:
        return f"One unit: {number(float(finite[0]), 3)}.{left_out}"
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        return f"Nothing to see: all {plural(finite.size, 'unit')} give {number(low, 3)}.{left_out}"
    text = f"Unit {block.top[0][0]} is largest: {number(block.top[0][1], 3)}"
    if len(block.top) > 1:
        text += f", then unit {block.top[1][0]} with {number(block.top[1][1], 3)}"
    text += f". Half of the {plural(finite.size, 'unit')} are at {_middle(finite)} or below."
    ends = f"from {number(low, 3)} (dark) to {number(high, 3)} (bright)"
    return f"{text} One bar a unit, {ends}.{left_out}"


def _middle(values: FloatArray) -> str:
    return number(float(np.sort(values)[(len(values) - 1) // 2]), 3)
