"""Class activation maps: from the values of a layer and the slope of a score to one map."""

import numpy as np
import torch

from reportgen.analyses.stages import Stage
from reportgen.probe.maps import as_maps as maps_in
from reportgen.probe.maps import by_image
from reportgen.report.arrays import FloatArray


def as_maps(tensor: torch.Tensor, stage: Stage) -> FloatArray:
    """What lies at a stage for one image, as (units h w) float64, whatever the network's layout."""
    call = stage.call
    # A convolution or a pooling takes (b c h w); a norm takes tokens just as it gives them.
    maps: torch.Tensor | None = tensor
    if stage.spot.side == "output" or call.tokens is not None:
        maps = maps_in(by_image(tensor, call.arrangement, 1), call.arrangement)
    assert maps is not None
    values: FloatArray = maps[0].double().numpy()
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
