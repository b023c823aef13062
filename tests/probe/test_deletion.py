"""Fading one image into another, against a loop over single pixels."""

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.probe.deletion import area, fade
from reportgen.probe.probe import Probe
from tests.probe.nets import photos, seeded

SIZE = (6, 9)


def net() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 4 * 7, 3)
        )
    )


def orders(count: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.stack([rng.permutation(SIZE[0] * SIZE[1]) for _ in range(count)])


@pytest.mark.parametrize(("steps", "batch"), [(7, 4), (10, 100), (1, 3)])
def test_fading_is_a_loop_over_pixels(steps: int, batch: int) -> None:
    module = net()
    start, end = photos(2, height=SIZE[0], width=SIZE[1])
    expected = np.zeros((3, steps + 1))
    for number, order in enumerate(orders(3)):
        for step in range(steps + 1):
            mixed = start.clone()
            for pixel in order[: round(step * 54 / steps)]:
                row, column = int(pixel) // 9, int(pixel) % 9
                mixed[:, row, column] = end[:, row, column]
            with torch.no_grad():
                expected[number, step] = module(mixed[None]).softmax(1)[0, 2]
    found = fade(Probe(module, "cpu", batch), start, end, orders(3), steps, 2)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(expected) > 0.01


def test_area_is_that_of_trapezoids() -> None:
    assert area(np.array([1.0, 0.5, 0.0])) == pytest.approx(0.5)
    curves = np.array([[0.9, 0.1, 0.4, 0.2], [0.0, 0.0, 0.0, 1.0]])
    literal = [
        sum((curve[i] + curve[i + 1]) / 2 / 3 for i in range(3)) for curve in curves.tolist()
    ]
    np.testing.assert_allclose(area(curves), literal)
