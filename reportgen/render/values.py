"""The numbers behind the pictures of a page, in a script that is loaded when one is looked at.

A page that is opened from a disk may not read its own pictures, so numbers come a second time: the
grids as they are, all others as the levels of their pictures, compressed.
"""

import base64
import json
import posixpath
import zlib
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from reportgen.figures.mosaic import STEPS, tiles_of
from reportgen.figures.placing import between, covers
from reportgen.render.drawings import Heat, heat
from reportgen.render.layer_data import short
from reportgen.report.arrays import Array, ByteArray
from reportgen.report.blocks import Atlas, Heatmap, Photo, Strip
from reportgen.report.records import Image, Layer, Panel, Report
from reportgen.report.tables import MANY_LAYERS

ALL_LEVELS = 600_000
"Of the feature maps and kernels of a report, shared by its atlases: about 0.5 MB of scripts."

DEEP_LEVELS = 200_000
"The same for networks of more layers than `MANY_LAYERS`."

Values: TypeAlias = dict[str, object]
"Of one picture, as `templates/viewer.js` reads them."

ROUNDED = 0.5
"Levels by which rounding to a level can be off."
COARSE = np.rint(np.arange(64) / 63 * 254).astype(np.uint8)
"All the levels of an averaged atlas."
COARSELY = 254 / 63 / 2
"The same by which rounding to one of these can be."
BEYOND = "; the ends of the scale stand for all beyond"
DIGITS = 4
"Significant digits of the numbers of a grid: all that a page shows."


def values_path(subject: Layer | Image) -> str:
    """Where the script of a layer's or an image's page lies."""
    kind = "layer" if isinstance(subject, Layer) else "image"
    return f"data/values.{kind}.{subject.slug}.js"


class Pictures:
    """The numbers of one page by the names of their pictures' files, without endings."""

    def __init__(self) -> None:
        self._found: dict[str, Values] = {}
        self._axes: list[list[tuple[int, int]]] = []

    def script(self) -> bytes:
        """A classic script, since pages opened from a disk may not fetch."""
        data = {"axes": self._axes} | self._found
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        return f"window.pictureValues = {text};\n".encode()

    def add(self, path: str, values: Values) -> None:
        """The numbers of the picture at `path`."""
        self._found[posixpath.splitext(posixpath.basename(path))[0]] = values

    def cells(self, values: Array, down: Array, across: Array, note: str) -> Values:
        """A grid, and which of its cells each pixel stands for.

        Args:
            values: (rows columns)
            down: (pixels rows) bool: neighbouring cells that a pixel has a part in.
            across: the same of columns.
            note: what follows a number, with `#` for the number of cells.
        """
        axes = []
        for shares in (down, across):
            axis = [(min(at, default=0), max(at, default=-1) + 1) for at in map(_places, shares)]
            if axis not in self._axes:
                self._axes.append(axis)
            axes.append(self._axes.index(axis))
        rows = [[short(value, DIGITS) for value in row] for row in values.tolist()]
        return {"cells": rows, "axes": axes, "note": note}


def image_values(image: Image, *, is_deep: bool = False) -> bytes:
    """The numbers behind the maps of an image, but for its mean maps and maps in colour.

    Args:
        image: whose page it is.
        is_deep: leave out the maps of gradients, which have a number for each pixel.
    """
    made = Pictures()
    for section, panel in image.panels.items():
        looks = {} if is_deep else _looks(panel)
        for name, block in panel.blocks.items():
            if isinstance(block, Heatmap) and np.isfinite(block.values).all():
                _add_heatmap(made, heat(image.slug, section, name, block), block)
            elif isinstance(block, Photo) and block.pixels.content and name in looks:
                levels = block.pixels.values()
                if levels.ndim == 2:
                    made.add(block.pixels.path, _gradient(panel, name, levels))
    return made.script()


def layer_values(layer: Layer, most: int) -> bytes:
    """The numbers behind the feature maps, units and kernels of a layer.

    Args:
        layer: whose page it is.
        most: levels of one atlas.
    """
    made = Pictures()
    for section in ("activations", "kernels"):
        panel = layer.panels.get(section, Panel())
        for block in panel.blocks.values():
            if isinstance(block, Strip) and np.isfinite(block.values).all():
                each = np.eye(len(block.values), dtype=bool)
                values = made.cells(block.values[None], np.ones((1, 1), bool), each, "")
                made.add(block.pixels.path, values)
            elif isinstance(block, Atlas) and block.pixels.content and not layer.nonfinite:
                tiles = _tiles(block, most)
                if tiles is not None:
                    beyond = {"note": BEYOND} if panel.facts.get("clipped") else {}
                    made.add(block.pixels.path, tiles | beyond)
    return made.script()


