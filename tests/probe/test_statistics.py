"""Streaming statistics against a loop that looks at one number after the other."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.probe import reduction
from reportgen.probe.evidence import LayerEvidence
from reportgen.probe.statistics import LayerStatistics

COUNTS = ("positive", "zeros", "fired", "nonfinite", "minimum", "maximum")


def seen(*batches: torch.Tensor) -> LayerEvidence:
    total = LayerStatistics(batches[0].shape[1])
    for batch in batches:
        part = LayerStatistics(batch.shape[1])
        part.update(batch)
        total.merge(part)
    return total.evidence()


def literal(values: np.ndarray) -> dict[str, list[float]]:
    """(images units positions), one value at a time, in exact arithmetic."""
    rows: dict[str, list[float]] = {name: [] for name in (*COUNTS, "mean", "variance")}
    for unit in range(values.shape[1]):
        finite = [float(v) for v in values[:, unit].ravel() if math.isfinite(v)]
        exact = [Fraction(v) for v in finite]
        mean = sum(exact) / len(exact)
        rows["mean"].append(float(mean))
        rows["variance"].append(float(sum((v - mean) ** 2 for v in exact) / len(exact)))
        rows["minimum"].append(min(finite))
        rows["maximum"].append(max(finite))
        rows["positive"].append(sum(v > 0 for v in finite))
        rows["zeros"].append(sum(v == 0 for v in finite))
        rows["nonfinite"].append(values[:, unit].size - len(finite))
        rows["fired"].append(
            sum(any(math.isfinite(v) and v > 0 for v in image) for image in values[:, unit])
        )
    return rows


def literal_bins(values: np.ndarray) -> tuple[int, list[int]]:
    """Exponent and counts, found by trying one exponent after the other in exact arithmetic."""
    exact = [Fraction(float(v)) for v in values.ravel() if math.isfinite(v)]
    exponent = reduction.LOWEST_EXPONENT
    while not all(-128 <= v / Fraction(2) ** exponent < 128 for v in exact):
        exponent += 1
    counts = [0] * 256
    for v in exact:
        counts[math.floor(v / Fraction(2) ** exponent) + 128] += 1
    return exponent, counts


def check(evidence: LayerEvidence, values: np.ndarray) -> None:
    expected = literal(values)
    for name in COUNTS:
        np.testing.assert_array_equal(getattr(evidence, name), expected[name], err_msg=name)
    np.testing.assert_allclose(evidence.mean, expected["mean"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(evidence.variance, expected["variance"], rtol=1e-9)
    exponent, counts = literal_bins(values)
    assert evidence.histogram.exponent == exponent
    np.testing.assert_array_equal(evidence.histogram.counts, counts)


def sample(images: int = 5, units: int = 3, positions: int = 11) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(images, units, positions, generator=generator)
    # One unit as a ReLU leaves it, one that is off on some images, one of both signs.
    values[:, 0].clamp_(min=0)
    values[::2, 1] = values[::2, 1].abs().neg()
    values[1, 2, :4] = 0.0
    return values * torch.tensor([1.0, 40.0, 1e-4])[:, None]


def test_agrees_with_the_literal_loop() -> None:
    values = sample()
    check(seen(values), values.numpy())


def test_float64_is_not_rounded() -> None:
    values = sample().double() + 1e-12
    check(seen(values), values.numpy())


def test_half_precision_is_widened() -> None:
    values = sample().half()
    check(seen(values), values.float().numpy())


def test_large_batches_are_worked_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sample(images=7)
    monkeypatch.setattr(reduction, "CHUNK", 70)
    check(seen(values), values.numpy())


def test_a_mean_far_larger_than_the_spread_keeps_the_variance() -> None:
    values = sample() * 0.5 + 30000.0
    check(seen(values[:2], values[2:]), values.numpy())


@pytest.mark.parametrize("split", [(1, 1, 1, 1, 1), (4, 1), (2, 0, 3)])
def test_any_split_gives_the_same(split: tuple[int, ...]) -> None:
    values = sample()
    check(seen(*values.split(split)), values.numpy())


def test_merging_in_another_order_gives_the_same() -> None:
    values = sample() * torch.tensor([1.0, 1e3, 1e-3, 7.0, 1e6])[:, None, None]
    check(seen(*reversed(values.split(1))), values.numpy())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_counted_apart(bad: float) -> None:
    values = sample()
    values[1, 0, 3] = values[3, 2, :] = bad
    check(seen(values[:2], values[2:]), values.numpy())


def test_opposite_infinities_do_not_cancel() -> None:
    values = sample()
    values[0, 1, 0], values[0, 1, 1] = math.inf, -math.inf
    check(seen(values), values.numpy())


def test_a_unit_without_a_finite_value_has_no_range() -> None:
    values = sample()
    values[:, 1] = math.nan
    evidence = seen(values)
    for name in ("minimum", "maximum", "mean", "variance"):
        np.testing.assert_array_equal(np.isnan(getattr(evidence, name)), [False, True, False])
    assert evidence.fired[1] == evidence.positive[1] == evidence.zeros[1] == 0
    assert evidence.nonfinite[1] == 55


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=12)
)
@settings(max_examples=300, deadline=None)
def test_bins_depend_on_the_values_alone(values: list[float]) -> None:
    """Whatever the values: powers of two, denormal numbers, tiny ones beside huge ones."""
    together = torch.tensor(values).reshape(1, 1, -1)
    one_by_one = [torch.tensor(v).reshape(1, 1, 1) for v in values]
    exponent, counts = literal_bins(together.numpy())
    for evidence in (seen(together), seen(*one_by_one)):
        assert evidence.histogram.exponent == exponent
        np.testing.assert_array_equal(evidence.histogram.counts, counts)


@pytest.mark.parametrize("value", [1.0, -1.0, 127.9999, -128.0, 128.0, 2.0**-130, -(2.0**100), 0.0])
def test_edges_of_the_bins(value: float) -> None:
    values = torch.tensor([[[value, 0.0, -1e-40]]])
    exponent, counts = literal_bins(values.numpy())
    evidence = seen(values)
    assert evidence.histogram.exponent == exponent
    np.testing.assert_array_equal(evidence.histogram.counts, counts)
