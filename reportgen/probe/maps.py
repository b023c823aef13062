"""Outputs as maps (images units h w), whichever way a network lays them out."""

import torch

from reportgen.probe.layout import Arrangement


def by_image(output: torch.Tensor, arranged: Arrangement, images: int) -> torch.Tensor:
    """An output as (images, *shape); windows of one image, listed as images, get their own axis."""
    if output.shape[arranged.batch_axis] != images:
        place = arranged.batch_axis
        output = output.reshape(*output.shape[:place], images, -1, *output.shape[place + 1 :])
        return output.movedim((place, place + 1), (0, 1))
    return output.movedim(arranged.batch_axis, 0) if arranged.batch_axis else output


def by_unit(per_image: torch.Tensor, arranged: Arrangement) -> torch.Tensor:
    """All values of each unit (images units positions), those of maps slice by slice, row by row.

    Without an axis of channels there is one unit.

    Args:
        per_image: (images, *shape), as `by_image` gives it.
        arranged: what the axes of `shape` mean.
    """
    if arranged.channel_axis is None:
        return per_image.reshape(len(per_image), 1, -1)
    depth = () if arranged.depth_axis is None else (arranged.depth_axis,)
    axes = (arranged.channel_axis, *depth, *(arranged.spatial_axes or ()))
    if axes != tuple(range(len(axes))):
        per_image = per_image.movedim([1 + axis for axis in axes], list(range(1, 1 + len(axes))))
    return per_image.reshape(*per_image.shape[:2], -1)


def on_grid(values: torch.Tensor, arranged: Arrangement) -> torch.Tensor:
    """What `by_unit` gives, without tokens that stand for no place, such as the class token."""
    tokens = arranged.tokens
    if tokens is None:
        return values
    return values.narrow(2, tokens.before, tokens.rows * tokens.columns)


def as_maps(per_image: torch.Tensor, arranged: Arrangement) -> torch.Tensor | None:
    """The maps (images units [slices] h w) in an output; None where positions are no grid.

    Tokens that stand for no place, such as the class token of a vision transformer, are left out.
    Without an axis of channels there is one unit. Values along further axes are averaged.

    Args:
        per_image: (images, *shape), as `by_image` gives it.
        arranged: what the axes of `shape` mean.
    """
    channel, places = arranged.channel_axis, arranged.spatial_axes
    if (tokens := arranged.tokens) is not None:
        per_image = per_image.narrow(1 + tokens.axis, tokens.before, tokens.rows * tokens.columns)
        shape = per_image.shape
        grid = (tokens.rows, tokens.columns)
        per_image = per_image.reshape(*shape[: 1 + tokens.axis], *grid, *shape[2 + tokens.axis :])
        places = (tokens.axis, tokens.axis + 1)
        if channel is not None and channel > tokens.axis:
            channel += 1
    if places is None:
        return None
    grid_axes = places if arranged.depth_axis is None else (arranged.depth_axis, *places)
    axes = [1 + axis for axis in (grid_axes if channel is None else (channel, *grid_axes))]
    others = [axis for axis in range(1, per_image.ndim) if axis not in axes]
    if others:
        per_image = per_image.mean(others, keepdim=True)
    maps = per_image.permute(0, *others, *axes)
    return maps.reshape(len(maps), -1, *maps.shape[-len(grid_axes) :])
