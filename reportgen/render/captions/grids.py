"""A map as a list of its finite values, each with the part of the picture that it stands for."""

from dataclasses import dataclass

import numpy as np

from reportgen.report.arrays import Array, FloatArray
from reportgen.report.blocks import Heatmap
from reportgen.report.places import place_of


@dataclass(frozen=True, eq=False)
class Grid:
    """The finite values of a map."""

    values: FloatArray
    "(n,) float64"
    places: Array
    "(n,) words, such as `upper left`"
    left_out: int
    "Positions whose value is not finite."

    @property
    def size(self) -> int:
        """Positions with a finite value."""
        return len(self.values)

    @property
    def is_flat(self) -> bool:
        """Whether all values are the same, so that no place stands out."""
        return self.size > 0 and bool(self.values.min() == self.values.max())

    @property
    def peak(self) -> tuple[float, str]:
        """The largest value, and where it is."""
        at = int(self.values.argmax())
        return float(self.values[at]), str(self.places[at])

    @property
    def lowest(self) -> tuple[float, str]:
        """The smallest value, and where it is."""
        at = int(self.values.argmin())
        return float(self.values[at]), str(self.places[at])

    @property
    def positive(self) -> float:
        """The sum of what is above zero."""
        return float(self.values[self.values > 0].sum())

    def elsewhere(self, place: str) -> tuple[float, str] | None:
        """The largest value in any other part of the picture, and where; None if there is none."""
        others = self.places != place
        if not others.any():
            return None
        at = int(np.where(others, self.values, -np.inf).argmax())
        return float(self.values[at]), str(self.places[at])

    def fewest_for_half(self) -> int:
        """How few positions hold half of what is above zero; 0 where nothing is."""
        falling = np.sort(self.values[self.values > 0])[::-1]
        if not falling.size:
            return 0
        return int(np.searchsorted(falling.cumsum(), falling.sum() / 2 * (1 - 1e-9))) + 1


def grid_of(block: Heatmap) -> Grid:
    """The finite values of a map with their places."""
    down, across = middles(block)
    places = np.array(
        [[place_of((row, column)) for column in across] for row in down], dtype=object
    )
    values = block.values.astype(np.float64)
    finite = np.isfinite(values)
    return Grid(values[finite], places[finite], int((~finite).sum()))


def middles(block: Heatmap) -> tuple[list[float], list[float]]:
    """Where the middle of each row and of each column of cells lies, as a share of the picture.

    Cells with edges are cut off where the picture ends, so the middle is that of what is left.
    """
    rows, columns = block.values.shape
    found: list[list[float]] = []
    for axis, count in enumerate((rows, columns)):
        window, stride = block.window[axis], block.stride[axis]
        size = (count - 1) * stride + window
        if block.over is not None:
            size = (block.over.pixels.height, block.over.pixels.width)[axis]
        if block.middles is not None:
            first, last = block.middles[0][axis], block.middles[1][axis]
            step = (last - first) / max(count - 1, 1)
            found.append([(first + step * at + 0.5) / size for at in range(count)])
        else:
            ends = [min(at * stride + window, size) for at in range(count)]
            found.append([(at * stride + end) / 2 / size for at, end in enumerate(ends)])
    return found[0], found[1]
