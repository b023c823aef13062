"""Correlations of units and of classes, streamed, against numpy's and against literal loops."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.probe import correlation
from reportgen.probe.class_correlation import ClassCorrelation, image_means
from reportgen.probe.correlation import Alike, Moments, most_alike, passes
from reportgen.probe.evidence import CallKey
from reportgen.probe.probe import Probe
from tests.probe.nets import Residual, batches_of, literal, photos, seeded


def pearson(x: list[float], y: list[float]) -> float:
    n = len(x)
    mean_x, mean_y = math.fsum(x) / n, math.fsum(y) / n
    product = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    squares = [math.fsum((a - m) ** 2 for a in v) for v, m in ((x, mean_x), (y, mean_y))]
    return product / math.sqrt(squares[0] * squares[1])


def check(found: Alike, values: np.ndarray) -> None:
    """Against (units n): the largest correlation of each unit with another that varies."""
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.corrcoef(values.astype(np.float64))
    constant = np.ptp(values, axis=1) == 0
    expected[constant] = expected[:, constant] = -np.inf
    np.fill_diagonal(expected, -np.inf)
    assert found.unit.tolist() == np.where(constant, -1, expected.argmax(1)).tolist()
    np.testing.assert_allclose(found.correlation[~constant], expected.max(1)[~constant], atol=1e-10)
    assert np.isnan(found.correlation[constant]).all()


@pytest.mark.parametrize("cuts", [(), (1,), (40,), (3, 4, 99), tuple(range(1, 120))])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_any_split_of_the_values_gives_what_numpy_gives(
    cuts: tuple[int, ...], offset: float
) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(7, 120)) @ np.diag(rng.uniform(0.1, 3, 120)) + offset
    values[4] = 2 * values[1] + 0.3 * values[4]
    values[5] = 0.1
    moments = Moments()
    for part in np.split(values, cuts, axis=1):
        moments.update(torch.from_numpy(part))
    found = moments.alike()
    check(found, values)
    assert found.values == 120
    expected = pearson(values[1].tolist(), values[4].tolist())
    assert found.correlation[4] == pytest.approx(expected, abs=1e-9)
    assert found.unit[4] == 1


def test_a_negated_unit_is_not_alike() -> None:
    values = torch.randn(4, 200, generator=torch.Generator().manual_seed(2))
    values[3] = -values[0]
    moments = Moments()
    moments.update(values)
    found = moments.alike()
    assert found.unit[0] != 3 and found.correlation[0] < 0.5


def test_units_that_are_not_finite_correlate_with_none() -> None:
    values = torch.randn(4, 50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values[2, 7] = torch.nan
    moments = Moments()
    moments.update(values)
    found = moments.alike()
    rest = np.delete(values.numpy(), 2, axis=0)
    assert found.unit[2] == -1 and 2 not in found.unit
    expected = np.corrcoef(rest) - 2 * np.eye(3)
    np.testing.assert_allclose(np.delete(found.correlation, 2), expected.max(1))


@pytest.mark.parametrize("style", ["plain", "in place", "reused"])
@pytest.mark.parametrize("room", [1 << 25, 1])
def test_the_network_is_seen_position_by_position(
    style: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = seeded(lambda: Residual(style == "in place", style == "reused"))
    images = photos(3)
    monkeypatch.setattr(correlation, "MOST_PAIRS", room)
    probe = Probe(net, "cpu", 2)
    traced = probe.trace(images[0])
    keys = {CallKey("conv1"), CallKey("bn1"), CallKey("relu"), CallKey("bn2")}
    last = CallKey("relu", 2) if style == "reused" else CallKey("last")
    calls = [call for call in traced.calls if call.key in keys | {last}]
    assert passes(calls) == (5 if room == 1 else 1)
    seen = 0

    def told() -> None:
        nonlocal seen
        seen += 1

    found = most_alike(probe, lambda: iter(images), calls, told)
    assert seen == 3 * passes(calls)
    assert found.keys() == keys | {last}
    every = [literal(net, image) for image in images]
    for key, alike in found.items():
        name = "last" if key == last else key.path
        values = torch.cat([one[name].flatten(1) for one in every], dim=1).detach().numpy()
        check(alike, values)
        assert alike.values == 3 * 10 * 15
    assert not any(module._forward_hooks for module in net.modules())


class Last(nn.Module):
    """Channels last behind the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, stride=4)
        self.mix = nn.Linear(6, 5)
        self.fc = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.mix(self.conv(x).permute(0, 2, 3, 1)).mean((1, 2)))


