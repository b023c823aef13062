"""Differences in other windows than those that they are known in: they are zero around."""

from dataclasses import dataclass

import torch

from reportgen.probe.occlusion.windows import Reach, Span, Windows, needed_span


@dataclass(frozen=True, eq=False)
class Difference:
    """What hiding places changes in a result: zero outside of the windows."""

    values: torch.Tensor
    "(places c h w) in channels-last memory where the result is a map; else as in the network."
    windows: Windows | None = None
    "None where the values are those of the whole result."
    addend: torch.Tensor | None = None
    "Still to be added: the rectifier that reads the sum does it on the way."
    is_own: bool = False
    "Whether no other result lies in the same memory."

    def __len__(self) -> int:
        """The number of places."""
        return len(self.values)


def fitted(values: torch.Tensor, have: Windows, want: Windows) -> torch.Tensor:
    """Differences (places c h w) in the windows `have`, cut to `want` or filled up with zeros."""
    if want.same_as(have):
        return values
    down, across = have.rows.starts - want.rows.starts, have.columns.starts - want.columns.starts
    offsets = list(zip(down.tolist(), across.tolist(), strict=True))
    (height, width), (tall, broad) = values.shape[2:], want.size
    # One slice does for all places where they agree.
    some = [slice(None)] if len(set(offsets)) == 1 else [slice(i, i + 1) for i in range(len(down))]
    cells = [
        (_common(top, height, tall), _common(left, width, broad))
        for top, left in offsets[: len(some)]
    ]
    if len(some) == 1 and all(
        to == slice(0, size) for (to, _), size in zip(cells[0], want.size, strict=True)
    ):
        return values[:, :, cells[0][0][1], cells[0][1][1]]
    shape = (len(values), tall, broad, values.shape[1])
    result = values.new_zeros(shape).permute(0, 3, 1, 2)
    for place, ((to_rows, rows), (to_columns, columns)) in zip(some, cells, strict=True):
        result[place, :, to_rows, to_columns] = values[place, :, rows, columns]
    return result


def _common(offset: int, known: int, wanted: int) -> tuple[slice, slice]:
    """Which of the wanted cells are known, and which of the known cells these are."""
    low = max(0, offset)
    high = max(low, min(wanted, offset + known))
    return slice(low, high), slice(low - offset, high - offset)


def both_sides(after: Span, have: Span, reach: Reach) -> int | None:
    """Zeros on each side that give a convolution its output; None where they would differ.

    Args:
        after: output cells.
        have: input cells that are known.
        reach: of the convolution.
    """
    front = have.starts - needed_span(after, reach).starts
    if (front != front[0]).any() or front[0] < 0:
        return None
    both = int(front[0])
    size = (have.size + 2 * both - reach.span) // reach.stride + 1
    return both if size == after.size else None
