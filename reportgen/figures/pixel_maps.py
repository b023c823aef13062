"""Gradient maps of one image side by side, as a figure for print; each has its own colour bar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from reportgen.figures.colormaps import DIVERGING, GREY, MAGMA
from reportgen.report.arrays import Array, ByteArray

Look: TypeAlias = Literal["magnitude", "signed", "colour"]

_TILE, _GAP, _BAR, _NUMBERS = 72.0, 8.0, 5.0, 12.0
"Points: the width of a picture at least, between pictures, of a colour bar, of its numbers."


@dataclass(frozen=True, eq=False)
class PixelMap:
    """One method's map in grey levels, as the report keeps it."""

    name: str
    "Of its file of data."
    title: str
    look: Look
    levels: ByteArray
    """(h w), or (h w 3) in colour: 0..254 from zero to the limit of a magnitude, else from minus
    the limit to the limit."""
    limit: float

    @property
    def values(self) -> Array:
        """What the levels stand for."""
        levels = self.levels.astype(np.float64)
        shares = levels / 254 if self.look == "magnitude" else (levels - 127) / 127
        values: Array = (self.limit * shares).astype(np.float32)
        return values


@dataclass(frozen=True, eq=False)
class PixelMaps:
    """The photo and its maps."""

    title: str
    photo: ByteArray
    "(h w 3)"
    maps: tuple[PixelMap, ...]
    unit: str
    "Of the slopes: `slope of the logit`."

    def data(self) -> Mapping[str, Array]:
        """The values of every map, in the 255 steps that the report keeps."""
        return {shown.name: shown.values for shown in self.maps}

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """The photo, then the maps, in as many rows as they need."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import (
            LINE,
            POINTS,
            SMALL,
            TITLE,
            Sheet,
            block_height,
            rows_of,
            shared,
            title_lines,
        )

        points = width * POINTS
        count = 1 + len(self.maps)
        columns = min(count, max(2, int(points / _TILE)))
        across = shared(points, columns, _GAP)
        h, w = self.photo.shape[:2]
        down = across * h / w
        names = [title_lines(shown.title, across, SMALL) for shown in self.maps]
        above = max((block_height(name, SMALL) for name in names), default=SMALL * LINE) + 2
        step = above + down + 3 + _BAR + _NUMBERS
        title = title_lines(self.title, points)
        head = block_height(title, TITLE) + 3
        with figure(width, (head + rows_of(count, columns) * step) / POINTS, PRESS) as drawn:
            sheet = Sheet(drawn)
            sheet.words(0, 0, title, TITLE)
            for at, shown in enumerate((None, *self.maps)):
                left = at % columns * (across + _GAP)
                top = head + at // columns * step
                lines = [f"{w} × {h} px"] if shown is None else names[at - 1]
                first = top + above - 2 - block_height(lines, SMALL)
                sheet.words(left + across / 2, first, lines, SMALL, "center")
                place = (left, top + above, across, down)
                sheet.picture(place, self.photo if shown is None else _colours(shown))
                if shown is not None:
                    bar = (left + 2, top + above + down + 3, across - 4, _BAR)
                    low = 0.0 if shown.look == "magnitude" else -shown.limit
                    sheet.bar(bar, _COLOURS[shown.look], low, shown.limit)
            return saved(drawn, formats, is_placed=True, has_photo=True)


_COLOURS = {"magnitude": MAGMA, "signed": DIVERGING, "colour": GREY}


def _colours(shown: PixelMap) -> ByteArray:
    if shown.levels.ndim == 3:
        return shown.levels
    colours: ByteArray = _COLOURS[shown.look].palette()[np.minimum(shown.levels, 254)]
    return colours
