import numpy as np
import pytest

from reportgen.analyses.deadness import filters_behind, firing_bound, unit_states
from tests.analyses.planted import a_call, evidence_of, seen_of

RNG = np.random.default_rng(3)


def planted(n: int) -> np.ndarray:
    """Units: healthy, dead, fires on one image, constant, one NaN."""
    values = RNG.uniform(0.5, 2, (n, 5, 3, 4)).astype(np.float32)
    values[:, 1:3] = 0
    values[n // 2, 2, 1, 3] = 1e-7
    values[:, 3] = 0.1
    values[0, 4, 0, 0] = np.nan
    return values


def test_states_of_planted_units() -> None:
    values = planted(250)
    states = unit_states(a_call("relu", values), seen_of(values))
    assert states.words() == ("", "dead", "near-dead", "constant", "non-finite")


@pytest.mark.parametrize(("n", "word"), [(100, ""), (101, "near-dead")])
def test_near_dead_starts_below_one_percent(n: int, word: str) -> None:
    values = planted(n)
    assert unit_states(a_call("relu", values), seen_of(values)).words()[2] == word


def test_negative_units_are_dead_only_after_a_rectifier() -> None:
    values = -RNG.uniform(0.5, 2, (3, 2, 3, 4)).astype(np.float32)
    seen = seen_of(values)
    assert unit_states(a_call("leaky", values), seen).words() == ("dead", "dead")
    assert unit_states(a_call("conv", values, rectifies=False), seen).words() == ("", "")


def test_a_smooth_unit_that_has_stopped_is_constant() -> None:
    values = RNG.normal(size=(5, 3, 3, 4)).astype(np.float32)
    values[:, 1] = -4e-8 * RNG.uniform(size=(5, 3, 4)).astype(np.float32)  # as SiLU far below zero
    states = unit_states(a_call("silu", values, rectifies=False), seen_of(values))
    assert states.words() == ("", "constant", "")


def test_one_value_is_never_constant() -> None:
    values = np.array([[1.0, 0.0, 3.0]], dtype=np.float32)
    assert unit_states(a_call("fc", values), seen_of(values)).words() == ("", "dead", "")


def test_firing_bound_is_the_rule_of_three() -> None:
    assert [firing_bound(n) for n in (0, 1, 3, 300)] == [1, 1, 1, 0.01]
    # What it stands for: at that rate, silence on all N images has a chance of about 5 %.
    assert (1 - firing_bound(300)) ** 300 == pytest.approx(0.05, abs=0.001)


def test_filters_behind_a_rectifier() -> None:
    values = RNG.normal(size=(1, 4, 3, 5)).astype(np.float32)
    half = values[:, :2]
    conv = a_call("conv", values, kind="conv")
    norm = a_call("bn", values, kind="norm", inputs=(conv.key,))
    relu = a_call("relu", values, inputs=(norm.key,))
    other = a_call("other", half, kind="conv")
    after_sum = a_call("sum", values, inputs=(norm.key, conv.key))
    after_split = a_call("split", half, inputs=(norm.key,))
    at_input = a_call("first", values)
    calls = (conv, norm, relu, other, after_sum, after_split, at_input)
    evidence = evidence_of([(c, half if c in {other, after_split} else values) for c in calls])
    assert filters_behind(evidence, relu.key) is conv
    assert filters_behind(evidence, conv.key) is conv
    for call in (after_sum, after_split, at_input):
        assert filters_behind(evidence, call.key) is None
