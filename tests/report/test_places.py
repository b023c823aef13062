"""Places in words, against the word for every single pixel."""

import numpy as np
import pytest

from reportgen.report.places import PLACES, fullest_place, place_of


def test_places_have_names() -> None:
    points = {
        (0.1, 0.1): "upper left",
        (0.2, 0.5): "top",
        (0.0, 1.0): "upper right",
        (0.5, 0.3): "left",
        (0.5, 0.5): "centre",
        (0.5, 0.9): "right",
        (0.9, 0.1): "lower left",
        (0.7, 0.4): "bottom",
        (1.0, 1.0): "lower right",
    }
    assert {point: place_of(point) for point in points} == points
    assert set(points.values()) == {name for row in PLACES for name in row}


def test_points_outside_belong_to_the_nearest_part() -> None:
    assert place_of((-0.2, 0.5)) == "top" and place_of((0.5, 1.7)) == "right"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (3, 3), (4, 7), (20, 31)])
def test_the_fullest_place_by_brute_force(height: int, width: int) -> None:
    sizes = np.random.default_rng([height, width]).random((height, width)) ** 4
    held: dict[str, float] = {}
    for row in range(height):
        for column in range(width):
            word = place_of(((row + 0.5) / height, (column + 0.5) / width))
            held[word] = held.get(word, 0.0) + sizes[row, column]
    name, share = fullest_place(sizes)
    assert held[name] == max(held.values())
    assert share == pytest.approx(held[name] / sizes.sum())
