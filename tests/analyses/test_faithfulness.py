"""Deletion and insertion where the right answer is known by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.faithfulness import (
    STEPS,
    coarseness,
    faded,
    interval,
    order_of,
    random_map,
)
from reportgen.analyses.study import Study
from reportgen.options import Options
from reportgen.probe.probe import Probe
from tests.analyses.planted import evidence_of, preparation, study_of

SIZE = (16, 20)
REGION = (slice(3, 9), slice(11, 17))
PIXELS = 36
"Of the region."


class Sum(nn.Module):
    """The first class's logit is what a region of the image adds up to, less a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = x[:, :, *REGION].sum((1, 2, 3)) / 20 - 3
        return torch.stack([score, torch.zeros_like(score)], 1)


def a_study(seed: int = 0, constant: bool = False) -> Study:
    """Photos of noise, a third brighter than the mean; the region counts."""
    study = study_of(
        evidence_of([], [], pictured=()),
        preprocessing=preparation(size=SIZE),
        options=Options(Path("m"), (Path("i"),), seed=seed),
    )
    generator = torch.Generator().manual_seed(2)
    given = 0.5 + 0.5 * torch.rand(4, 3, *SIZE, generator=generator)
    object.__setattr__(study.images, "given", torch.ones(4, 3, *SIZE) if constant else given)
    return replace(study, probe=Probe(Sum(), "cpu", 8))


def true_map() -> np.ndarray:
    values = np.zeros(SIZE)
    values[REGION] = 1
    return values


def test_the_deletion_area_of_the_true_map_is_known() -> None:
    found = faded(a_study(constant=True), 0, 0, {"true": true_map()})["true"]
    # Each pixel of the region adds 3 channels of (1 - 0.5) / 0.25, over 20.
    curve = []
    for step in range(STEPS + 1):
        left = PIXELS - min(PIXELS, round(step * 320 / STEPS))
        curve.append(1 / (1 + np.exp(3 - left * 3 * 2 / 20)))
    np.testing.assert_allclose(found.deletion, curve, atol=1e-6)
    # A blur of white is white: there is nothing to put back.
    np.testing.assert_allclose(found.insertion, curve[0], atol=1e-6)
    expected = -np.trapezoid(curve, dx=1 / STEPS) + np.trapezoid(
        found.random_deletion, dx=1 / STEPS
    )
    assert found.advantage == pytest.approx(expected, abs=1e-6)


def test_the_true_map_wins_and_its_opposite_loses() -> None:
    study = a_study()
    for index in range(4):
        found = faded(study, index, 0, {"true": true_map(), "false": -true_map()})
        assert found["true"].advantage > 0.2 and found["false"].advantage < -0.05
        np.testing.assert_array_equal(found["true"].random_deletion, found["false"].random_deletion)
        assert found["true"].deletion[0] == found["true"].insertion[-1]


def test_numbers_do_not_depend_on_which_other_maps_are_tested() -> None:
    study = a_study()
    flat = np.random.default_rng(0).random(SIZE)
    alone = faded(study, 1, 0, {"true": true_map()})["true"]
    among = faded(study, 1, 0, {"flat": flat, "true": true_map()})["true"]
    for name, values in vars(alone).items():
        np.testing.assert_allclose(getattr(among, name), values, atol=1e-7)
    other = faded(a_study(seed=1), 1, 0, {"true": true_map()})["true"]
    assert not np.array_equal(other.random_deletion, alone.random_deletion)


def test_the_highest_goes_first_and_equals_in_a_random_order() -> None:
    values = np.array([[1.0, 5.0, 1.0], [7.0, 1.0, 1.0]])
    seen = {tuple(order_of(values, np.random.default_rng(i)).tolist()) for i in range(20)}
    assert {order[:2] for order in seen} == {(3, 1)}
    assert len(seen) > 5
    assert all(sorted(order) == list(range(6)) for order in seen)


def test_random_maps_are_as_coarse_as_asked_for() -> None:
    for grain in (0, 1, 4, 16):
        for seed in range(8):
            made = random_map((130, 170), grain, np.random.default_rng(seed))
            assert made.shape == (130, 170)
            assert coarseness(made) == grain


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: np.zeros((8, 12)), 0),
        (lambda: np.indices((40, 60)).sum(0) % 2.0, 0),
        # Squares of 12: a step of 4 leaves a square in 4 of 12 places, one of 16 always does.
        (lambda: np.kron(np.random.default_rng(0).random((10, 12)), np.ones((12, 12))), 4),
    ],
)
def test_coarseness_by_hand(build: Callable[[], np.ndarray], expected: int) -> None:
    assert coarseness(build()) == expected


def test_the_interval_is_students() -> None:
    values = [0.1, 0.4, -0.2, 0.3]
    mean = sum(values) / 4
    spread = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5
    low, high = interval(values) or (0.0, 0.0)
    assert low == pytest.approx(mean - 3.182446 * spread / 2)
    assert high == pytest.approx(mean + 3.182446 * spread / 2)
    assert interval([0.1, 0.2]) is None
    # The quantile is where a literal integral of the density reaches 0.475.
    for n in range(3, 8):
        low, high = interval([float(i) for i in range(n)]) or (0.0, 0.0)
        t = (high - low) / 2 / (np.std(range(n), ddof=1) / n**0.5)
        x = np.linspace(0, t, 20001)
        density = (1 + x**2 / (n - 1)) ** (-n / 2)
        whole = np.tan(np.linspace(0, np.pi / 2, 200002)[:-1])
        total = np.trapezoid((1 + whole**2 / (n - 1)) ** (-n / 2), whole)
        assert np.trapezoid(density, x) / total == pytest.approx(0.95, abs=1e-4)
