"""Feature maps of a layer for one image as a figure for print: the strongest units, one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.figures.colormaps import VIRIDIS
from reportgen.report.arrays import Array, ByteArray, FloatArray

ROWS = 3
"Of maps, beside the photo."
_TILE, _GAP, _BAR, _NUMBERS = 44.0, 3.0, 6.0, 34.0
"Points: the width of a map at most, between maps, of the colour bar, of the numbers beside it."


@dataclass(frozen=True, eq=False)
class MapGrid:
    """Maps of one layer for one image, the strongest first."""

    title: str
    photo: ByteArray | None
    "(h w 3) what the network saw."
    units: tuple[int, ...]
    maps: FloatArray
    "(units h w)"
    about: str
    "Of how many units, and what a reader must know of the values."

    def data(self) -> Mapping[str, Array]:
        """The maps and whose they are."""
        return {"units": np.array(self.units), "maps": self.maps}

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """Rows of maps on one scale, each with the number of its unit."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import (
            LINE,
            POINTS,
            SMALL,
            TITLE,
            Sheet,
            block_height,
            coloured,
            rows_of,
            shared,
            title_lines,
        )

        points = width * POINTS
        room = points - _GAP - _BAR - _NUMBERS
        columns = max(3, round(room / _TILE))
        items = [None, *range(len(self.units))][self.photo is None :][: columns * ROWS]
        across = shared(room, columns, _GAP)
        down = across * self.maps.shape[1] / self.maps.shape[2]
        step = down + SMALL * LINE + _GAP
        title = title_lines(self.title, points)
        head = block_height(title, TITLE) + _GAP
        rows = rows_of(len(items), columns)
        shown = self.maps[[item for item in items if item is not None]]
        known = shown[np.isfinite(shown)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        foot = title_lines(f"The {len(shown)} strongest of {self.about}", points, SMALL)
        height = head + rows * step + block_height(foot, SMALL)
        with figure(width, height / POINTS, PRESS) as drawn:
            sheet = Sheet(drawn)
            sheet.words(0, 0, title, TITLE)
            for at, item in enumerate(items):
                left, top = at % columns * (across + _GAP), head + at // columns * step
                place = (left, top, across, down)
                if item is not None:
                    sheet.picture(place, coloured(self.maps[item], VIRIDIS, low, high))
                elif self.photo is not None:
                    sheet.picture(place, self.photo)
                name = "input" if item is None else f"unit {self.units[item]}"
                sheet.words(left + across / 2, top + down, [name], SMALL, "center")
            tall = (rows - 1) * step + down
            sheet.bar((room + _GAP, head, _BAR, tall), VIRIDIS, low, high, "activation")
            sheet.words(0, head + rows * step, foot, SMALL)
            return saved(drawn, formats, is_placed=True, has_photo=self.photo is not None)
