import math

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses import parameters
from reportgen.analyses.parameters import parameter_record, parameter_records


def test_weights_biases_norms_and_running_statistics_but_no_counters() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, (3, 5)), nn.BatchNorm2d(3))
    module.register_buffer("table", torch.arange(6))
    names = [record.name for record in parameter_records(module)]
    assert names == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
    ]


@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_statistics_are_those_of_torch_in_float64(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "_CHUNK", chunk)
    torch.manual_seed(1)
    value = torch.randn(6, 4, 3, 5) * 0.02 + 3
    value[0, 1] = 0
    record = parameter_record("conv.weight", value)
    exact = value.double()
    assert record.shape == (6, 4, 3, 5)
    assert record.mean == pytest.approx(exact.mean().item(), rel=1e-12)
    assert record.std == pytest.approx(exact.std(unbiased=True).item(), rel=1e-12)
    assert (record.min, record.max) == (exact.min().item(), exact.max().item())
    assert record.norm == pytest.approx(exact.norm().item(), rel=1e-12)
    assert record.zero_fraction == 15 / 360
    assert record.nonfinite == 0


def test_histogram_is_a_literal_count_in_fifty_bins() -> None:
    torch.manual_seed(2)
    value = torch.randn(40, 9)
    histogram = parameter_record("w", value).histogram
    low, high = value.double().min().item(), value.double().max().item()
    counts = [0] * 50
    for number in value.double().flatten().tolist():
        counts[min(int((number - low) / (high - low) * 50), 49)] += 1
    assert histogram.counts == tuple(counts)
    assert (histogram.low, histogram.high) == (low, high)
    assert sum(histogram.counts) == 360


@pytest.mark.parametrize("level", [0.0, 0.75, -3e30])
def test_a_single_value_has_a_histogram_and_no_spread(level: float) -> None:
    record = parameter_record("gain", torch.full((4,), level))
    assert sum(record.histogram.counts) == 4
    assert record.histogram.low < record.min <= record.histogram.high
    assert record.std == 0
    assert parameter_record("one", torch.tensor(2.5)).std == 0


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    value = torch.tensor([1.0, math.nan, 3.0, math.inf, 0.0, -math.inf])
    record = parameter_record("w", value)
    assert record.nonfinite == 3
    assert record.mean == pytest.approx(4 / 3)
    assert record.std == pytest.approx(float(np.std([1, 3, 0], ddof=1)))
    assert (record.min, record.max) == (0, 3)
    assert record.zero_fraction == pytest.approx(1 / 6)
    assert sum(record.histogram.counts) == 3


def test_nothing_finite_gives_no_number() -> None:
    record = parameter_record("w", torch.full((2, 2), math.nan))
    assert math.isnan(record.mean) and math.isnan(record.max)
    assert record.nonfinite == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_number_format(dtype: torch.dtype) -> None:
    value = torch.linspace(-1, 2, 37).to(dtype)
    record = parameter_record("w", value)
    assert record.mean == pytest.approx(value.double().mean().item(), rel=1e-9)
