"""The correlation of a call's input and output, against numpy's own."""

import math

import numpy as np
import pytest
import torch

from reportgen.probe.similarity import PIECE, similarity


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("size", [2, 1000, PIECE, 2 * PIECE + 17])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_agrees_with_numpy(size: int, dtype: torch.dtype) -> None:
    x = noise(size).to(dtype)
    y = (x * 0.3 + noise(1, size)[0].to(dtype)).clamp(min=0) + 7
    expected = np.corrcoef(x.double(), y.double())[0, 1]
    assert similarity(x, y) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_any_order_of_the_axes_is_read_alike() -> None:
    x = noise(2, 3, 5, 7)
    y = x.relu().to(memory_format=torch.channels_last)
    expected = np.corrcoef(x.flatten(), x.relu().flatten())[0, 1]
    assert similarity(x, y) == pytest.approx(expected, rel=1e-6)


def test_is_not_defined_everywhere() -> None:
    x = noise(4, 5)
    assert similarity(x, x.T) is None
    assert similarity(x[:0], x[:0]) is None
    assert similarity(x, torch.full((4, 5), 2.0)) is None
    assert similarity(x, torch.full((4, 5), math.inf)) is None
    assert similarity(x, -2 * x + 1) == pytest.approx(-1.0)
