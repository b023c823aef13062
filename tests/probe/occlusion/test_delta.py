"""Differences that hidden places make, carried through networks: against whole images."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ResourceError
from reportgen.probe.occlusion.delta import DeltaEngine, delta_scores
from reportgen.probe.occlusion.graph import Untraceable
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.probe import Probe
from tests.probe.nets import seeded

SIZE = (37, 29)
Places = Sequence[tuple[int, int]]


def image(seed: int) -> torch.Tensor:
    return torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(seed))


class Residual(nn.Module):
    """Two blocks; sums are rectified, read twice, and read in front of the rectifier as well."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.one = nn.Conv2d(8, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.skip = nn.Conv2d(8, 12, 1, stride=2)
        self.end = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(F.relu(self.norm(self.stem(x))))
        summed = x + self.one(x)
        rectified = F.relu(summed)
        both = self.two(rectified) + self.skip(summed)
        both = F.relu(both, inplace=True)
        return self.end(F.adaptive_avg_pool2d(both + both, 1).flatten(1))


class Branches(nn.Module):
    """Concatenation, poolings that round up, means without padding, dilation and groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (3, 5), stride=(1, 2), padding=(0, 2))
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.left = nn.Conv2d(8, 6, 3, padding=2, dilation=2, groups=2)
        self.mean = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.after = nn.AvgPool2d((2, 3), stride=2, ceil_mode=True)
        self.end = nn.Conv2d(22, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.stem(x)))
        x = torch.cat([self.left(x).relu(), self.mean(x), x], 1)
        return self.end(self.after(x)).mean((2, 3))


class Squeezing(nn.Module):
    """Depthwise, hard-swish, and a product of a map with numbers that depend on all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.act = nn.Hardswish(inplace=True)
        self.depth = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.down, self.up = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.end = nn.Sequential(nn.Dropout(), nn.Linear(8 * 6, 7), nn.SiLU(), nn.Linear(7, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depth(self.act(self.stem(x)))
        scale = F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        x = F.adaptive_avg_pool2d(F.silu(scale * x) * 2.0, (3, 2))
        return self.end(torch.flatten(x, 1))


class LastAxis(nn.Module):
    """Norms and linear layers over the last axis, as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.block = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.scale = nn.Parameter(torch.full((8, 1, 1), 0.5))
        self.end = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.scale * self.block(self.depth(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.end(x.mean([-2, -1]))


class Strange(nn.Module):
    """An operation without a rule in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.next = nn.Conv2d(8, 6, 3)
        self.end = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = F.local_response_norm(x, 3).flip(2)
        return self.end(F.relu(self.next(x)).mean((2, 3)))


NETWORKS = (Residual, Branches, Squeezing, LastAxis, Strange)
CORNERS: Places = [(0, 0), (0, 20), (28, 0), (28, 20), (13, 11), (14, 8), (30, 27)]
GEOMETRIES: list[tuple[tuple[int, int], Places]] = [
    ((9, 9), CORNERS),
    ((7, 12), [(3, 5), (6, 10), (36, 28), (0, 17), (18, 0)]),
    ((1, 1), [(0, 0), (36, 28), (18, 15)]),
    ((5, 6), [(17, 13)]),
    ((40, 4), [(0, 0), (0, 12), (0, 25)]),
    ((50, 50), [(0, 0)]),
]


def probe_of(kind: Callable[[], nn.Module], dtype: torch.dtype = torch.float32) -> Probe:
    return Probe(seeded(kind).to(dtype), "cpu", 4)


def expected(
    kind: Callable[[], nn.Module],
    shown: torch.Tensor,
    hiding: torch.Tensor,
    window: tuple[int, int],
    places: Places,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (places classes) of whole images with places hidden, and of the clean one; float64."""
    probe = probe_of(kind, torch.float64)
    plain = plain_scores(probe, shown.double(), hiding.double(), window, places)
    return plain, probe.logits(shown.double()[None])


def error(ours: torch.Tensor, plain: torch.Tensor, clean: torch.Tensor) -> float:
    """The largest error as a share of the largest effect."""
    return float((ours - plain).abs().max() / (plain - clean).abs().max())


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("window", "places"), GEOMETRIES)
def test_differences_in_float32_give_the_scores_of_the_plain_way(
    kind: Callable[[], nn.Module], window: tuple[int, int], places: Places
) -> None:
    given = image(1), image(2), window, places
    ours = delta_scores(probe_of(kind), *given, dtype=torch.float32)
    assert ours.dtype == torch.float32
    assert ours.shape == (len(places), 5)
    plain, clean = expected(kind, *given)
    # Scores are float32, and an effect may be a thousandth of them.
    rounding = 2**-21 * plain.abs().max()
    assert (ours - plain).abs().max() < 1e-5 * (plain - clean).abs().max() + rounding


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("strength", [1.0, 1e-3])
def test_the_error_in_bfloat16_scales_with_the_effect(
    kind: Callable[[], nn.Module], strength: float
) -> None:
    """Rounding to eight bits errs by 2^-9 at most; weights and results are rounded in each layer.

    Against float64, for an effect of a thousandth drowns in what float32 values round away.
    """
    shown = image(1)
    given = shown, shown + strength * image(2), (9, 9), CORNERS
    probe = probe_of(kind)
    ours = delta_scores(probe, *given)
    layers = sum(isinstance(part, (nn.Conv2d, nn.Linear)) for part in probe._module.modules())
    assert error(ours, *expected(kind, *given)) < 2 * layers * 2**-9


def test_rounds_at_all() -> None:
    """The share in float32 is not all of a network: else nothing would be gained."""
    given = image(1), image(2), (9, 9), CORNERS
    ours = delta_scores(probe_of(Residual), *given)
    assert error(ours, *expected(Residual, *given)) > 1e-4


def test_threads_change_nothing_and_are_as_found() -> None:
    probe, shown, hiding = probe_of(Branches), image(1), image(2)
    places = [(row, column) for row in range(0, 37, 4) for column in range(0, 29, 4)]
    found = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(delta_scores(probe, shown, hiding, (6, 6), places))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_tells_of_the_places_done() -> None:
    probe, told = probe_of(Strange), []
    delta_scores(
        probe, image(1), image(2), (9, 9), CORNERS, lambda done, number: told.append((done, number))
    )
    assert told[-1] == (len(CORNERS), len(CORNERS))
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_halves_a_group_that_does_not_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    probe, shown, hiding = probe_of(Residual), image(1), image(2)
    places = [(10, 10), (11, 11), (12, 12), (13, 13), (14, 14)]
    whole = delta_scores(probe, shown, hiding, (5, 5), places, dtype=torch.float32)
    run, sizes = DeltaEngine._scores, []

    def cramped(self: DeltaEngine, some: Places) -> torch.Tensor:
        sizes.append(len(some))
        if len(some) > 2:
            raise torch.OutOfMemoryError
        return run(self, some)

    monkeypatch.setattr(DeltaEngine, "_scores", cramped)
    ours = delta_scores(probe, shown, hiding, (5, 5), places, dtype=torch.float32)
    assert max(sizes) == 5
    torch.testing.assert_close(ours, whole)


def test_says_when_one_place_does_not_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: DeltaEngine, some: Places) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(DeltaEngine, "_scores", full)
    with pytest.raises(ResourceError):
        delta_scores(probe_of(Residual), image(1), image(2), (5, 5), CORNERS)


def test_leaves_the_network_as_it_was() -> None:
    network = seeded(Residual)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    delta_scores(Probe(network, "cpu"), image(1), image(2), (9, 9), CORNERS)
    assert all(part.training for part in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_rule_that_fails_is_no_end_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> torch.Tensor:
        raise RuntimeError("odd shapes.\nat a line")

    monkeypatch.setattr(DeltaEngine, "_scores", failing)
    threads = torch.get_num_threads()
    with pytest.raises(Untraceable, match=r"^No differences go through .* \(odd shapes\)\.$"):
        delta_scores(probe_of(Residual), image(0), image(1), (5, 5), [(0, 0), (9, 9)])
    assert torch.get_num_threads() == threads
