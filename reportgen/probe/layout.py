"""Which axis of an activation is batch, channels, height and width: tracked, never guessed.

An axis is a row of factors, outermost first. A reshape splits and joins factors in row-major order,
a permute moves axes, and so the roles survive any such chain: the (b h w c) of Swin, the
(b c/g g h w) of a channel shuffle, the (b (h w) c) of tokens. Where tokens of another kind join
those of the grid, such as a class token, their axis remembers where the grid lies in it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["batch", "channel", "depth", "height", "width", "token", "branch"]
"""`depth`: slices of a volume or frames of a video. `token`: positions that are no grid. `branch`:
neither place nor channel."""

_idents = count()


@dataclass(frozen=True)
class Factor:
    """A part of an axis: `index // step % size` of an axis of length `extent`."""

    role: Role
    size: int
    ident: int
    "The axis that it was cut from."
    step: int
    extent: int
    before: int = 0
    "Of a token axis that holds a whole grid: tokens in front of it."
    grid: "tuple[Factor, ...]" = ()
    "The height and the width of that grid."

    @property
    def is_whole(self) -> bool:
        """False where it was cut, so that it counts only a part of the positions."""
        return self.size == self.extent


Axis: TypeAlias = tuple[Factor, ...]
Layout: TypeAlias = tuple[Axis, ...]


def axis(role: Role, size: int) -> Axis:
    """A new axis that has nothing to do with any other."""
    return (Factor(role, size, next(_idents), 1, size),)


def maps(shape: Sequence[int]) -> Layout:
    """The layout that convolutions and poolings take and give: (b c h w) or (b c slices h w).

    Positions on one axis, or on more than three, are tokens.
    """
    roles: list[Role] = ["batch", "channel", "depth", "height", "width"]
    if len(shape) == 4:
        roles.remove("depth")
    elif len(shape) != 5:
        roles[2:] = ["token"] * (len(shape) - 2)
    return tuple(axis(role, size) for role, size in zip(roles, shape, strict=True))


def role_of(factors: Axis) -> Role:
    """The one role of all factors; `token` where they differ, `branch` where there are none."""
    roles = {factor.role for factor in factors}
    if not roles:
        return "branch"
    return roles.pop() if len(roles) == 1 else "token"


def length(factors: Axis) -> int:
    """Number of positions on an axis."""
    return math.prod(factor.size for factor in factors)


def resized(factors: Axis, size: int) -> Axis:
    """The axis cut or padded to another length: the role stays, the positions do not."""
    return factors if length(factors) == size else axis(role_of(factors), size)


def is_grid(factors: Axis) -> bool:
    """Whether an axis is all positions of a grid, row by row, and nothing else."""
    roles = [factor.role for factor in factors]
    return roles == ["height", "width"] and all(factor.is_whole for factor in factors)


def grid_in(factors: Axis) -> tuple[int, Axis]:
    """The whole grid on an axis and the number of tokens before it; empty where there is none."""
    if is_grid(factors):
        return 0, factors
    if len(factors) == 1 and factors[0].is_whole:
        return factors[0].before, factors[0].grid
    return 0, ()


def sliced(factors: Axis, start: int, size: int, step: int = 1) -> Axis:
    """Some positions of an axis: a grid that is among them as a whole is still known."""
    before, grid = grid_in(factors)
    first = before - start
    if step == 1 and grid and first >= 0 and first + length(grid) <= size:
        return with_grid(first, grid, size)
    return resized(factors, size)


def with_grid(before: int, grid: Axis, size: int) -> Axis:
    """A grid with `before` tokens in front, and as many behind as `size` tokens in all leave."""
    if length(grid) == size:
        return grid
    (factor,) = axis("token", size)
    return (replace(factor, before=before, grid=grid),)


def reshape(layout: Layout, shape: Sequence[int]) -> Layout | None:
    """The layout after a row-major reshape; None where a factor cannot be cut evenly."""
    left = [factor for factors in layout for factor in factors]
    axes: list[Axis] = []
    for size in shape:
        taken: list[Factor] = []
        if size == 1 and left and left[0].size == 1:
            taken.append(left.pop(0))
        while size > 1:
            while left and left[0].size == 1:
                left.pop(0)
            if not left:
                return None
            factor = left.pop(0)
            if size % factor.size:
                if factor.size % size:
                    return None
                inner = replace(factor, size=factor.size // size)
                left.insert(0, inner)
                factor = replace(factor, size=size, step=factor.step * inner.size)
            taken.append(factor)
            size //= factor.size
        axes.append(_joined(taken))
    return tuple(axes) if length(tuple(left)) == 1 else None


def _joined(factors: Iterable[Factor]) -> Axis:
    """Neighbours that were cut from each other, put together again."""
    joined: list[Factor] = []
    for factor in factors:
        last = joined[-1] if joined else None
        if last and last.ident == factor.ident and last.step == factor.step * factor.size:
            joined[-1] = replace(factor, size=last.size * factor.size)
        else:
            joined.append(factor)
    return tuple(joined)


def broadcast(layouts: Sequence[Layout], shape: Sequence[int]) -> Layout:
    """The layout of an elementwise result: each axis as in the first operand of its length."""
    axes: list[Axis] = []
    for offset, size in zip(range(len(shape), 0, -1), shape, strict=True):
        candidates = [layout[-offset] for layout in layouts if offset <= len(layout)]
        fitting = [factors for factors in candidates if factors and length(factors) == size]
        axes.append(fitting[0] if fitting else () if size == 1 else axis("token", size))
    return tuple(axes)


@dataclass(frozen=True)
class TokenGrid:
    """Where on an axis of tokens the positions of the image lie, row by row."""

    axis: int
    before: int
    "Tokens in front of the grid, such as a class token; there may be others behind."
    rows: int
    columns: int


@dataclass(frozen=True)
class Arrangement:
    """How to read a tensor of a call as (images, *shape), and which axes of `shape` mean what."""

    shape: tuple[int, ...]
    "Of one image."
    batch_axis: int
    "Axis of the tensor on which the images lie, outermost."
    channel_axis: int | None
    spatial_axes: tuple[int, int] | None
    tokens: TokenGrid | None = None
    "Where there are no `spatial_axes`, but one axis holds all positions."
    depth_axis: int | None = None
    "Slices, where there are several maps behind one another."

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns; None where positions are no grid."""
        if self.tokens is not None:
            return self.tokens.rows, self.tokens.columns
        if self.spatial_axes is None:
            return None
        down, across = self.spatial_axes
        return self.shape[down], self.shape[across]