def test_channels_last() -> None:
    net, images = seeded(Last), photos(2)
    probe = Probe(net, "cpu")
    (call,) = [call for call in probe.trace(images[0]).calls if call.key == CallKey("mix")]
    found = most_alike(probe, lambda: iter(images), [call])[call.key]
    with torch.no_grad():
        values = net.mix(net.conv(images).permute(0, 2, 3, 1)).flatten(0, 2).T.numpy()
    check(found, values)


@pytest.mark.parametrize("cuts", [(), (1,), (5, 6, 20), tuple(range(1, 31))])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_correlation_with_classes_is_numpys_for_any_split(
    cuts: tuple[int, ...], offset: float
) -> None:
    rng = np.random.default_rng(3)
    values, logits = rng.normal(size=(31, 4)) + offset, rng.normal(size=(31, 3)) - 3 * offset
    logits[:, 1] += 2 * (values[:, 2] - offset)
    values[:, 3] = 0.1
    by_update, by_merge = ClassCorrelation(4, 3), ClassCorrelation(4, 3)
    for some, scores in zip(np.split(values, cuts), np.split(logits, cuts), strict=True):
        by_update.update(some, scores)
        part = ClassCorrelation(4, 3)
        part.update(some, scores)
        by_merge.merge(part)
    expected = np.corrcoef(values[:, :3].T, logits.T)[:3, 3:]
    for found in (by_update, by_merge):
        assert found.images == 31
        np.testing.assert_allclose(found.correlation()[:3], expected, atol=1e-6)
        assert np.isnan(found.correlation()[3]).all()
    pair = pearson(values[:, 2].tolist(), logits[:, 1].tolist())
    assert by_update.correlation()[2, 1] == pytest.approx(pair, abs=1e-6)


def test_images_that_are_not_finite_are_left_out() -> None:
    rng = np.random.default_rng(3)
    values, logits = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))
    expected = np.corrcoef(values[2:].T, logits[2:].T)[:4, 4:]
    values[0, 1], logits[1, 2] = np.inf, np.nan
    found = ClassCorrelation(4, 3)
    for some, scores in zip(np.split(values, 6), np.split(logits, 6), strict=True):
        found.update(some, scores)
    assert found.images == 10
    np.testing.assert_allclose(found.correlation(), expected, atol=1e-6)


def test_means_over_positions_do_not_overflow() -> None:
    values = torch.full((2, 3, 4, 5), 60_000.0, dtype=torch.float16)
    assert image_means(values).tolist() == [[60_000.0] * 3] * 2


@pytest.mark.parametrize("size", [1, 4, 16])
def test_collect_correlates_units_with_classes(size: int) -> None:
    net, images = seeded(Residual), photos(9)
    probe = Probe(net, "cpu", size)

    def chosen(calls, classes, observed):  # type: ignore[no-untyped-def]
        assert classes == 4 and CallKey("relu") in observed
        return [call for call in calls if call.key in (CallKey("relu"), CallKey("last"))]

    evidence = probe.collect(batches_of(images), 9, (), correlated=chosen)
    every = [literal(net, image) for image in images]
    logits = torch.stack([one["fc"] for one in every]).detach().numpy()
    assert evidence.class_correlations.keys() == {CallKey("relu"), CallKey("last")}
    for key, found in evidence.class_correlations.items():
        means = torch.stack([one[key.path].mean((1, 2)) for one in every]).detach().numpy()
        with np.errstate(invalid="ignore"):
            expected = np.corrcoef(means.T, logits.T)[:6, 6:]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.isfinite(found).any()
    assert probe.collect(batches_of(images), 9, ()).class_correlations == {}
