import numpy as np
import pytest

from reportgen.figures.placing import between, covers, smooth, window_means

RANDOM = np.random.default_rng(3)


def test_between_is_a_literal_interpolation() -> None:
    pixels, cells, first, last = 20, 4, 2.5, 17.5
    values = RANDOM.normal(size=cells)
    found = between(pixels, cells, first, last, pixels) @ values
    places = np.linspace(first, last, cells)
    expected = [np.interp(pixel, places, values) for pixel in range(pixels)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[0] == values[0] and found[-1] == values[-1]


def test_fewer_samples_lie_between_the_pixels_that_they_stand_for() -> None:
    values = RANDOM.normal(size=5)
    half = between(12, 5, 1.0, 10.0, 6) @ values
    places = np.linspace(1.0, 10.0, 5)
    expected = [np.interp(2 * sample + 0.5, places, values) for sample in range(6)]
    np.testing.assert_allclose(half, expected, atol=1e-12)


def test_one_cell_is_everywhere() -> None:
    np.testing.assert_array_equal(between(7, 1, 3.0, 3.0, 7), np.ones((7, 1)))


def test_smooth_is_linear_down_and_across() -> None:
    rows, columns = np.meshgrid([2.0, 6.0, 10.0], [1.0, 4.0, 7.0, 10.0], indexing="ij")
    picture = smooth(2 * rows - columns, ((2.0, 1.0), (10.0, 10.0)), (13, 12))
    for y in range(2, 11):
        for x in range(1, 11):
            assert picture[y, x] == pytest.approx(2 * y - x)
    assert picture[0, 0] == picture[2, 1] and picture[12, 11] == picture[10, 10]


def test_window_means_are_literal_means_of_what_lies_inside() -> None:
    picture = RANDOM.normal(size=(9, 14))
    found = window_means(picture, (4, 4), (4, 5), (2, 3))
    for i in range(4):
        for j in range(4):
            inside = picture[2 * i : 2 * i + 4, 3 * j : 3 * j + 5]
            assert found[i, j] == pytest.approx(inside.mean())
    assert covers(9, 4, 4, 2).sum() == 4 + 4 + 4 + 3
