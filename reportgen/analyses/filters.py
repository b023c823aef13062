"""The weights of a layer seen as filters: one row of kernels per output channel."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen.probe.evidence import Call, CallKey, Evidence
from reportgen.report.arrays import FloatArray


def weighted_module(module: nn.Module, call: Call) -> nn.Module | None:
    """The module behind a convolution or linear call, where there is one with a weight."""
    if call.kind not in {"conv", "linear"}:
        return None
    try:
        layer = module.get_submodule(call.key.path)
    except AttributeError:
        return None
    weight = getattr(layer, "weight", None)
    return layer if isinstance(weight, torch.Tensor) and weight.is_floating_point() else None


def kernels(layer: nn.Module) -> FloatArray | None:
    """The weight of a convolution or linear layer as (filters channels height width), float32.

    `channels` counts those of one group. A transposed convolution stores its weight as
    (in, out / groups, h, w) and is turned round. 1-d kernels have height 1; 3-d ones are
    (filters channels slices height width).
    """
    weight = layer.weight
    if not isinstance(weight, torch.Tensor) or not 2 <= weight.ndim <= 5:
        return None
    values = weight.detach().cpu().float()
    if getattr(layer, "transposed", False):
        groups = int(getattr(layer, "groups", 1))
        rows = values.reshape(groups, -1, *values.shape[1:])
        values = rows.transpose(1, 2).flatten(0, 1)
    if values.ndim == 2:
        values = values[:, :, None, None]
    elif values.ndim == 3:
        values = values[:, :, None, :]
    result: FloatArray = values.contiguous().numpy()
    return result


def zero_filters(module: nn.Module, evidence: Evidence) -> dict[CallKey, NDArray[np.bool_]]:
    """Filters whose kernels and bias are all exactly zero, (filters,) per first call of a layer."""
    found: dict[CallKey, NDArray[np.bool_]] = {}
    for call in evidence.calls:
        layer = weighted_module(module, call) if call.key.call == 1 else None
        rows = None if layer is None else kernels(layer)
        if layer is None or rows is None:
            continue
        is_zero = ~rows.reshape(len(rows), -1).any(axis=1)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, torch.Tensor):
            is_zero &= bias.detach().cpu().numpy() == 0
        if is_zero.shape == (call.units,):
            found[call.key] = is_zero
    return found
