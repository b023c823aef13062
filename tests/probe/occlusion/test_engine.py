"""Which engine computes a map, when another one steps in, and what is said of it."""

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.errors import ResourceError
from reportgen.probe.occlusion import engine
from reportgen.probe.occlusion.engine import (
    SAMPLE,
    STRONGEST,
    hidden_scores,
    sampled,
)
from reportgen.probe.occlusion.graph import Untraceable
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.probe import Probe

WINDOW, TARGET = (4, 5), 1
PLACES = [(row, column) for row in range(0, 21, 3) for column in range(0, 28, 3)]


class Bright(nn.Module):
    """Class 1 is how bright the image is, more so on the right; class 2 is how bright its top."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(0.1, 1, x.shape[-1])
        bright = (x * ramp).mean((1, 2, 3))
        return torch.stack([0 * bright, 40 * bright, 9 * x[:, :, :3].mean((1, 2, 3))], 1)


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 23, 31, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The engines that ran, in order; all of them compute the map in the plain way."""
    seen: list[str] = []

    def as_plain(name: str) -> Callable[..., torch.Tensor]:
        def scores(*given: Any, clean: Any = None) -> torch.Tensor:
            seen.append(name)
            return plain_scores(*given)

        return scores

    for name in ("exact", "delta", "plain"):
        monkeypatch.setattr(engine, f"{name}_scores", as_plain(name))
    monkeypatch.setattr(engine, "has_bfloat16", lambda device: True)
    yield seen


def hidden(
    image: torch.Tensor, asked: Any, module: nn.Module | None = None, places: Any = PLACES
) -> tuple[torch.Tensor, engine.Run]:
    probe = Probe(module or Bright(), "cpu", 8)
    filling = torch.zeros_like(image)
    return hidden_scores(probe, image, filling, WINDOW, places, TARGET, asked)


def literal(image: torch.Tensor) -> torch.Tensor:
    scores = []
    for row, column in PLACES:
        changed = image.clone()
        changed[:, row : row + WINDOW[0], column : column + WINDOW[1]] = 0
        scores.append(Bright()(changed[None])[0])
    return torch.stack(scores)


@pytest.mark.parametrize("asked", ["exact", "plain"])
def test_what_is_asked_for_is_used(image: torch.Tensor, used: list[str], asked: str) -> None:
    scores, run = hidden(image, asked)
    assert torch.allclose(scores, literal(image), atol=1e-5)
    assert used == [asked]
    assert (run.asked, run.used, run.reason, run.sample) == (asked, asked, "", 0)
    assert (run.agreement, run.precision) == (None, "float32")


