import numpy as np
import pytest

from reportgen.figures.mosaic import best_columns, levels, mosaic, signed_levels, stretched

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_each_tile_stands_in_its_place_and_all_else_is_gap(columns, colours):
    tiles = RANDOM.integers(0, 255, (5, 3, 4, *colours), np.uint8)
    picture = mosaic(tiles, columns)
    rows = -(-5 // columns)
    assert picture.shape == (rows * 4 - 1, columns * 5 - 1, *colours)
    is_tile = np.zeros(picture.shape, bool)
    for i in range(5):
        place = np.s_[i // columns * 4 :, i % columns * 5 :]
        np.testing.assert_array_equal(picture[place][:3, :4], tiles[i])
        is_tile[place][:3, :4] = True
    assert (picture[~is_tile] == 255).all()


def test_one_tile_has_no_border():
    tile = RANDOM.integers(0, 255, (1, 2, 3), np.uint8)
    np.testing.assert_array_equal(mosaic(tile, 1), tile[0])


def test_levels_span_the_range_of_each_tile():
    values = RANDOM.normal(size=(4, 3, 5)).astype(np.float32) * np.array([1e-3, 1, 50, 7])[
        :, None, None
    ].astype(np.float32)
    tiles, low, high = levels(values)
    assert tiles.dtype == np.uint8 and low.dtype == high.dtype == np.float32
    for i in range(4):
        assert (low[i], high[i]) == (values[i].min(), values[i].max())
        assert (tiles[i].min(), tiles[i].max()) == (0, 254)
        back = low[i] + tiles[i] / 254 * (high[i] - low[i])
        assert np.abs(back - values[i]).max() <= 0.501 / 254 * (high[i] - low[i])


def test_the_colours_of_a_tile_share_its_scale():
    values = np.zeros((2, 1, 2, 3))
    values[0, 0, 0] = (1, 2, 3)
    values[1, 0, 1] = (-1, 0, 0)
    tiles, low, high = levels(values)
    assert tiles[0, 0, 0].tolist() == [85, 169, 254]
    assert tiles[1, 0].tolist() == [[254, 254, 254], [0, 254, 254]]
    assert (low.tolist(), high.tolist()) == ([0, -1], [3, 0])


def test_a_constant_tile_is_level_zero_at_its_value():
    tiles, low, high = levels(np.full((1, 2, 2), 0.1, np.float32))
    assert not tiles.any() and low == high == np.float32(0.1)


def test_values_that_are_not_finite_do_not_set_the_scale():
    values = np.array([[[0, 1, np.nan, np.inf, -np.inf]], [[np.nan] * 5]])
    tiles, low, high = levels(values)
    assert tiles[:, 0].tolist() == [[0, 254, 0, 0, 0], [0] * 5]
    assert (low.tolist(), high.tolist()) == ([0, 0], [1, 0])


def test_extreme_values_do_not_overflow():
    tiles, low, high = levels(np.array([[[-3e38, 0, 3e38]]], np.float32))
    assert tiles.tolist() == [[[0, 127, 254]]]
    assert np.isfinite([low, high]).all()


def test_signed_levels_put_zero_in_the_middle_of_one_scale():
    values = np.array([[-2.0, -1.0], [0.0, 0.5]])
    tiles, limit = signed_levels(values)
    assert limit == 2.0
    assert tiles.tolist() == [[0, 64], [127, 159]]


def test_signed_levels_stop_at_a_given_limit():
    tiles, limit = signed_levels(np.array([-5.0, -1e-9, 0, 1, 5, np.nan]), limit=1.0)
    assert limit == 1.0
    assert tiles.tolist() == [0, 127, 127, 254, 254, 127]


def test_nothing_but_zeros_is_the_middle():
    tiles, limit = signed_levels(np.zeros((2, 3)))
    assert limit == 0 and (tiles == 127).all()


@pytest.mark.parametrize(
    ("n", "h", "w", "columns"),
    [(1, 5, 9, 1), (64, 55, 55, 8), (96, 13, 13, 12), (192, 13, 13, 16), (512, 7, 7, 32)],
)
def test_pictures_are_landscape_with_full_rows(n, h, w, columns):
    assert best_columns(n, h, w) == columns


@pytest.mark.parametrize("n", [1, 2, 3, 7, 61, 127, 257, 1024, 1021])
@pytest.mark.parametrize(("h", "w"), [(1, 1), (3, 40), (64, 64), (64, 2), (56, 57)])
def test_no_picture_is_larger_than_a_browser_takes(n, h, w):
    columns = best_columns(n, h, w)
    picture = mosaic(np.zeros((n, h, w), np.uint8), columns)
    assert max(picture.shape) <= 4096
    assert columns <= n


def test_too_many_tiles_are_refused():
    assert best_columns(4, 2047, 2047) == 2
    with pytest.raises(ValueError, match=r"5 tiles of 2048 x 2047 pixels exceed .* 4096"):
        best_columns(5, 2048, 2047)
    with pytest.raises(ValueError, match="exceed"):
        best_columns(1, 5000, 2)


def test_averaged_tiles_use_the_whole_scale_and_keep_their_values():
    random = np.random.default_rng(5)
    means = 40 + 60 * random.random((5, 4, 7))
    means[1], means[2] = 12.0, 100 + 2 * random.random((4, 7))  # one value, and nearly one value
    low, high = np.array([-1, 0, 2, 0, 5], np.float32), np.array([1, 3, 2.5, 0, 9], np.float32)
    tiles, first, last = stretched(means, low, high)
    ends = [end.astype(float)[:, None, None] for end in (low, high, first, last)]
    true = ends[0] + means / 254 * (ends[1] - ends[0])
    told = ends[2] + tiles / 254 * (ends[3] - ends[2])
    assert np.abs(told - true).max() <= (0.5 / 63 + 0.5 / 254) * (last - first).max() + 1e-6
    assert (tiles.max((1, 2))[[0, 3, 4]] == 254).all() and (tiles.min((1, 2)) == 0).all()
    assert len(np.unique(tiles)) <= 64
    # What lies within an eighth of the range is not blown up further.
    np.testing.assert_allclose((last - first)[[1, 2]], (high - low)[[1, 2]] / 8, rtol=1e-6)
