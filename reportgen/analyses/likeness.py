"""Which filters of a layer have learned the same: cosine similarity of their weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.report.arrays import Array, FloatArray

COPY = 0.9999
"Cosine from which on two filters of one norm are copies of each other."
SAME_NORM = 1e-4
"Relative difference of two norms that count as one."
NEAR = 0.95
"Cosine from which on two filters are near twins."
MOST_FILTERS = 8192
"Layers with more are left out: the work grows with their square."
ROWS = 256
"Filters compared with all others at a time."


@dataclass(frozen=True, eq=False)
class Twins:
    """The filter of the same layer whose weights are most like those of each filter."""

    unit: Array
    "(filters,) int64; -1 where a filter has no direction: all zero, or not finite."
    cosine: FloatArray
    "(filters,) float64, in [-1, 1]; NaN where there is no such filter."
    is_copy: NDArray[np.bool_]
    "(filters,) whether it is the same filter: cosine `COPY` or more, and the same norm."

    @property
    def is_near(self) -> NDArray[np.bool_]:
        """(filters,) whether it is a near twin, but no copy."""
        near: NDArray[np.bool_] = (np.nan_to_num(self.cosine, nan=-1) >= NEAR) & ~self.is_copy
        return near


def not_compared(weight: FloatArray, groups: int) -> str:
    """Why the filters of a layer cannot be compared; empty where they can.

    Arguments as of `twins`.
    """
    filters = len(weight)
    if filters > MOST_FILTERS:
        return f"The {filters:,} filters are too many to compare each with each."
    if filters == groups and groups > 1:
        return "Each filter reads an input channel of its own, so no two can be compared."
    if filters == 1:
        return "There is one filter, and nothing to compare it with."
    if weight[0].size == 1:
        return "Each filter is a single number, so a cosine says nothing."
    return ""


def twins(weight: FloatArray, groups: int) -> Twins:
    """For each filter the one of largest cosine; the bias is left aside.

    Filters of different groups read different channels, so each is compared within its group. A
    copy comes before a filter that is merely parallel; of equals the first.

    Args:
        weight: (filters channels [slices] height width); `channels` are those of one group.
        groups: of the convolution.
    """
    rows = torch.from_numpy(weight).reshape(groups, len(weight) // groups, -1)
    norms = torch.linalg.vector_norm(rows, dim=2, dtype=torch.float64)
    has_direction = norms.isfinite() & (norms > 0)
    # Found in float32, for large layers; what is reported is computed again in float64.
    scaled = rows / torch.where(has_direction, norms, 1).float()[:, :, None]
    scaled = torch.where(has_direction[:, :, None], scaled, 0)
    parts = [
        _nearest(rows, norms, has_direction, scaled, slice(first, first + ROWS))
        for first in range(0, rows.shape[1], ROWS)
    ]
    unit, cosine, is_copy = (torch.cat(some, dim=1) for some in zip(*parts, strict=True))
    offset = rows.shape[1] * torch.arange(groups)[:, None]
    is_known = unit >= 0
    return Twins(
        torch.where(is_known, unit + offset, -1).flatten().numpy(),
        torch.where(is_known, cosine, torch.nan).flatten().numpy(),
        (is_copy & is_known).flatten().numpy(),
    )


def _nearest(
    rows: torch.Tensor,
    norms: torch.Tensor,
    has_direction: torch.Tensor,
    scaled: torch.Tensor,
    some: slice,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Place in the group, cosine and whether it is a copy, (groups filters) each, for some rows."""
    similar = scaled[:, some] @ scaled.transpose(1, 2)
    own = torch.arange(rows.shape[1])[some]
    similar[:, torch.arange(len(own)), own] = -torch.inf
    similar.masked_fill_(~has_direction[:, None, :], -torch.inf)
    similar.masked_fill_(~has_direction[:, some, None], -torch.inf)
    first, second = norms[:, some, None], norms[:, None, :]
    is_same = (first - second).abs() <= SAME_NORM * torch.maximum(first, second)
    is_copy = is_same & (similar >= COPY)
    best, unit = similar.max(dim=2)
    has_copy = is_copy.any(dim=2)
    # Of bytes, for the first of equal numbers.
    unit = torch.where(has_copy, is_copy.to(torch.uint8).argmax(dim=2), unit)
    other = rows.gather(1, unit[:, :, None].expand(-1, -1, rows.shape[2]))
    dots = (rows[:, some].double() * other.double()).sum(dim=2)
    cosine = (dots / (norms[:, some] * norms.gather(1, unit))).clamp(-1, 1)
    return torch.where(best > -torch.inf, unit, -1), cosine, has_copy


def pairs(found: Twins) -> Iterator[tuple[int, int, float]]:
    """Copies and near twins as (unit, twin, cosine), most alike first, each pair once."""
    is_like = found.is_copy | found.is_near
    seen: set[frozenset[int]] = set()
    for unit, other, cosine in _ranked(found):
        pair = frozenset((unit, other))
        if is_like[unit] and pair not in seen:
            seen.add(pair)
            yield unit, other, cosine


def nearest_pair(found: Twins) -> Iterator[tuple[int, int, float]]:
    """The pair that is most alike, however little; none where no filter has a direction."""
    yield from islice(_ranked(found), 1)


def _ranked(found: Twins) -> Iterator[tuple[int, int, float]]:
    for unit in np.argsort(-np.nan_to_num(found.cosine, nan=-2), kind="stable").tolist():
        if found.unit[unit] >= 0:
            yield unit, int(found.unit[unit]), float(found.cosine[unit])
