"""The kernels of a convolution as a figure for print: filters and channels on one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reportgen.figures.colormaps import DIVERGING, GREY
from reportgen.figures.mosaic import mosaic, signed_levels
from reportgen.report.arrays import GAP, Array, ByteArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPACE, _BAR, _NUMBERS, _AXIS, _LEAST = 4.0, 6.0, 38.0, 26.0, 34.0
"Points: between things, of the colour bar, of the numbers beside it, of an axis, of a picture."
_TALLEST = 8.0
"Inches of a picture."
_COLOUR_TILE = 16.0
"Points that a filter in colour should have."
_TICKS = 10


@dataclass(frozen=True, eq=False)
class KernelGrid:
    """Kernels of one layer; in colour where there are three channels that are red, green, blue."""

    title: str
    weights: FloatArray
    "(filters channels h w), as far as they are shown."
    filters: tuple[int, ...]
    "Their numbers in the layer."
    channels: tuple[int, ...]
    limit: float
    "Where the colours end, on both sides of zero."
    in_colour: bool = False

    def data(self) -> Mapping[str, Array]:
        """The weights as they are drawn, and of which filters and channels."""
        return {
            "filters": np.array(self.filters),
            "channels": np.array(self.channels),
            "weights": self.weights,
        }

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """Filters along the longer side and channels along the other, or filters in colour."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import POINTS, TITLE, Sheet, block_height, title_lines

        points = width * POINTS
        left = 0.0 if self.in_colour else _AXIS
        room = points - left - _SPACE - _BAR - _NUMBERS
        picture, filters_down = self._colours(room) if self.in_colour else self._signed()
        tall, wide = picture.shape[:2]
        across = min(room, _TALLEST * POINTS * wide / tall)
        down = max(across * tall / wide, _LEAST)
        title = title_lines(self.title, points)
        head = block_height(title, TITLE) + _SPACE
        foot = 2.0 if self.in_colour else _AXIS
        with figure(width, (head + down + foot) / POINTS, PRESS) as drawn:
            sheet = Sheet(drawn)
            sheet.words(0, 0, "\n".join(title), TITLE)
            axes = sheet.picture((left, head, across, down), picture)
            if not self.in_colour:
                self._label(axes, filters_down)
            place = (left + across + _SPACE, head, _BAR, down)
            colours, label = (GREY, "weight, each colour") if self.in_colour else (DIVERGING, "")
            sheet.bar(place, colours, -self.limit, self.limit, label or "weight")
            return saved(drawn, formats, is_placed=True)

    def _signed(self) -> tuple[ByteArray, bool]:
        """Every kernel (H W 3), and whether filters run down; else they run across."""
        weights = self.weights
        filters, channels, h, w = weights.shape
        filters_down = filters * h <= channels * w
        if not filters_down:
            weights = weights.swapaxes(0, 1)
        levels, _ = signed_levels(weights, self.limit)
        down, across = weights.shape[:2]
        if h == w == 1:
            return DIVERGING.palette()[levels[:, :, 0, 0]], filters_down
        picture = mosaic(levels.reshape(down * across, h, w), across)
        colours = DIVERGING.palette()[picture]
        colours[picture == GAP] = 255
        return colours, filters_down

    def _colours(self, room: float) -> tuple[ByteArray, bool]:
        """Every filter as a colour picture, (H W 3), row by row."""
        levels, _ = signed_levels(self.weights.transpose(0, 2, 3, 1), self.limit)
        columns = min(len(levels), max(1, round(room / _COLOUR_TILE)))
        return mosaic(levels, columns), False

    def _label(self, axes: "Axes", filters_down: bool) -> None:
        """Numbers of filters and channels at their kernels."""
        h, w = self.weights.shape[2:]
        down, across = (
            (self.filters, self.channels)
            if filters_down
            else (
                self.channels,
                self.filters,
            )
        )
        gap = 0 if h == w == 1 else 1
        for axis, numbers, side in ((axes.yaxis, down, h), (axes.xaxis, across, w)):
            every = -(-len(numbers) // _TICKS)
            shown = range(0, len(numbers), every)
            axis.set_ticks(
                [at * (side + gap) + side / 2 for at in shown], [str(numbers[at]) for at in shown]
            )
        axes.tick_params(length=2, width=0.4, pad=1.5, labelsize=6)
        names = ("filter", "channel")
        axes.set_ylabel(names[not filters_down], labelpad=2)
        axes.set_xlabel(names[filters_down], labelpad=2)
