"""Statistics of everything a network has learned: each weight, bias and norm parameter."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Histogram
from reportgen.report.records import Parameter

BINS = 50

_CHUNK = 1 << 20
"Values taken to float64 at a time, so that a large layer costs 8 MB and not gigabytes."


def parameter_records(module: nn.Module) -> tuple[Parameter, ...]:
    """One record per floating-point entry of the state dict, in its order.

    Running means and variances of batch norms are among them; `num_batches_tracked` and other
    whole-number buffers are counters and tables, not weights, and are left out.
    """
    return tuple(
        parameter_record(name, value)
        for name, value in module.state_dict().items()
        if value.is_floating_point() and value.numel()
    )


def parameter_record(name: str, value: torch.Tensor) -> Parameter:
    """Statistics of one tensor, computed in float64.

    NaN and infinite values are counted and left out of everything else; where no finite value is
    left, the statistics are NaN.
    """
    flat = value.detach().cpu().reshape(-1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    values: FloatArray = flat.numpy()
    finite = np.isfinite(values)
    nonfinite = int(values.size - np.count_nonzero(finite))
    if nonfinite:
        values = values[finite]
    shape = tuple(value.shape)
    if not values.size:
        nan = float("nan")
        empty = Histogram((0,) * BINS, 0.0, 1.0, "", f"{name} holds no finite value.")
        return Parameter(name, shape, nan, nan, nan, nan, nan, 0.0, nonfinite, empty)
    low, high = float(values.min()), float(values.max())
    # Two passes: the sum of squares alone loses digits where the mean is far from zero.
    mean = sum(float(chunk.sum()) for chunk in _chunks(values)) / values.size
    spread = sum(float(np.square(chunk - mean).sum()) for chunk in _chunks(values))
    power = sum(float(np.square(chunk).sum()) for chunk in _chunks(values))
    return Parameter(
        name=name,
        shape=shape,
        mean=mean,
        std=float(np.sqrt(spread / (values.size - 1))) if values.size > 1 else 0.0,
        min=low,
        max=high,
        norm=float(np.sqrt(power)),
        zero_fraction=float(np.count_nonzero(values == 0)) / value.numel(),
        nonfinite=nonfinite,
        histogram=_histogram(values, low, high, name),
    )


def _histogram(values: FloatArray, low: float, high: float, name: str) -> Histogram:
    if low == high:
        # A single value has no range of its own: it stands in the middle of one.
        half = max(0.5, abs(low) / 2)
        low, high = low - half, high + half
    counts = np.zeros(BINS, dtype=np.int64)
    for chunk in _chunks(values):
        counts += np.histogram(chunk, bins=BINS, range=(low, high))[0]
    caption = f"The {values.size:,} values of {name} in {BINS} equal bins from min to max."
    return Histogram(tuple(int(count) for count in counts), low, high, "", caption)


def _chunks(values: FloatArray) -> Iterator[FloatArray]:
    for start in range(0, values.size, _CHUNK):
        yield values[start : start + _CHUNK].astype(np.float64)
