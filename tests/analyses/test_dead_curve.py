"""How dead units dwindle with the images: against every order, many orders, and by hand."""

from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from math import comb

import numpy as np
import pytest

from reportgen.analyses import dead_filters
from reportgen.analyses.census import census
from reportgen.analyses.dead_curve import POINTS, dead_curve, expected_dead, points
from reportgen.analyses.removal import Removal
from tests.analyses.planted import a_call, evidence_of, study_of


def planted(images, units, share, seed=0):
    """(images units) whether a unit fires on an image; some never, one always, one once."""
    rng = np.random.default_rng(seed)
    fires = rng.random((images, units)) < share * rng.random(units)
    fires[:, 0], fires[:, 1], fires[:, 2] = False, True, False
    fires[images // 3, 2] = True
    return fires


def test_the_mean_over_every_order_of_the_images():
    fires = planted(6, 9, 0.6)
    dead = np.array(
        [
            [(~fires[list(order[:n])].any(0)).sum() for n in range(7)]
            for order in permutations(range(6))
        ]
    )
    np.testing.assert_allclose(
        expected_dead(fires.sum(0), 6, range(7)), dead.mean(0), rtol=1e-12, atol=1e-12
    )


def test_the_mean_over_many_orders():
    images, orders = 60, 4000
    fires = planted(images, 40, 0.15)
    rng = np.random.default_rng(1)
    # Before the first image on which it fires, a unit is dead.
    first = np.array(
        [
            np.where(fires.any(0), np.argmax(fires[rng.permutation(images)], axis=0), images)
            for _ in range(orders)
        ]
    )
    counts = points(images)
    dead = np.array([(first >= n).sum(1) for n in counts])
    error = dead.std(1) / np.sqrt(orders)
    assert np.all(np.abs(expected_dead(fires.sum(0), images, counts) - dead.mean(1)) <= 5 * error)


@pytest.mark.parametrize("images", [2, 41, 5000])
def test_it_is_the_exact_fraction(images):
    fired = np.array([0, 0, 1, 1, 1, 2, images // 2, images - 1, images])
    counts = points(images)
    exact = [
        float(sum(Fraction(comb(images - int(f), int(n)), comb(images, int(n))) for f in fired))
        for n in counts[:: max(1, len(counts) // 8)]
    ]
    found = expected_dead(fired, images, counts)[:: max(1, len(counts) // 8)]
    np.testing.assert_allclose(found, exact, rtol=1e-10)


def test_it_ends_at_the_units_that_never_fired_and_its_last_step_at_those_that_fired_once():
    fired = planted(50, 200, 0.1).sum(0)
    end = expected_dead(fired, 50, [0, 49, 50])
    assert end[0] == 200 and end[2] == (fired == 0).sum() > 1
    assert (fired == 1).sum() > 5
    assert end[1] - end[2] == pytest.approx((fired == 1).sum() / 50)


@pytest.mark.parametrize("images", [2, POINTS, POINTS + 1, 1001, 10**6])
def test_points_run_from_one_to_all_and_hold_the_half(images):
    counts = points(images).tolist()
    assert counts == sorted(set(counts))
    assert counts[0] == 1 and counts[-1] == images and images // 2 in counts
    assert len(counts) == images if images <= POINTS else len(counts) <= POINTS + 1


def activations(fires):
    """(images units h w) that are above zero somewhere where `fires` says so."""
    rng = np.random.default_rng(2)
    maps = -rng.random((*fires.shape, 3, 2)).astype(np.float32)
    maps[..., 2, 1] = np.where(fires, 0.5, maps[..., 2, 1])
    return np.maximum(maps, 0)


def two_layers(images=8):
    values = activations(planted(images, 12, 0.3)), activations(planted(images, 5, 0.5, seed=3))
    bare = -values[1]
    calls = a_call("relu1", values[0]), a_call("relu2", values[1])
    conv = a_call("conv", bare, kind="conv", type="Conv2d", rectifies=False)
    return values, study_of(
        evidence_of([(calls[0], values[0]), (conv, bare), (calls[1], values[1])])
    )


def test_a_panel_holds_each_layer_with_a_rectifier(monkeypatch):
    # The evidence is made by hand, with no network behind it that could be pruned.
    monkeypatch.setattr(dead_filters, "removal", lambda study: Removal())
    values, study = two_layers()
    panel = dead_filters.run(study).panels[""]
    assert panel.facts["curve_layers"] == ("relu1", "relu2")
    assert panel.arrays["curve_images"].tolist() == list(range(1, 9))
    for row, layer, once in zip(
        panel.arrays["curve_dead"], values, panel.facts["fired_once"], strict=True
    ):
        fires = (layer > 0).any((2, 3))
        assert row[0] == pytest.approx((~fires).sum(1).mean())
        assert once == (fires.sum(0) == 1).sum()
    assert panel.arrays["curve_dead"][:, -1].sum() == panel.facts["dead"] > 0


def test_units_with_values_that_are_not_finite_are_left_out():
    values, _ = two_layers()
    sick = values[0].copy()
    sick[3, 0, 0, 0] = np.nan  # unit 0 never fires
    study = study_of(evidence_of([(a_call("relu1", sick), sick)]))
    curve = dead_curve(census(study, {}), 8).arrays["curve_dead"]
    whole = study_of(evidence_of([(a_call("relu1", values[0]), values[0])]))
    np.testing.assert_allclose(
        curve, dead_curve(census(whole, {}), 8).arrays["curve_dead"] - 1, rtol=1e-12
    )


def test_one_image_and_no_rectifier_give_no_curve():
    _, study = two_layers(images=1)
    assert dead_curve(census(study, {}), 1).arrays == {}
    _, study = two_layers()
    rows = tuple(replace(row, call=replace(row.call, rectifies=False)) for row in census(study, {}))
    assert dead_curve(rows, 8).facts == {"curve_layers": ()}
