"""Statistics of any numbers, cut anywhere and merged in any order, are those of the whole."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reportgen.probe.class_correlation import ClassCorrelation
from reportgen.probe.statistics import LayerStatistics

UNITS, POSITIONS = 3, 5
NUMBERS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf])
CUTS = st.lists(st.integers(1, 11), unique=True, max_size=5)
RANDOM = st.randoms(use_true_random=False)


def parts_of(count: int, cuts: Sequence[int], random: Any) -> list[slice]:
    """The whole, cut, in another order."""
    ends = sorted({0, count, *(cut for cut in cuts if cut < count)})
    parts = [slice(a, b) for a, b in pairwise(ends)]
    random.shuffle(parts)
    return parts


def merged(parts: list[Any], random: Any) -> Any:
    """Two at a time, in any order, until one is left: a tree and not only a chain."""
    while len(parts) > 1:
        other = parts.pop(random.randrange(len(parts)))
        random.choice(parts).merge(other)
    return parts[0]


def seen(values: torch.Tensor) -> LayerStatistics:
    statistics = LayerStatistics(UNITS)
    statistics.update(values)
    return statistics


@settings(max_examples=80, deadline=None)
@given(arrays(np.float32, (12, UNITS, POSITIONS), elements=NUMBERS), CUTS, RANDOM)
def test_statistics_of_a_layer(values: np.ndarray, cuts: list[int], random: Any) -> None:
    whole = seen(torch.from_numpy(values)).evidence()
    pieces = [seen(torch.from_numpy(values[part])) for part in parts_of(12, cuts, random)]
    found = merged(pieces, random).evidence()
    for name in ("minimum", "maximum", "positive", "zeros", "fired", "nonfinite"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    assert (found.images, found.positions) == (12, POSITIONS)
    assert found.histogram.exponent == whole.histogram.exponent
    np.testing.assert_array_equal(found.histogram.counts, whole.histogram.counts)
    size = np.nanmax(np.abs(np.where(np.isfinite(values), values, 0)), initial=1)
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-9, atol=1e-12 * size)
    np.testing.assert_allclose(found.variance, whole.variance, rtol=1e-9, atol=1e-12 * size**2)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, (12, UNITS), elements=st.floats(-100, 100, width=32)),
    arrays(np.float32, (12, 2), elements=st.floats(-100, 100, width=32)),
    CUTS,
    RANDOM,
)
def test_correlation_with_classes(
    values: np.ndarray, logits: np.ndarray, cuts: list[int], random: Any
) -> None:
    def of(part: slice) -> ClassCorrelation:
        correlation = ClassCorrelation(UNITS, 2)
        correlation.update(values[part], logits[part])
        return correlation

    whole = of(slice(None))
    found = merged([of(part) for part in parts_of(12, cuts, random)], random)
    assert found.images == whole.images == 12
    np.testing.assert_allclose(
        np.nan_to_num(found.correlation(), nan=9),
        np.nan_to_num(whole.correlation(), nan=9),
        atol=1e-4,
    )
