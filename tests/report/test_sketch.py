"""The sums that stand for weights: exact where they are weights, else right on average."""

import numpy as np
import pytest

from reportgen.report.sketch import BUDGET, folded, sketch_width, sketched


@pytest.fixture
def filters():
    return np.random.default_rng(2).normal(0.3, 1, (150, 75)).astype(np.float32)


def test_small_filters_are_kept_as_they_are(filters):
    np.testing.assert_array_equal(sketched(filters, 75), filters)
    np.testing.assert_array_equal(sketched(filters, 128), filters)


def test_each_sum_holds_its_share_of_the_weights_once_with_a_sign(filters):
    rows, each = filters.shape
    width = 8
    one_at_a_time = np.zeros((rows, width))
    counts = np.zeros((rows, width), int)
    for place in range(each):
        alone = np.zeros_like(filters)
        alone[:, place] = 1
        sums = sketched(alone, width)
        assert (np.abs(sums).sum(axis=1) == 1).all()
        counts += sums != 0
        one_at_a_time += sums * filters[:, [place]]
    np.testing.assert_allclose(sketched(filters, width), one_at_a_time, atol=1e-5)
    assert counts.max() - counts.min() == 1


def test_signs_are_even_and_differ_from_filter_to_filter():
    signs = sketched(np.ones((64, 4096), np.float32), 2048)
    # Two weights a sum: both plus, both minus, or one of each in half of the sums.
    assert np.mean(signs == 0) == pytest.approx(0.5, abs=0.02)
    assert np.mean(signs == 2) == pytest.approx(0.25, abs=0.02)
    likeness = np.corrcoef(signs)
    assert np.abs(likeness - np.eye(64)).max() < 0.15


def test_sums_of_differences_are_differences_of_sums(filters):
    other = filters[::-1].copy()
    apart = sketched(other, 16) - sketched(filters, 16)
    np.testing.assert_allclose(sketched(other - filters, 16), apart, atol=1e-5)


@pytest.mark.parametrize("width", [1, 4, 16])
def test_a_narrower_sketch_is_a_wider_one_folded(filters, width):
    np.testing.assert_allclose(
        folded(sketched(filters, 32), width), sketched(filters, width), atol=1e-5
    )


@pytest.mark.parametrize("width", [2, 8, 32])
def test_squares_of_sums_have_the_squared_norm_as_their_mean(width):
    filters = np.random.default_rng(4).normal(size=(6400, 640)).astype(np.float32)
    exact = np.square(filters, dtype=np.float64).sum(axis=1)
    ratio = np.square(sketched(filters, width), dtype=np.float64).sum(axis=1) / exact
    assert ratio.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / width / 6400))
    assert ratio.std() == pytest.approx(np.sqrt(2 / width), rel=0.05)


def test_the_width_fits_the_budget():
    assert sketch_width([(64, 27), (1, 64)]) == 64
    assert sketch_width([(4, BUDGET // 4)]) == BUDGET // 4
    large = [(512, 4608)] * 8 + [(1, 512)] * 8
    width = sketch_width(large)
    assert width == 32
    assert sum(rows * min(each, width) for rows, each in large) <= BUDGET
    assert sketch_width([(40_000, 768)]) == 4
    assert sketch_width([(BUDGET * 2, 9)]) == 1
