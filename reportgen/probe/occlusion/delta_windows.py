"""Differences in other windows than those that they are known in: they are zero around."""

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.occlusion.windows import Reach, Span, Windows


def fitted(values: torch.Tensor, have: Windows, want: Windows) -> torch.Tensor:
    """Differences (places c h w) in the windows `have`, cut to `want` or filled up with zeros."""
    if want.same_as(have):
        return values
    down = _offsets(have.rows, want.rows)
    across = _offsets(have.columns, want.columns)
    (height, width), (tall, broad) = values.shape[2:], want.size
    is_uniform = bool((down == down[0]).all() and (across == across[0]).all())
    if is_uniform:
        top, left = int(down[0]), int(across[0])
        inside = values[:, :, max(0, -top) : tall - top, max(0, -left) : broad - left]
        if inside.shape[2:] == (tall, broad):
            return inside
    shape = (len(values), tall, broad, values.shape[1])
    result = values.new_zeros(shape).permute(0, 3, 1, 2)
    offsets = (
        [(slice(None), int(down[0]), int(across[0]))]
        if is_uniform
        else [
            (slice(i, i + 1), top, left)
            for i, (top, left) in enumerate(zip(down.tolist(), across.tolist(), strict=True))
        ]
    )
    for some, top, left in offsets:
        rows, columns = slice(max(0, top), top + height), slice(max(0, left), left + width)
        part = values[some, :, max(0, -top) : tall - top, max(0, -left) : broad - left]
        # Windows without a cell in common leave nothing to copy.
        if part.numel() and top + height > 0 and left + width > 0:
            result[some, :, rows, columns] = part
    return result


def _offsets(have: Span, want: Span) -> NDArray[np.int64]:
    return have.starts - want.starts


def both_sides(needed: Span, have: Span, size: int, reach: Reach) -> int | None:
    """Zeros on each side that give a convolution its output; None where they would differ.

    Args:
        needed: input cells that the output reads.
        have: input cells that are known.
        size: output cells.
        reach: of the convolution.
    """
    front = have.starts - needed.starts
    if (front != front[0]).any() or front[0] < 0:
        return None
    both = int(front[0])
    return both if (have.size + 2 * both - reach.span) // reach.stride + 1 == size else None