def test_a_fast_map_is_kept_with_its_rank_correlation(
    image: torch.Tensor, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strongest place is off by one rank in score, and by one or more in probability."""
    true = literal(image)
    order = true[:, TARGET].argsort()
    fast = true.clone()
    fast[order[0]] = (true[order[1]] + true[order[2]]) / 2
    moves = []
    for values, known in ((fast, true), (fast.softmax(1), true.softmax(1))):
        others = np.delete(values[:, TARGET].numpy(), order[0])
        ranks = [(others < float(one[order[0], TARGET])).sum() for one in (values, known)]
        moves.append(int(ranks[0] - ranks[1]))
    assert moves[0] == 1
    monkeypatch.setattr(engine, "delta_scores", lambda *_, **__: fast)
    scores, run = hidden(image, "fast")
    assert torch.equal(scores, fast)
    assert (run.used, run.reason, run.sample) == ("fast", "", SAMPLE)
    assert run.agreement == pytest.approx(1 - 6 * max(moves) ** 2 / SAMPLE / (len(PLACES) ** 2 - 1))
    assert used == ["exact"], "on the sample"


def test_a_fast_map_in_another_order_is_thrown_away(
    image: torch.Tensor, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = torch.randn(len(PLACES), 3, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(engine, "delta_scores", lambda *_, **__: literal(image) + noise)
    scores, run = hidden(image, "fast")
    assert torch.equal(scores, hidden(image, "exact")[0])
    assert (run.asked, run.used, run.agreement, run.sample) == ("fast", "exact", None, 0)
    assert run.reason.startswith("The rank correlation of the fast map with the exact one, ")
    assert run.reason.endswith(", below 0.999.")


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_a_map_without_an_order_is_made_exactly(
    image: torch.Tensor, used: list[str], value: float
) -> None:
    class Same(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 3), value)

    scores, run = hidden(image, "fast", Same())
    assert scores.shape == (len(PLACES), 3)
    assert (run.used, run.agreement) == ("exact", None)
    assert "flat or not finite" in run.reason
    assert used == ["delta", "exact", "exact"], "fast, on the sample, on all"


def test_few_positions_are_made_exactly(image: torch.Tensor, used: list[str]) -> None:
    _, run = hidden(image, "fast", places=PLACES[: 2 * SAMPLE])
    assert used == ["exact"]
    assert run.reason.startswith(f"With {2 * SAMPLE} positions, checking a fast map")


def test_without_bfloat16_the_map_is_exact(
    image: torch.Tensor, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "has_bfloat16", lambda device: False)
    _, run = hidden(image, "fast")
    assert used == ["exact"]
    assert run.reason == "This processor has no bfloat16 arithmetic of its own."


@pytest.mark.parametrize("asked", ["exact", "fast"])
def test_a_network_that_cannot_be_traced_is_run_in_full(
    image: torch.Tensor, used: list[str], monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    def unknown(*_: Any, **__: Any) -> torch.Tensor:
        raise Untraceable("It cannot be followed.")

    for name in ("exact_scores", "delta_scores"):
        monkeypatch.setattr(engine, name, unknown)
    scores, run = hidden(image, asked)
    assert torch.allclose(scores, literal(image), atol=1e-5)
    assert (run.asked, run.used) == (asked, "plain")
    assert run.reason == "It cannot be followed."


def test_where_differences_do_not_go_through_the_map_is_exact(
    image: torch.Tensor, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> torch.Tensor:
        raise Untraceable("No differences go through the network.")

    monkeypatch.setattr(engine, "delta_scores", unknown)
    scores, run = hidden(image, "fast")
    assert torch.allclose(scores, literal(image), atol=1e-5)
    assert used == ["exact"]
    assert (run.used, run.reason) == ("exact", "No differences go through the network.")


def test_where_the_steps_do_not_fit_the_memory_the_network_is_run_in_full(
    image: torch.Tensor, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any, **__: Any) -> torch.Tensor:
        raise ResourceError("too large")

    monkeypatch.setattr(engine, "exact_scores", too_large)
    scores, run = hidden(image, "exact")
    assert torch.allclose(scores, literal(image), atol=1e-5)
    assert run.used == "plain"
    assert run.reason.startswith("The memory does not hold")


def test_a_processor_is_asked_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for bf16, amx in ((False, False), (True, False), (False, True)):
        known = {
            "_is_avx512_bf16_supported": lambda has=bf16: has,
            "_is_amx_tile_supported": lambda has=amx: has,
        }
        monkeypatch.setattr(engine.torch, "cpu", SimpleNamespace(**known))
        assert engine.has_bfloat16(torch.device("cpu")) is (bf16 or amx)


@pytest.mark.parametrize("grid", [(13, 13), (16, 16), (7, 10), (1, 90), (21, 34), (34, 21)])
def test_the_sample_holds_the_strongest_and_is_spread(grid: tuple[int, int]) -> None:
    rows, columns = grid
    places = [(16 * row, 9 * column) for row in range(rows) for column in range(columns)]
    strength = np.zeros(len(places))
    strongest = np.arange(STRONGEST) * 3 + 5
    strength[strongest] = np.arange(STRONGEST) + 1
    sample = sampled(places, strength)
    assert len(sample) == len(set(sample.tolist())) == SAMPLE
    assert (np.diff(sample) > 0).all()
    assert set(strongest) <= set(sample)
    spread = [divmod(index, columns) for index in set(sample.tolist()) - set(strongest.tolist())]
    for axis, size in enumerate(grid):
        thirds = {3 * place[axis] // size for place in spread}
        assert thirds == ({0} if size == 1 else {0, 1, 2})
    if min(grid) > 2:
        quarters = {(2 * row // rows, 2 * column // columns) for row, column in spread}
        assert len(quarters) == 4
    assert sampled(places, strength).tolist() == sample.tolist()


def test_of_few_places_all_are_in_the_sample() -> None:
    assert sampled(PLACES[:SAMPLE], np.zeros(SAMPLE)).tolist() == list(range(SAMPLE))
