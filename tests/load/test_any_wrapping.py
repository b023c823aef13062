"""Weights of any names in any wrapping come out whole: nothing lost, renamed twice or made up."""

import datetime
import io
from pathlib import Path
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from reportgen.errors import ModelError, ReportgenError
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.prefixes import readings

PARTS = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), min_size=1)
PLAIN = st.text("abcdefghij0123456789_", min_size=1, max_size=8)
MEANING = ("_orig_mod", "_packed_params")
"Parts of names that say what a tool did to the network."


def names_of(parts: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    plain = parts.filter(lambda part: not any(word in part for word in MEANING))
    return st.lists(st.lists(plain, min_size=1, max_size=3).map(".".join), min_size=1, unique=True)


NAMES, ODD_NAMES = names_of(PLAIN), names_of(PARTS)
PREFIXES = ["module.", "_orig_mod.", "model.", "net.", "backbone."]
WRAPPERS = ["state_dict", "model_state_dict", "model", "net", "weights", "params", "ema"]
BESIDE = {
    "epoch": 3,
    "args": {"lr": 0.1, "path": "/home/someone"},
    "when": datetime.date(2026, 1, 1),
}


def numbered(names: list[str]) -> dict[str, torch.Tensor]:
    """A weight of its own for each name."""
    return {name: torch.tensor([float(number)]) for number, name in enumerate(names)}


def saved(content: Any, *, is_legacy: bool) -> io.BytesIO:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not is_legacy)
    stream.seek(0)
    return stream


@settings(max_examples=60, deadline=None)
@given(NAMES, st.lists(st.sampled_from(PREFIXES), max_size=3))
def test_prefixes_in_any_order_are_undone_and_said(names: list[str], prefixes: list[str]) -> None:
    weights = numbered(names)
    wrapped = {"".join(prefixes) + name: value for name, value in weights.items()}
    found = [reading for reading, _ in readings(wrapped)]
    assert any(reading.keys() == weights.keys() for reading in found)
    for reading, notes in readings(wrapped):
        assert bool(notes) == (reading.keys() != wrapped.keys())
        # Each weight still has the last part of its name.
        for name, value in reading.items():
            (old,) = [old for old, there in wrapped.items() if there is value]
            assert old.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]


def test_a_name_of_a_million_parts_is_not_read_in_a_million_ways() -> None:
    weights = {"a." * 1_000_000 + end: torch.ones(1) for end in "vw"}
    assert len(list(readings(weights))) < 20


@settings(max_examples=60, deadline=None)
@given(ODD_NAMES)
def test_readings_end_and_never_give_a_weight_twice(names: list[str]) -> None:
    weights = numbered(names)
    seen = []
    for reading, _ in readings(weights):
        values = [float(value) for value in reading.values()]
        assert reading and len(set(values)) == len(values)
        seen.append(frozenset(reading))
    assert seen[0] == frozenset(names)
    assert len(set(seen)) == len(seen)


@settings(max_examples=60, deadline=None)
@given(ODD_NAMES, st.lists(st.sampled_from(WRAPPERS), max_size=3), st.booleans(), st.booleans())
def test_weights_come_out_of_wrappers_of_any_depth(
    names: list[str], wrappers: list[str], is_legacy: bool, has_more: bool
) -> None:
    weights = numbered(names)
    content: Any = weights
    for wrapper in wrappers:
        content = {wrapper: content, **(BESIDE if has_more else {})}
    stream = saved(content, is_legacy=is_legacy)
    checkpoint = read_checkpoint(Path("any.pth"), stream)
    assert list(checkpoint.tensors) == names
    assert all(torch.equal(checkpoint.tensors[name], weights[name]) for name in names)
    assert len([note for note in checkpoint.notes if "entr" in note or "averaged" in note]) == len(
        wrappers
    )
    assert "someone" not in str((checkpoint.notes, checkpoint.modules))


@settings(max_examples=40, deadline=None)
@given(ODD_NAMES)
def test_every_format_gives_the_same_weights(names: list[str]) -> None:
    weights = numbered(names)
    streams = [saved(weights, is_legacy=False), saved(weights, is_legacy=True)]
    streams.append(io.BytesIO(save(weights)))
    for stream in streams:
        found = read_checkpoint(Path("any.bin"), stream).tensors
        assert set(found) == set(names)
        assert all(torch.equal(found[name], weights[name]) for name in names)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.just(torch.ones(2)),
        lambda inner: st.lists(inner) | st.dictionaries(PLAIN | st.sampled_from(WRAPPERS), inner),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_any_content_gives_weights_or_one_sentence(content: object, is_legacy: bool) -> None:
    try:
        found = read_checkpoint(Path("any.pth"), saved(content, is_legacy=is_legacy)).tensors
    except ReportgenError as error:
        assert isinstance(error, ModelError) and str(error).startswith("any.pth ")
    else:
        assert found and all(isinstance(value, torch.Tensor) for value in found.values())
