"""Where the cells of a map lie, against the pixels that each of them covers."""

import numpy as np
import pytest

from reportgen.render.captions.grids import grid_of, middles
from reportgen.report.places import place_of
from tests.render.captions.made import heatmap


@pytest.mark.parametrize(
    ("shape", "size", "window", "stride"),
    [((3, 3), (60, 90), (20, 30), (20, 30)), ((5, 4), (21, 33), (7, 12), (4, 9))],
)
def test_the_middle_of_a_window_is_that_of_the_pixels_it_hides(shape, size, window, stride):
    block = heatmap(np.zeros(shape), size=size, window=window, stride=stride)
    found = middles(block)
    for row in range(shape[0]):
        for column in range(shape[1]):
            hidden = np.zeros(size, bool)
            top, left = row * stride[0], column * stride[1]
            hidden[top : top + window[0], left : left + window[1]] = True
            down, across = np.nonzero(hidden)
            wanted = ((down.mean() + 0.5) / size[0], (across.mean() + 0.5) / size[1])
            assert (found[0][row], found[1][column]) == pytest.approx(wanted)


def test_smooth_maps_have_the_middles_that_they_state():
    block = heatmap(np.zeros((2, 3)), size=(40, 60), middles=((9.5, 4.5), (29.5, 54.5)))
    down, across = middles(block)
    assert down == pytest.approx([0.25, 0.75])
    assert across == pytest.approx([5 / 60, 0.5, 55 / 60])


def test_every_value_stands_at_its_place_and_what_is_not_finite_is_left_out():
    values = np.random.default_rng(4).normal(size=(5, 4))
    values[1, 2], values[4, 0] = np.nan, np.inf
    grid = grid_of(heatmap(values, size=(21, 33), window=(7, 12), stride=(4, 9)))
    down, across = middles(heatmap(values, size=(21, 33), window=(7, 12), stride=(4, 9)))
    wanted = [
        (np.float32(values[row, column]), place_of((down[row], across[column])))
        for row in range(5)
        for column in range(4)
        if np.isfinite(values[row, column])
    ]
    assert list(zip(grid.values.tolist(), grid.places.tolist(), strict=True)) == wanted
    assert (grid.size, grid.left_out) == (18, 2)
    assert grid.peak == max(wanted) and grid.lowest == min(wanted)
    others = [pair for pair in wanted if pair[1] != grid.peak[1]]
    assert grid.elsewhere(grid.peak[1]) == max(others)


def test_how_few_positions_hold_half():
    assert grid_of(heatmap([[5, 4, 1], [0, -9, 0], [0, 0, 0]])).fewest_for_half() == 1
    assert grid_of(heatmap([[5, 4, 2], [1, -9, 0], [0, 0, 0]])).fewest_for_half() == 2
    assert grid_of(heatmap(np.ones((3, 3)))).fewest_for_half() == 5
    assert grid_of(heatmap(-np.ones((3, 3)))).fewest_for_half() == 0
