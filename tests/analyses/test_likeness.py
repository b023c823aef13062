"""Look-alike filters against a literal double loop, and against copies planted by hand."""

import math

import numpy as np
import pytest

from reportgen.analyses.likeness import Twins, nearest_pair, not_compared, pairs, twins


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def literal(weight: np.ndarray, groups: int) -> list[tuple[int, float] | None]:
    """For each filter the other of its group with the largest cosine, in float64, one by one."""
    rows = [[float(value) for value in row.ravel()] for row in weight]
    size = len(rows) // groups
    found: list[tuple[int, float] | None] = []
    for i, one in enumerate(rows):
        best: tuple[int, float] | None = None
        for j, other in enumerate(rows):
            if i == j or i // size != j // size:
                continue
            norms = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
            cosine = sum(a * b for a, b in zip(one, other, strict=True)) / norms if norms else None
            if cosine is not None and (best is None or cosine > best[1]):
                best = (j, cosine)
        found.append(best)
    return found


def check(
    found: Twins, expected: list[tuple[int, float] | None], *, has_ties: bool = False
) -> None:
    assert has_ties or found.unit.tolist() == [pair[0] if pair else -1 for pair in expected]
    cosines = [pair[1] if pair else math.nan for pair in expected]
    np.testing.assert_allclose(found.cosine, cosines, rtol=0, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("shape", [(12, 3, 5, 2), (12, 1, 1, 7)])
def test_the_nearest_filter_is_that_of_a_literal_loop(
    groups: int, shape: tuple[int, int, int, int]
) -> None:
    weight = noise(*shape)
    found = twins(weight, groups)
    check(found, literal(weight, groups))
    assert not found.is_copy.any()


def test_more_filters_than_are_compared_at_a_time() -> None:
    weight = noise(521, 2, 1, 2)
    weight[520] = weight[3]
    found = twins(weight, 1)
    check(found, literal(weight, 1))
    assert np.flatnonzero(found.is_copy).tolist() == [3, 520]


def test_copies_scaled_copies_and_negated_filters() -> None:
    weight = noise(8, 4, 3, 3)
    weight[5] = weight[1]
    weight[6] = 4 * weight[2]
    weight[7] = -weight[3]
    found = twins(weight, 1)
    # What is nearest to 2 is as near to 6, its multiple.
    check(found, literal(weight, 1), has_ties=True)
    assert (found.unit[1], found.unit[5]) == (5, 1)
    assert (found.unit[2], found.unit[6]) == (6, 2)
    assert np.flatnonzero(found.is_copy).tolist() == [1, 5]
    assert np.flatnonzero(found.is_near).tolist() == [2, 6]
    # A negated filter is the least alike of all.
    assert found.unit[3] != 7 and found.cosine[3] < 0.9
    assert [pair[:2] for pair in pairs(found)] in ([(1, 5), (2, 6)], [(2, 6), (1, 5)])


def test_a_copy_comes_before_a_parallel_filter() -> None:
    weight = noise(4, 2, 3, 3)
    weight[1:] = weight[0]
    weight[1] *= 2
    found = twins(weight, 1)
    assert found.unit[[0, 2, 3]].tolist() == [2, 0, 0]
    assert found.is_copy.tolist() == [True, False, True, True]


@pytest.mark.parametrize(("factor", "is_copy"), [(1 + 5e-5, True), (1 + 3e-4, False)])
def test_the_norm_of_a_copy_is_the_same_within_a_ten_thousandth(
    factor: float, is_copy: bool
) -> None:
    weight = noise(3, 2, 3, 3)
    weight[2] = factor * weight[0]
    assert twins(weight, 1).is_copy.tolist() == [is_copy, False, is_copy]


@pytest.mark.parametrize(("cosine", "is_near"), [(0.951, True), (0.949, False), (0.99985, True)])
def test_near_twins_have_a_cosine_of_95_percent(cosine: float, is_near: bool) -> None:
    weight = np.zeros((2, 1, 1, 3), np.float32)
    weight[0, 0, 0] = (2, 0, 0)
    weight[1, 0, 0] = (2 * cosine, 2 * math.sqrt(1 - cosine**2), 0)
    found = twins(weight, 1)
    assert found.cosine == pytest.approx([cosine] * 2, abs=1e-6)
    assert (found.is_near.tolist(), found.is_copy.any()) == ([is_near] * 2, False)


def test_filters_without_direction_have_no_twin() -> None:
    weight = noise(6, 2, 3, 3)
    weight[1] = weight[4] = 0
    weight[2, 0, 0, 0] = np.nan
    found = twins(weight, 1)
    assert found.unit[[1, 2, 4]].tolist() == [-1, -1, -1]
    assert np.isnan(found.cosine[[1, 2, 4]]).all()
    rest = [0, 3, 5]
    expected = literal(weight[rest], 1)
    assert found.unit[rest].tolist() == [rest[pair[0]] for pair in expected if pair]
    assert not found.is_copy.any() and not found.is_near.any()
    none = twins(np.zeros((3, 2, 3, 3), np.float32), 1)
    assert none.unit.tolist() == [-1] * 3
    assert not list(nearest_pair(none)) and not list(pairs(none))


def test_filters_of_different_groups_are_not_compared() -> None:
    weight = noise(8, 2, 3, 3)
    weight[6] = weight[1]
    found = twins(weight, 2)
    check(found, literal(weight, 2))
    assert not found.is_copy.any() and (found.unit[:4] < 4).all() and (found.unit[4:] >= 4).all()


@pytest.mark.parametrize(
    ("shape", "groups", "why"),
    [
        ((8, 3, 3, 3), 1, ""),
        ((8, 3, 3, 3), 4, ""),
        ((8, 1, 3, 3), 1, ""),
        ((8, 1, 3, 3), 8, "input channel of its own"),
        ((1, 3, 3, 3), 1, "one filter"),
        ((8, 1, 1, 1), 1, "single number"),
        ((8200, 1, 1, 2), 1, "8,200 filters are too many"),
    ],
)
def test_why_filters_are_not_compared(shape: tuple[int, ...], groups: int, why: str) -> None:
    said = not_compared(np.zeros(shape, np.float32), groups)
    assert why in said and bool(why) == bool(said)


def test_the_most_alike_pair_is_named_even_where_none_is_near() -> None:
    weight = noise(9, 4, 3, 3)
    found = twins(weight, 1)
    ((one, other, cosine),) = nearest_pair(found)
    expected = literal(weight, 1)
    assert cosine == pytest.approx(max(pair[1] for pair in expected if pair), abs=1e-12)
    assert found.unit[one] == other
