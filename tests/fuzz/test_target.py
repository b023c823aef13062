"""The fuzzer's own ground: its seeds are read as they should be, and its guards bite."""

import os

import pytest

from tests.fuzz import target
from tests.fuzz.containers import CONTAINERS, contained
from tests.fuzz.seeds import seeds

SEEDS = list(seeds())


def test_seeds_reach_every_container_and_every_format():
    told = {(seed[0], target.outcome(seed)) for seed in SEEDS}
    assert {number for number, _ in told} == set(range(len(CONTAINERS)))
    words = " ".join(text for _, text in told)
    assert "no network that reportgen knows" in words and "class torch.nn.modules" in words


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_seed_cut_anywhere_is_told_in_words(number):
    seed = SEEDS[number]
    for end in range(1, len(seed), max(1, len(seed) // 12)):
        assert target.outcome(seed[:end])


def test_an_input_without_bytes_is_an_empty_file():
    assert contained(b"") == b""
    assert target.outcome(b"").startswith("m.pth is empty")


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: (folder / "canary").write_text("x"),
        lambda folder: os.system("true"),
        lambda folder: (folder / "canary").mkdir(),
    ],
    ids=["write", "start", "mkdir"],
)
def test_what_is_done_besides_reading_is_seen(act, tmp_path, monkeypatch):
    monkeypatch.setattr(target, "read_checkpoint", lambda *_: act(tmp_path))
    with pytest.raises((AssertionError, AttributeError)):
        target.outcome(b"x")
    assert target._WATCH.seen


def test_an_error_that_is_not_for_users_is_a_find(monkeypatch):
    def broken(*_):
        raise KeyError("x")

    monkeypatch.setattr(target, "read_checkpoint", broken)
    with pytest.raises(KeyError):
        target.outcome(b"x")
