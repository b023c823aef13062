"""What units look for, as a figure for print: painted picture, deconvnet projections, patches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.figures.mosaic import mosaic
from reportgen.report.arrays import GAP, Array, ByteArray

SIDE = 3
"Patches of a unit stand three by three, the strongest at the upper left."
ROWS = 4
"Of units."
_UNIT, _GAP, _WIDE = 234.0, 4.0, 10.0
"Points: the width of a unit at least, between its pictures, between units."


@dataclass(frozen=True, eq=False)
class UnitNines:
    """The units of one layer, the most used first."""

    title: str
    units: tuple[int, ...]
    counts: tuple[int, ...]
    "Patches of each; a unit may fire on fewer than nine images."
    crops: ByteArray
    "(units 9 h w 3) the patches on which each is strongest."
    projections: ByteArray | None
    "(units 9 h w 3) grey is zero; each patch has its own scale."
    painted: Mapping[int, ByteArray]
    "(h w 3) by unit: the picture that gradient ascent painted."

    def data(self) -> Mapping[str, Array]:
        """The pictures, in levels 0..255."""
        made = {} if self.projections is None else {"projections": self.projections}
        painted = {f"painted_{unit}": picture for unit, picture in self.painted.items()}
        return {"units": np.array(self.units), "patches": self.crops, **made, **painted}

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """As many units as fit, each with its kinds of pictures side by side."""
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
        columns = max(1, int((points + _WIDE) / (_UNIT + _WIDE)))
        shown = self.units[: columns * ROWS]
        room = shared(points, columns, _WIDE)
        kinds = [
            *(["painted"] if any(unit in self.painted for unit in shown) else []),
            *(["deconvnet"] if self.projections is not None else []),
            "patches",
        ]
        across = shared(room, len(kinds), _GAP)
        h, w = self.crops.shape[2:4]
        tall = -(-max(self.counts[: len(shown)], default=1) // SIDE)
        down = across * (tall * (h + 1) - 1) / (SIDE * (w + 1) - 1)
        title = title_lines(self.title, points)
        head = block_height(title, TITLE) + 2
        step = SMALL * LINE + down + _GAP
        with figure(width, (head + rows_of(len(shown), columns) * step) / POINTS, PRESS) as drawn:
            sheet = Sheet(drawn)
            sheet.words(0, 0, title, TITLE)
            for at, unit in enumerate(shown):
                left, top = at % columns * (room + _WIDE), head + at // columns * step
                for kind in kinds:
                    picture = self._picture(kind, at, tall)
                    if picture is not None:
                        sheet.words(left, top, [f"unit {unit}: {kind}"], SMALL)
                        place = (left, top + SMALL * LINE, across, down)
                        if kind == "painted":  # which has a shape of its own
                            side = min(across, down)
                            place = (left, top + SMALL * LINE, side, side)
                        sheet.picture(place, picture)
                    left += across + _GAP
            return saved(drawn, formats, is_placed=True, has_photo=True)

    def _picture(self, kind: str, at: int, rows: int) -> ByteArray | None:
        if kind == "painted":
            return self.painted.get(self.units[at])
        tiles = self.crops if kind == "patches" else self.projections
        assert tiles is not None
        shown = np.minimum(tiles[at, : rows * SIDE], GAP - 1)
        shown[self.counts[at] :] = GAP
        return mosaic(shown, SIDE)
