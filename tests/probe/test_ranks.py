"""Rank correlation, whole and estimated from a part."""

import numpy as np
import pytest

from reportgen.probe.ranks import estimated_correlation, rank_correlation


def noisy(size: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    true = generator.standard_normal(size)
    return true, true + noise * generator.standard_normal(size)


def test_each_known_value_moves_among_all_others() -> None:
    values = np.array([0.0, 10, 20, 30, 40, 50])
    # The first goes to third place, the last to the place before, the middle one stays.
    found = estimated_correlation(values, np.array([0, 5, 2]), np.array([25.0, 35, 20]))
    assert found == pytest.approx(1 - 6 * (4 + 1 + 0) / 3 / 35)


def test_equals_count_half() -> None:
    values = np.array([1.0, 2, 2, 2, 3])
    # From among two equals, rank 2, to rank 4: above all; and where it is.
    found = estimated_correlation(values, np.array([1, 4]), np.array([9.0, 3]))
    assert found == pytest.approx(1 - 6 * 2**2 / 2 / 24)
    assert estimated_correlation(values, np.array([0, 2]), np.array([1.0, 2])) == 1


def test_a_constant_map_has_none() -> None:
    assert estimated_correlation(np.ones(5), np.array([1]), np.array([2.0])) is None


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.2])
def test_the_estimate_is_near_the_whole(noise: float) -> None:
    """Over many maps; the correlation of the sample alone is far too low."""
    whole, estimates, alone = [], [], []
    for seed in range(200):
        true, map_ = noisy(169, noise, seed)
        places = np.random.default_rng(seed).permutation(169)[:16]
        found = estimated_correlation(map_, places, true[places])
        assert found is not None
        estimates.append(1 - found)
        whole.append(1 - (rank_correlation(map_, true) or 0))
        alone.append(1 - (rank_correlation(map_[places], true[places]) or 0))
    assert np.mean(estimates) == pytest.approx(np.mean(whole), rel=0.25)
    if noise < 0.1:
        assert np.mean(alone) > 1.5 * np.mean(whole)
