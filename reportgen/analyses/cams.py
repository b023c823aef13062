"""Class activation maps: from the values of a layer and the slope of a score to one map."""

import numpy as np
import torch

from reportgen.analyses.stages import Stage
from reportgen.probe.collector import by_image
from reportgen.probe.layout import Arrangement
from reportgen.report.arrays import FloatArray


def as_maps(tensor: torch.Tensor, stage: Stage) -> FloatArray:
    """What lies at a stage for one image, as (units h w) float64, whatever the network's layout."""
    call = stage.call
    if stage.spot.side == "input":
        # Only of calls that take (b c h w) by definition.
        maps = tensor[0]
    else:
        arranged = Arrangement(
            call.output_shape, call.batch_axis, call.channel_axis, call.spatial_axes
        )
        axes = (call.channel_axis or 0, *(call.spatial_axes or ()))
        maps = by_image(tensor, arranged, 1)[0].movedim(axes, (0, 1, 2))
    values: FloatArray = maps.double().numpy()
    return values


def grad_cam(values: FloatArray, gradient: FloatArray) -> FloatArray:
    """Channels, each weighed by the mean of its gradient [selvaraju2017]; without the last ReLU.

    Args:
        values: (units h w)
        gradient: of the score with respect to them, (units h w).

    Returns:
        (h w) float64; above zero: what lies here raises the score.
    """
    weights = gradient.mean(axis=(1, 2))
    summed: FloatArray = np.einsum("u,uhw->hw", weights, values)
    return summed


def layer_cam(values: FloatArray, gradient: FloatArray) -> FloatArray:
    """Each value times its own gradient where that is positive, summed over channels [jiang2021].

    Arguments and result as of `grad_cam`.
    """
    summed: FloatArray = (np.maximum(gradient, 0) * values).sum(axis=0)
    return summed


def hires_cam(values: FloatArray, gradient: FloatArray) -> FloatArray:
    """Each value times its own gradient, summed over channels [draelos2020].

    Arguments and result as of `grad_cam`. The sum over the map is the first-order change of the
    score when the whole layer is switched off.
    """
    summed: FloatArray = (gradient * values).sum(axis=0)
    return summed


def rank_correlation(first: FloatArray, second: FloatArray) -> float | None:
    """Spearman's rank correlation of two equally shaped arrays; None where one is constant."""
    x, y = (_ranks(values) for values in (first, second))
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float(np.clip((x * y).sum() / norm, -1, 1)) if norm else None


def _ranks(values: FloatArray) -> FloatArray:
    """Rank of each value from 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = (ends - (counts + 1) / 2)[places]
    return ranks
