"""Correlations, distances of histograms and changes of weights, against slow and literal ones."""

import numpy as np
import pytest

from reportgen.compare.correlations import pearson, spearman
from reportgen.compare.distance import histogram_distance, on_one_axis
from reportgen.compare.weights import Filters, moved
from reportgen.report.blocks import Histogram
from reportgen.report.sketch import sketched


def literal_ranks(values):
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]


def test_correlations_with_ties_by_counting():
    random = np.random.default_rng(1)
    first = random.integers(0, 6, (5, 7)).astype(np.float32)
    second = (first + random.normal(size=first.shape)).astype(np.float32)
    assert pearson(first, second) == pytest.approx(
        np.corrcoef(first.ravel(), second.ravel())[0, 1], abs=1e-12
    )
    ranks = [literal_ranks(values.ravel().tolist()) for values in (first, second)]
    assert spearman(first, second) == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-12)


def test_correlations_of_the_same_the_reverse_and_the_constant():
    values = np.array([[3.0, 1e-9], [2.0, -7.0]])
    assert pearson(values, 2 * values + 1) == pytest.approx(1)
    assert spearman(values, np.exp(values)) == 1
    assert spearman(values, -values) == -1
    assert pearson(1e-200 * values, values) == pytest.approx(1)
    assert pearson(values, np.ones((2, 2))) is None
    assert spearman(np.zeros((2, 2)), values) is None


def test_places_that_are_not_finite_in_one_map_are_left_out():
    first = np.array([1.0, 2, np.nan, 4, 9])
    second = np.array([1.0, 3, 100, np.inf, 2])
    kept = [0, 1, 4]
    assert pearson(first, second) == pytest.approx(
        np.corrcoef(first[kept], second[kept])[0, 1], abs=1e-12
    )
    assert spearman(first, second) == pytest.approx(0.5)


def histogram(counts, low, high):
    return Histogram(tuple(counts), low, high, "", "")


def quantiles(block, shares):
    """Values below which these shares lie, values being spread evenly within each bin."""
    edges = np.linspace(block.low, block.high, len(block.counts) + 1)
    below = np.concatenate([[0], np.cumsum(block.counts)]) / sum(block.counts)
    return np.interp(shares, below, edges)


@pytest.mark.parametrize("seed", range(4))
def test_the_distance_by_carrying_one_histogram_to_the_other(seed):
    random = np.random.default_rng(seed)
    first = histogram(random.integers(1, 50, 13), -1.5, 2.0)
    second = histogram(random.integers(1, 50, 7), -0.25, 3.25)
    shares = (np.arange(200_000) + 0.5) / 200_000
    work = np.abs(quantiles(first, shares) - quantiles(second, shares)).mean()
    assert histogram_distance(first, second) == pytest.approx(work, rel=1e-5)
    assert histogram_distance(second, first) == pytest.approx(work, rel=1e-5)


def test_distances_known_by_hand():
    block = histogram([1, 2, 3], 0, 3)
    assert histogram_distance(block, block) == 0
    assert histogram_distance(block, histogram([1, 2, 3], 5, 8)) == pytest.approx(5)
    assert histogram_distance(block, histogram([2, 4, 6], 0, 3)) == pytest.approx(0)
    # One bin spread to twice its width around its middle: each half moves by a quarter of it.
    assert histogram_distance(histogram([8], 0, 2), histogram([3], -1, 3)) == pytest.approx(0.5)
    assert histogram_distance(block, histogram([0, 0], 0, 1)) is None


def test_histograms_on_one_axis_hold_what_they_held():
    fine, coarse = histogram([3, 0, 5, 1, 7], -0.75, 0.5), histogram([4, 2], 0.5, 1.5)
    one, other = on_one_axis(fine, coarse)
    assert (one.low, one.high) == (other.low, other.high) == (-1, 1.5)
    assert one.counts == (3, 5, 8, 0, 0)
    assert other.counts == (0, 0, 0, 4, 2)
    assert on_one_axis(fine, None) == (fine, None)
    odd = histogram([1, 2, 3], 0.1, 1)
    assert on_one_axis(fine, odd) == (fine, odd)


def kept(weights, width):
    norms = np.sqrt(np.square(weights, dtype=np.float64).sum(axis=1)).astype(np.float32)
    return Filters(sketched(weights, width), norms, weights.shape[1])


@pytest.fixture
def weights():
    random = np.random.default_rng(6)
    a = random.normal(size=(256, 288)).astype(np.float32)
    return a, (a + 0.2 * random.normal(size=a.shape)).astype(np.float32)


def test_weights_that_are_kept_give_the_exact_change(weights):
    a, b = weights
    found = moved(kept(a, 288), kept(b, 288))
    far = (b - a).astype(np.float64)
    assert found.change == pytest.approx(np.linalg.norm(far) / np.linalg.norm(a), rel=1e-6)
    assert found.by_filter == pytest.approx(
        np.linalg.norm(far, axis=1) / np.linalg.norm(a, axis=1), rel=1e-6
    )
    assert found.error == found.filter_error == 0


@pytest.mark.parametrize(("width", "other"), [(32, 32), (32, 8), (288, 16), (4, 288)])
def test_sums_give_the_change_within_the_error_that_is_told(weights, width, other):
    a, b = weights
    found = moved(kept(a, width), kept(b, other))
    exact = moved(kept(a, 288), kept(b, 288))
    narrow = min(width, other)
    assert found.filter_error == pytest.approx(1 / np.sqrt(2 * narrow))
    # 256 filters of about the same size: their errors average out.
    assert found.error == pytest.approx(found.filter_error / 16, rel=0.5)
    assert abs(found.change / exact.change - 1) < 4 * found.error
    off = np.array(found.by_filter) / exact.by_filter - 1
    assert np.sqrt(np.square(off).mean()) == pytest.approx(found.filter_error, rel=0.25)


def test_weights_that_did_not_move_say_so_exactly(weights):
    a, _ = weights
    found = moved(kept(a, 8), kept(a.copy(), 8))
    assert found.change == 0 and set(found.by_filter) == {0} and found.error == 0


def test_what_has_no_change():
    zero, one = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    assert moved(kept(zero, 8), kept(one, 8)).change is None
    assert moved(kept(zero, 8), kept(zero, 8)).change == 0
    assert moved(kept(one * np.nan, 8), kept(one, 8)).change is None
    assert moved(kept(one, 8), kept(one[:1], 8)) is None
    assert moved(kept(one, 8), kept(one.reshape(3, 2), 8)) is None
