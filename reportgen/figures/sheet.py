"""A figure for print that is laid out by hand, in points: pictures, their colour bars, words.

Pictures beside each other have to line up to the point, which layouts found by a search do not.
Places are (left, top, width, height) in points from the upper left corner.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reportgen.figures.colormaps import Colormap
from reportgen.figures.export import PRESS
from reportgen.report.arrays import Array, ByteArray

POINTS = 72.0
"To the inch."
SMALL, TEXT, TITLE = 6.0, 7.0, 8.0
"Points of the letters: 6 is the least that journals print."
LINE = 1.25
"Height of a line of text, in letters."
_LETTER = 0.57
"Width of an average letter, in heights of the font."
_FEWEST_PIXELS = 128
"A picture with fewer is data, whose pixels are seen as squares; others may be smoothed."

Place: TypeAlias = tuple[float, float, float, float]
Side: TypeAlias = Literal["left", "center", "right"]


class Sheet:
    """What is drawn on so far; sizes in points."""

    def __init__(self, drawn: Figure) -> None:
        """A sheet of the size of a figure."""
        self.drawn = drawn
        self.width, self.height = (float(side) * POINTS for side in drawn.get_size_inches())

    def axes(self, place: Place) -> Axes:
        """Empty axes at a place."""
        left, top, width, height = place
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.drawn.add_axes(box)

    def picture(self, place: Place, picture: ByteArray, *, frame: bool = False) -> Axes:
        """A picture (h w 3) that fills its place, with ticks for whoever sets them."""
        axes = self.axes(place)
        height, width = picture.shape[:2]
        axes.imshow(
            enlarged(picture, place[2] / POINTS),
            extent=(0, width, height, 0),
            aspect="auto",
            interpolation="none",  # as it is, in files that can hold that
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(frame)
        return axes

    def bar(
        self, place: Place, colormap: Colormap, low: float, high: float, label: str = ""
    ) -> None:
        """A colour bar, upright where its place is; numbers stand at its right, or below it."""
        high = high if high > low else low + 1
        upright = place[3] > place[2]
        ramp = colormap.palette()[None, :255]
        axes = self.axes(place)
        axes.imshow(
            ramp.swapaxes(0, 1)[::-1] if upright else ramp,
            extent=(0, 1, low, high) if upright else (low, high, 0, 1),
            aspect="auto",
            interpolation="none",
        )
        axes.spines[:].set(visible=True, linewidth=0.4)
        axes.tick_params(labelsize=SMALL, length=2, width=0.4, pad=1.5)
        ends = ticks(low, high)
        # Three digits, and 1030 rather than 1.03e+03, which is wider than the room beside the bar.
        words = [f"{float(f'{end:.3g}'):g}".replace("-", "−") for end in ends]
        if upright:
            axes.yaxis.tick_right()
            axes.yaxis.set_label_position("right")
            axes.set_xticks([])
            axes.set_yticks(ends, words)
            axes.set_ylabel(label, fontsize=SMALL, labelpad=2)
        else:
            axes.set_yticks([])
            axes.set_xticks(ends, words)
            axes.set_xlabel(label, fontsize=SMALL, labelpad=1)
            first, _, last = axes.get_xticklabels()
            first.set_horizontalalignment("left")
            last.set_horizontalalignment("right")

    def words(
        self, left: float, top: float, lines: Sequence[str], size: float = TEXT, at: Side = "left"
    ) -> None:
        """Lines of text below `top`; `at` is the side of them that `left` tells."""
        for number, line in enumerate(lines):
            # By the foot of its letters, or lines with and without tall ones would not line up.
            y = 1 - (top + (number + 0.8) * size * LINE) / self.height
            self.drawn.text(left / self.width, y, line, fontsize=size, ha=at, va="baseline")


def title_lines(text: str, width: float, size: float = TITLE, most: int = 2) -> list[str]:
    """A title cut into lines of so many points, with an ellipsis where even these are too few."""
    letters = max(8, int(width / (_LETTER * size)))
    return textwrap.wrap(
        text, letters, max_lines=most, placeholder="…", break_on_hyphens=False
    ) or [""]


def coloured(values: Array, colormap: Colormap, low: float, high: float) -> ByteArray:
    """Values (h w) as colours (h w 3); what is not finite is white."""
    share = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    known = np.isfinite(share)
    levels = np.rint(254 * np.clip(np.where(known, share, 0.0), 0, 1)).astype(np.uint8)
    colours: ByteArray = np.where(known[..., None], colormap.palette()[levels], np.uint8(255))
    return colours


def enlarged(picture: ByteArray, inches: float) -> ByteArray:
    """Each pixel of a small picture as a square of pixels, so that no viewer blurs it."""
    across = picture.shape[1]
    times = max(1, round(inches * PRESS / across)) if across < _FEWEST_PIXELS else 1
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def ticks(low: float, high: float) -> list[float]:
    """The ends of a scale, and its middle: what a reader needs to tell values."""
    middle = 0.0 if low < 0 < high else (low + high) / 2
    return [low, middle, high]


def shared(width: float, columns: int, gap: float) -> float:
    """Points for each of several pictures side by side."""
    return (width - gap * (columns - 1)) / columns


def rows_of(count: int, columns: int) -> int:
    """Rows that so many pictures take."""
    return math.ceil(count / columns)


def block_height(lines: Sequence[str], size: float) -> float:
    """Points that lines of text take."""
    return len(lines) * size * LINE
