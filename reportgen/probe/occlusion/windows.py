"""Which cells of a map change when a window of the map before it changes [nakandala2019].

Rows and columns are independent, so all here is arithmetic along one axis, for many places at once.
All windows of a batch are of one size, so that their maps fit in one tensor: a window may hold more
cells than have changed, never fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reach:
    """What one output cell of a convolution or a pooling reads, along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    "Cells added in front; as many as needed are added behind."
    dilation: int = 1

    @property
    def span(self) -> int:
        """From the first cell that an output cell reads to behind the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def is_pointwise(self) -> bool:
        """Whether an output cell reads the cell at its own place, and no other."""
        return self == Reach(1)


@dataclass(frozen=True, eq=False)
class Span:
    """One window for each place of a batch, along one axis; all are of one size."""

    starts: NDArray[np.int64]
    "(places,)"
    size: int
    is_uniform: bool = field(init=False)
    "Whether all windows start at the same cell."

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_uniform", bool((self.starts == self.starts[0]).all()))


def hidden_span(starts: Sequence[int], size: int, length: int) -> Span:
    """The windows of an image of `length` cells that hold what is hidden.

    Args:
        starts: first cell hidden, one a place; in front of the border behind.
        size: of what is hidden, cut off at the border.
        length: cells of the image.
    """
    size = min(size, length)
    return Span(np.minimum(np.asarray(starts, dtype=np.int64), length - size), size)


def changed_span(before: Span, reach: Reach, length: int) -> Span:
    """The output cells that may change where the input cells in `before` do.

    A stride longer than the kernel skips cells, so that nothing may change; a cell that does not is
    recomputed then.

    Args:
        before: windows of the input.
        reach: of the operation.
        length: cells of the output.
    """
    first = before.starts + reach.padding
    last = first + before.size - 1
    low = np.clip(-((reach.span - 1 - first) // reach.stride), 0, length - 1)
    high = np.maximum(low, np.clip(last // reach.stride, 0, length - 1))
    size = int((high - low).max()) + 1
    return Span(np.minimum(low, length - size), size)


def needed_span(after: Span, reach: Reach) -> Span:
    """The input cells that the output cells in `after` read; those outside are padding."""
    starts = after.starts * reach.stride - reach.padding
    return Span(starts, (after.size - 1) * reach.stride + reach.span)


def union_span(spans: Sequence[Span], length: int) -> Span:
    """The smallest windows of one size that hold those of `spans`, in an axis of `length` cells."""
    low = np.minimum.reduce([span.starts for span in spans])
    high = np.maximum.reduce([span.starts + span.size for span in spans])
    size = int((high - low).max())
    return Span(np.minimum(low, length - size), size)


@dataclass(frozen=True, eq=False)
class Windows:
    """One window for each place of a batch: rows and columns."""

    rows: Span
    columns: Span

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.size, self.columns.size

    def same_as(self, other: "Windows") -> bool:
        """Whether these are the very same cells."""
        return (
            self.size == other.size
            and np.array_equal(self.rows.starts, other.rows.starts)
            and np.array_equal(self.columns.starts, other.columns.starts)
        )


def cells_averaged(
    after: Span, reach: Reach, length: int, counts_padding: bool
) -> NDArray[np.int64]:
    """How many cells a mean is taken of, (places size), for the output cells in `after`.

    Args:
        after: windows of the output.
        reach: of the pooling, without dilation.
        length: cells of the input.
        counts_padding: whether the padding counts as well; what a pooling that rounds its size up
            reads behind it never does.
    """
    starts = (after.starts[:, None] + np.arange(after.size)) * reach.stride - reach.padding
    ends = np.minimum(starts + reach.kernel, length + reach.padding)
    if not counts_padding:
        starts, ends = np.maximum(starts, 0), np.minimum(ends, length)
    counts: NDArray[np.int64] = ends - starts
    return counts
