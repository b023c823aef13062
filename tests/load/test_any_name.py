"""File names of any characters: one order, valid text, nothing printed that moves a cursor."""

import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.errors import ModelError
from reportgen.load.listing import listing, natural
from reportgen.load.model import load_model

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.binary(min_size=1, max_size=40).map(
    lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_").lstrip(b".") or b"x"
)


@given(st.lists(TEXTS, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_depend_on_the_order_they_come_in(names, random) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)
    assert sorted(shuffled, key=natural) == sorted(names, key=natural)


@given(
    TEXTS.map(lambda text: text.replace("/", "")), st.integers(0, 10**30), st.integers(0, 10**30)
)
def test_numbers_in_names_are_in_the_order_of_numbers(text: str, one: int, two: int) -> None:
    stem = text.rstrip("0123456789") + "-"
    first, second = (natural(f"{stem}{number}.png") for number in (one, two))
    assert (first < second) == (one < two)


@settings(max_examples=50, deadline=None)
@given(raw=st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_every_file_is_listed_once_under_a_name_that_is_text(
    raw: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    for name in raw:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")
    found = listing([folder])
    listed = [candidate.path for candidate in found.candidates]
    counted = sum(int(note.split()[0]) for note in found.notes)
    assert len(listed) + len(found.skipped) + counted == len(raw)
    assert len(set(listed)) == len(listed)
    for path in listed:
        assert json.loads(json.dumps(path)) == path.encode().decode()
    assert {os.fsencode(c.location.name) for c in found.candidates} <= set(raw)


@settings(max_examples=40, deadline=None)
@given(name=NAMES)
def test_a_message_about_a_file_of_any_name_is_one_printable_line(
    name: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path_factory.mktemp("model")) + b"/" + name))
    path.write_bytes(b"no model")
    with pytest.raises(ModelError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.isprintable() and message.endswith("is a text file, not a model.")


def test_a_name_inside_a_file_is_cut_where_it_has_no_end(tmp_path: Path) -> None:
    file = tmp_path / "long.pth"
    torch.save({"w" * 100_000: torch.eye(2).to_sparse()}, file)
    with pytest.raises(ModelError, match=r"w{100}\.\.\.w{20} as a sparse") as caught:
        load_model(file)
    assert len(str(caught.value)) < 2000
