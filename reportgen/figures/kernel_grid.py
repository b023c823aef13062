"""The kernels of a convolution as a figure for print: filters and channels on one scale."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reportgen.figures.colormaps import DIVERGING, GREY
from reportgen.figures.mosaic import mosaic, signed_levels
from reportgen.report.arrays import GAP, Array, ByteArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPACE, _BAR, _NUMBERS, _AXIS, _LEAST = 5.0, 6.0, 38.0, 30.0, 34.0
"Points: between things, of the colour bar, of the numbers beside it, of an axis, of a bar."
_TALLEST = 8.0
"Inches of a picture."
_COLOUR_TILE = 16.0
"Points that a filter in colour should have."
_TICKS = 10
_WIDE = 0.4
"How tall bands are together, as a share of their width."
_BETWEEN = 3
"Lines of pixels between bands."


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
        """Filters along one side and channels along the other, or filters in colour."""
        from reportgen.figures.export import PRESS, figure, saved
        from reportgen.figures.sheet import POINTS, TITLE, Sheet, block_height, title_lines

        points = width * POINTS
        left = 0.0 if self.in_colour else _AXIS
        room = points - left - _SPACE - _BAR - _NUMBERS
        picture, bands = (self._colours(room), []) if self.in_colour else self._signed()
        tall, wide = picture.shape[:2]
        across = min(room, _TALLEST * POINTS * wide / tall)
        down = across * tall / wide
        title = title_lines(self.title, points)
        head = block_height(title, TITLE) + _SPACE
        foot = _SPACE if self.in_colour else _AXIS
        height = head + max(down, _LEAST) + foot
        with figure(width, height / POINTS, PRESS) as drawn:
            sheet = Sheet(drawn)
            sheet.words(0, 0, title, TITLE)
            axes = sheet.picture((left, head, across, down), picture)
            if not self.in_colour:
                self._label(axes, bands)
            place = (left + across + _SPACE, head, _BAR, max(down, _LEAST))
            colours, label = (GREY, "each colour") if self.in_colour else (DIVERGING, "weight")
            sheet.bar(place, colours, -self.limit, self.limit, label)
            return saved(drawn, formats, is_placed=True)

    def _signed(self) -> tuple[ByteArray, list[range]]:
        """Every kernel (H W 3), and the filters of each band.

        Where there are few channels, filters run across in bands, as lines of a text do; else they
        run down, and there is no band.
        """
        filters, channels, h, w = self.weights.shape
        colours = DIVERGING.palette()
        levels, _ = signed_levels(self.weights, self.limit)
        count = math.ceil((filters * w / (channels * h) * _WIDE) ** 0.5)
        if count < 2:
            return _lined(colours, _tiled(levels)), []
        each = -(-filters // count)
        bands = [range(start, min(start + each, filters)) for start in range(0, filters, each)]
        blank = np.full((each - len(bands[-1]), channels, h, w), GAP, np.uint8)
        full = np.concatenate([levels, blank]).reshape(len(bands), each, channels, h, w)
        rows = [_lined(colours, _tiled(band.swapaxes(0, 1))) for band in full]
        gap = np.full((_BETWEEN, *rows[0].shape[1:]), 255, np.uint8)
        return np.concatenate([part for row in rows for part in (row, gap)][:-1]), bands

    def _colours(self, room: float) -> ByteArray:
        """Every filter as a colour picture, (H W 3), row by row."""
        levels, _ = signed_levels(self.weights.transpose(0, 2, 3, 1), self.limit)
        return mosaic(levels, min(len(levels), max(1, round(room / _COLOUR_TILE))))

    def _label(self, axes: "Axes", bands: Sequence[range]) -> None:
        """Numbers of filters and channels at their kernels."""
        from reportgen.figures.sheet import SMALL, TEXT

        channels, h, w = self.weights.shape[1:]
        gap = 0 if h * w == 1 else 1
        if bands:
            tall = channels * (h + 1) - 1
            middles = [at * (tall + _BETWEEN) + tall / 2 for at in range(len(bands))]
            axes.set_yticks(middles, [f"{self.filters[b[0]]}–{self.filters[b[-1]]}" for b in bands])
            axes.set_xlabel(f"filters; {channels:,} channels down" if channels > 1 else "filters")
        else:
            for axis, numbers, side in (
                (axes.yaxis, self.filters, h),
                (axes.xaxis, self.channels, w),
            ):
                shown = range(0, len(numbers), -(-len(numbers) // _TICKS))
                places = [at * (side + gap) + side / 2 for at in shown]
                axis.set_ticks(places, [str(numbers[at]) for at in shown])
            axes.set_ylabel("filter", labelpad=2, fontsize=TEXT)
            axes.set_xlabel("channel", labelpad=2)
        axes.tick_params(length=2, width=0.4, pad=1.5, labelsize=SMALL)


def _tiled(levels: ByteArray) -> ByteArray:
    """(rows columns h w) as one picture, with lines between kernels of more than one value."""
    rows, columns, h, w = levels.shape
    if h == w == 1:
        return levels[:, :, 0, 0]
    return mosaic(levels.reshape(rows * columns, h, w), columns)


def _lined(colours: ByteArray, picture: ByteArray) -> ByteArray:
    """Levels in colour; lines, and places that hold nothing, are white."""
    drawn = colours[picture]
    drawn[picture == GAP] = 255
    return drawn
