"""The activation of one call for one image, made small enough to keep."""

import re

import numpy as np
import torch
import torch.nn.functional as F

from reportgen.probe.evidence import CallKey, MapPicture, VectorPicture
from reportgen.probe.layout import Arrangement
from reportgen.probe.maps import as_maps
from reportgen.probe.reduction import compiled
from reportgen.report.arrays import ByteArray, FloatArray, Pixels
from reportgen.report.places import middle_slice

LONGEST_SIDE = 64
"Of a kept map, in pixels."

TOP_LEVEL = 254
"255 is left for the gaps between tiles."


def picture(
    activation: torch.Tensor,
    arranged: Arrangement,
    key: CallKey,
    image: int,
    keep_array: bool,
) -> MapPicture | VectorPicture:
    """The picture of one image's activation.

    Args:
        activation: of the shape `arranged.shape`, without the batch.
        arranged: what its axes mean.
        key: the call, which names the picture's file.
        image: index of the image.
        keep_array: whether to keep the whole activation as well.

    Returns:
        A map where positions are a grid of more than one place, otherwise one value per unit: the
        mean over positions where there are several. Tokens beside the grid are left out of a map.
        Of a volume the middle slice is drawn, on the range of all slices.
    """
    wide = torch.float64 if activation.dtype == torch.float64 else torch.float32
    values = activation.detach().to("cpu", wide)
    if arranged.grid in (None, (1, 1)):
        # A copy, as below: the network may overwrite the activation later.
        return VectorPicture(_vector(values, arranged.channel_axis).copy())
    found = as_maps(values[None], arranged)
    assert found is not None
    # As two axes, which PyTorch puts in order three times as quickly.
    whole = found[0].flatten(1).contiguous().view(found.shape[1:])
    if whole.ndim == 4:
        maps = whole[:, middle_slice(whole.shape[1])]
        low, high, tiles = _levels(maps.numpy(), whole.flatten(1).numpy())
        mean = maps.mean(0, dtype=torch.float64).numpy()
    else:
        low, high, tiles, mean = _painted(whole)
    mean_low, mean_high, mean_tile = _levels(mean[None])
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", f"mean-{key}-{image + 1}")
    return MapPicture(
        tiles=tiles,
        low=low,
        high=high,
        mean_map=Pixels.of(mean_tile[0], stem),
        mean_low=float(mean_low[0]),
        mean_high=float(mean_high[0]),
        full=whole.numpy().copy() if keep_array else None,
    )


def _vector(values: torch.Tensor, channel_axis: int | None) -> FloatArray:
    """One value per unit."""
    if channel_axis is None:
        return values.mean().reshape(1).numpy()
    rows = values.movedim(channel_axis, 0).reshape(values.shape[channel_axis], -1)
    result: FloatArray = (rows[:, 0] if rows.shape[1] == 1 else rows.double().mean(1)).numpy()
    return result


def _painted(maps: torch.Tensor) -> tuple[FloatArray, FloatArray, ByteArray, FloatArray]:
    """What `_levels` gives for each of the maps (c h w), and the mean map (h w), float64."""
    if maps.dtype == torch.float32 and maps.numel() and (code := compiled()):
        (low, high), tiles, mean = code.painted(maps, _reduced(*maps.shape[1:]))
        return low, high, tiles, mean
    return *_levels(maps.numpy()), maps.mean(0, dtype=torch.float64).numpy()


def _levels(
    maps: FloatArray, ranged: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, ByteArray]:
    """Range of each map (c h w), or of the values (c n) given for it, and levels at reduced size.

    Level v stands for `low + v / 254 * (high - low)`, with the range of the full-size map. A map of
    one value is level 0. Infinite values are drawn as the end of the range on their side, NaN as
    level 0.
    """
    values = maps.reshape(len(maps), -1) if ranged is None else ranged
    finite = np.isfinite(values)
    if finite.all():
        low, high = values.min(1), values.max(1)
    else:
        low = np.where(finite, values, np.inf).min(1)
        high = np.where(finite, values, -np.inf).max(1)
        low, high = (np.where(np.isfinite(end), end, np.nan) for end in (low, high))
        bottom, top = low[:, None, None], high[:, None, None]
        maps = np.clip(np.where(np.isnan(maps), bottom, maps), bottom, top)
    low64, high64 = (end.astype(np.float64)[:, None, None] for end in (low, high))
    small, shape = maps.astype(np.float64), _reduced(*maps.shape[1:])
    if shape != maps.shape[1:]:
        small = F.adaptive_avg_pool2d(torch.from_numpy(small)[None], shape)[0].numpy()
    span = high64 - low64
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.where(span > 0, (small - low64) / span * TOP_LEVEL, 0.0)
    return low, high, np.nan_to_num(np.rint(levels).clip(0, TOP_LEVEL)).astype(np.uint8)


def _reduced(height: int, width: int) -> tuple[int, int]:
    """Height and width with the longer side at most 64 and the proportions kept."""
    longest = max(height, width)
    if longest <= LONGEST_SIDE:
        return height, width
    return max(1, round(height * LONGEST_SIDE / longest)), max(
        1, round(width * LONGEST_SIDE / longest)
    )
