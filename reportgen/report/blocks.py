"""What a page can show: a closed set of blocks of plain data, which `figures/` draws."""

from dataclasses import dataclass
from typing import TypeAlias

from reportgen.report.arrays import Array, FloatArray, Pixels


@dataclass(frozen=True)
class Link:
    """Text that leads to another place of the site."""

    text: str
    href: str
    "Relative to the site's root: `layers/features.3.html#c=7`."


Cell: TypeAlias = str | int | float | bool | Link | None


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    unit: str = ""
    hint: str = ""
    "One sentence that says what the number is, shown on hover and in the header's description."
    leads_to: str = ""
    "`#c=`: a number in this column leads to `#c=` and itself, on the table's own page."


@dataclass(frozen=True)
class Table:
    """Rows under named columns; sortable on the page, whole in its CSV."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    shown: int = 256
    "Rows put in the page; the CSV has all of them."
    gzipped: bool = False
    "Whether the CSV is compressed, as those of a deep network are."


@dataclass(frozen=True)
class Photo:
    """A picture for people: an input image or a file's thumbnail."""

    pixels: Pixels
    alt: str
    caption: str


@dataclass(frozen=True, eq=False)
class Atlas:
    """Equal tiles in one grey or RGB picture: the channels of a layer for one image, or kernels.

    Tile i stands in row i // columns and column i % columns; tiles are one pixel apart and the
    picture has no outer border. Grey tiles hold levels 0..254 of their own range; the value of
    level v in tile i is `low[i] + v / 254 * (high[i] - low[i])`.
    """

    pixels: Pixels
    columns: int
    count: int
    tile_height: int
    tile_width: int
    full_height: int
    "Height of the tensor; larger than `tile_height` where the tiles were area-averaged."
    full_width: int
    low: FloatArray
    high: FloatArray
    labels: tuple[str, ...]
    "One per tile, such as `12` or `3, 0`; empty where the index says it all."
    order: tuple[int, ...]
    "The most active tiles, the most active first; empty where there is no such order."
    signed: bool
    "True where zero is the middle of the scale, as for kernels."
    alt: str
    caption: str
    full_low: FloatArray | None = None
    "Lowest value of each map at its full size, where tiles were averaged; else None."
    full_high: FloatArray | None = None

    @property
    def ends(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest value of each map at its full size."""
        low = self.low if self.full_low is None else self.full_low
        return low, self.high if self.full_high is None else self.full_high


@dataclass(frozen=True, eq=False)
class Strip:
    """One value per unit, for layers without a spatial map (fully connected ones)."""

    pixels: Pixels
    values: FloatArray
    top: tuple[tuple[int, float], ...]
    "The units with the largest values, as (unit, value)."
    alt: str
    caption: str


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A grid of signed values over a picture, such as an occlusion map."""

    values: FloatArray
    "(rows columns)"
    title: str
    unit: str
    signed: bool
    over: Photo | None
    "The picture that the grid covers."
    alt: str
    caption: str
    window: tuple[int, int] = (1, 1)
    "Height and width in pixels of the picture that one cell stands for."
    stride: tuple[int, int] = (1, 1)
    "Pixels of the picture from one cell to the next, down and across."
    marks: Array | None = None
    "(rows columns) bool: cells to outline, such as those where the answer flips."
    maximum: float | None = None
    "Upper end of the colour scale where that is not the largest value: the clean probability."
    middles: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Pixels (down, across) of the picture at the middle of the first and of the last cell, for a
    map that goes on smoothly between its cells; None where cells are windows with edges."""
    for_print: bool = True
    "Whether figures for print are made of it."


@dataclass(frozen=True)
class Histogram:
    """Counts in equal bins from `low` to `high`."""

    counts: tuple[int, ...]
    low: float
    high: float
    unit: str
    caption: str


@dataclass(frozen=True)
class Curve:
    """One quantity over the layers in execution order; None where it is not defined."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    caption: str


@dataclass(frozen=True)
class Curves:
    """Small multiples that share the axis of layers."""

    layers: tuple[str, ...]
    "Slugs of the layers, which are the axis."
    curves: tuple[Curve, ...]
    alt: str


@dataclass(frozen=True)
class MapStrip:
    """Small maps side by side in depth order, one per layer, each with its own scale."""

    maps: tuple[tuple[str, Pixels, float, float], ...]
    "(layer slug, grey picture, low, high)"
    alt: str
    caption: str


Block: TypeAlias = Table | Photo | Atlas | Strip | Heatmap | Histogram | Curves | MapStrip
