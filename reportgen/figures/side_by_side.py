"""An attribution map beside its photo as a figure for print: photo, map, map over photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reportgen.figures.colormaps import DIVERGING, MAGMA
from reportgen.figures.heatmap import colour_limit, spread
from reportgen.figures.overlay import overlaid
from reportgen.report.arrays import Array, ByteArray
from reportgen.report.blocks import Heatmap

_GAP, _BAR, _NUMBERS, _AXIS = 6.0, 6.0, 36.0, 18.0
"Points: between pictures, of the colour bar, of the numbers beside it, of an axis."


@dataclass(frozen=True, eq=False)
class SideBySide:
    """One map of one image, over the pixels of that image."""

    title: str
    photo: ByteArray
    "(h w 3)"
    heatmap: Heatmap

    def data(self) -> Mapping[str, Array]:
        """The map as the report has it, and over the pixels of the photo as it is drawn."""
        return {
            "values": self.heatmap.values,
            "pixels": spread(self.heatmap, *self.photo.shape[:2]),
        }

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """Three pictures of one size on one pair of axes in pixels, and the map's colour bar."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import (
            LINE,
            POINTS,
            SMALL,
            TEXT,
            TITLE,
            Sheet,
            block_height,
            coloured,
            shared,
            title_lines,
        )

        points = width * POINTS
        h, w = self.photo.shape[:2]
        room = points - _AXIS - _GAP - _BAR - _NUMBERS
        across = shared(room, 3, _GAP)
        down = across * h / w
        title = title_lines(self.title, points)
        top = block_height(title, TITLE) + TEXT * LINE + 4
        colours = DIVERGING if self.heatmap.signed else MAGMA
        limit = colour_limit(self.heatmap)
        low = -limit if self.heatmap.signed else 0.0
        shown = coloured(spread(self.heatmap, h, w), colours, low, limit)
        with figure(width, (top + down + _AXIS) / POINTS, PRESS) as drawn:
            sheet = Sheet(drawn)
            sheet.words(0, 0, title, TITLE)
            pictures = (
                ("input", self.photo),
                ("map", shown),
                ("overlay", overlaid(self.heatmap, self.photo)),
            )
            for at, (name, picture) in enumerate(pictures):
                left = _AXIS + at * (across + _GAP)
                sheet.words(left + across / 2, top - TEXT * LINE - 1, [name], TEXT, "center")
                axes = sheet.picture((left, top, across, down), picture, frame=True)
                axes.tick_params(length=2, width=0.4, pad=1.5, labelsize=SMALL)
                # The three share their axes, so one of them tells what the ticks are.
                axes.set_xticks([0, w / 2, w], ["0", "", f"{w} px"] if at == 0 else [""] * 3)
                axes.set_yticks([0, h / 2, h], ["0", "", str(h)] if at == 0 else [""] * 3)
                axes.get_xticklabels()[-1].set_horizontalalignment("right")
            place = (points - _NUMBERS - _BAR, top, _BAR, down)
            unit = self.heatmap.unit + (", drop" if self.heatmap.signed else "")
            sheet.bar(place, colours, low, limit, unit)
            return saved(drawn, formats, is_placed=True, has_photo=True)