def _add_heatmap(made: Pictures, drawn: Heat, block: Heatmap) -> None:
    cells = block.values.shape
    if block.over is not None:
        size = (block.over.pixels.height, block.over.pixels.width)
        if block.middles is None:
            note = ", mean of the windows over it"
            axes = [covers(size[i], cells[i], block.window[i], block.stride[i]) > 0 for i in (0, 1)]
        else:
            note = f", the nearest of {cells[0]} × {cells[1]} cells"
            first, last = block.middles
            axes = [
                _nearest(between(size[i], cells[i], first[i], last[i], size[i])) for i in (0, 1)
            ]
        made.add(drawn.overlay, made.cells(block.values, axes[0], axes[1], note))
    if block.middles is None:
        # Where the grid stands alone its cells are as large as the stride.
        axes = [np.repeat(np.eye(cells[i], dtype=bool), block.stride[i], axis=0) for i in (0, 1)]
        made.add(drawn.grid, made.cells(block.values, axes[0], axes[1], ""))


def levels_each(report: Report) -> int:
    """Most levels of one atlas: what the small ones do not need is left to the large ones."""
    sizes = sorted(
        block.count * block.tile_height * block.tile_width
        for layer in report.layers
        for name in ("activations", "kernels")
        if name in layer.panels
        for block in layer.panels[name].blocks.values()
        if isinstance(block, Atlas)
    )
    room = left = ALL_LEVELS if len(report.layers) <= MANY_LAYERS else DEEP_LEVELS
    for larger, size in zip(range(len(sizes), 0, -1), sizes, strict=True):
        if size * larger > left:
            return left // larger
        left -= size
    return room


def _places(shares: Array) -> list[int]:
    return np.flatnonzero(shares).tolist()


def _nearest(shares: Array) -> Array:
    """(pixels cells) bool: the cell that counts most for each pixel."""
    chosen: Array = np.eye(shares.shape[1], dtype=bool)[shares.argmax(axis=1)]
    return chosen


def _levels(levels: ByteArray, ends: tuple[float, float], error: float = ROUNDED) -> Values:
    """Level v stands for `low + v / 254 * (high - low)`, give or take `error` levels."""
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(levels).tobytes(), 9)).decode()
    return {"range": [short(end) for end in ends], "error": error, "levels": packed}


def _looks(panel: Panel) -> Mapping[str, str]:
    """How each map of gradients is drawn; empty in reports whose pictures of them are lossy."""
    names, looks = panel.facts.get("maps", ()), panel.facts.get("looks", ())
    assert isinstance(names, tuple) and isinstance(looks, tuple)
    return dict(zip(map(str, names), map(str, looks), strict=True)) if looks else {}


def _gradient(panel: Panel, name: str, levels: ByteArray) -> Values:
    looks, limits = _looks(panel), panel.facts["limit"]
    assert isinstance(limits, tuple)
    limit = float(limits[list(looks).index(name)])
    low = 0.0 if looks[name] == "magnitude" else -limit
    error = 254 / STEPS / 2 + 2 * ROUNDED
    return _levels(levels, (low, limit), error) | {"note": BEYOND}


def _tiles(block: Atlas, most: int) -> Values | None:
    """The strongest tiles that fit, in the best case all; None where not even one does.

    Colours have none: the same kernels stand channel by channel beside them.
    """
    picture = block.pixels.values()
    height, width = block.tile_height, block.tile_width
    room = most // (height * width)
    if not room or picture.ndim == 3:
        return None
    full_low, full_high = block.ends
    kept = np.sort(np.argsort(-np.nan_to_num(full_high), kind="stable")[:room]).tolist()
    tiles = tiles_of(picture, block.count, block.columns, height, width)[kept]
    is_small = (height, width) != (block.full_height, block.full_width)
    is_coarse = is_small and bool(np.isin(tiles, COARSE).all())
    spread = np.abs(block.high - block.low)[kept]
    # A level of the full range, by which means are off, is several of a narrower one.
    wide = np.abs(full_high - full_low)[kept]
    wider = float((wide[spread > 0] / spread[spread > 0]).max(initial=1.0))
    error = COARSELY + ROUNDED * (1 + wider) if is_coarse else ROUNDED
    largest = np.maximum(np.abs(block.high), np.abs(block.low))[kept]
    # What the ends of the scales are rounded by, in levels.
    error += 254 * 5e-6 * float((largest[spread > 0] / spread[spread > 0]).max(initial=0.0))
    found = _levels(tiles, (0.0, 0.0), float(f"{error:.3g}"))
    # The page has the ranges of all tiles.
    del found["range"]
    if len(kept) < block.count:
        found["tiles"] = kept
    if is_small:
        down, across = block.full_height / height, block.full_width / width
        found["note"] = f", mean of about {down:.2g} × {across:.2g} positions"
    return found