def arrangement(layout: Layout | None, shape: Sequence[int], images: int) -> Arrangement | None:
    """What the axes of a call's output mean; None where the images are not told apart.

    Args:
        layout: as tracked; None where that failed, and then nothing but a leading batch is assumed.
        shape: of the tensor, with the batch.
        images: images in the batch.
    """
    if layout is None:
        if not shape or shape[0] != images:
            return None
        return Arrangement(tuple(shape[1:]), 0, None, None)
    leading = [i for i, factors in enumerate(layout) if factors and factors[0].role == "batch"]
    if len(leading) != 1:
        return None
    batch_axis = leading[0]
    batch = layout[batch_axis][0]
    if not batch.is_whole or batch.size != images:
        # Such as an image and its mirror image, stacked.
        return None
    rest = layout[batch_axis][1:]
    axes = [*layout[:batch_axis], *layout[batch_axis + 1 :]]
    sizes = [*shape[:batch_axis], *shape[batch_axis + 1 :]]
    if rest:
        axes.insert(0, rest)
        sizes.insert(0, length(rest))
    channels = [i for i, factors in enumerate(axes) if factors and role_of(factors) == "channel"]
    places = [_place(axes, role) for role in ("height", "width")]
    if not channels and len(axes) == 1:
        # A flattened map is a vector of features.
        channels = [0]
    spatial = None
    if places[0] is not None and places[1] is not None:
        spatial = (places[0], places[1])
    return Arrangement(
        shape=tuple(sizes),
        batch_axis=batch_axis,
        channel_axis=channels[0] if len(channels) == 1 else None,
        spatial_axes=spatial,
        tokens=_tokens(axes) if len(channels) == 1 and len(axes) == 2 else None,
        depth_axis=None if spatial is None else _place(axes, "depth"),
    )


def _tokens(axes: Sequence[Axis]) -> TokenGrid | None:
    """The axis that holds a whole grid, where there is exactly one."""
    found = [(place, *grid_in(factors)) for place, factors in enumerate(axes)]
    found = [(place, before, grid) for place, before, grid in found if grid]
    if len(found) != 1:
        return None
    place, before, (height, width) = found[0]
    return TokenGrid(place, before, height.size, width.size)


def _place(axes: Sequence[Axis], role: Role) -> int | None:
    """The axis that is the whole height (width, depth), where there is exactly one."""
    found = [
        i
        for i, factors in enumerate(axes)
        if len(factors) == 1 and factors[0].role == role and factors[0].is_whole
    ]
    return found[0] if len(found) == 1 else None
