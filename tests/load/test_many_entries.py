"""Files of a million entries are refused after work that does not grow with them."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest
import safetensors.torch
import torch

from reportgen.errors import ModelError
from reportgen.load import formats, pickle_names, plain_tensors
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.pickle_names import names_in_pickle


class Endless(io.RawIOBase):
    """Says the same for ever, and counts how often it was asked."""

    def __init__(self, said: bytes) -> None:
        self.said, self.given = said, 0

    def tell(self) -> int:
        """How far it was read."""
        return self.given

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        start = self.given % len(self.said)
        self.given += size
        return (self.said[start:] + self.said * size)[:size]


@pytest.mark.parametrize(
    ("said", "most"),
    [(b"N0", pickle_names._MOST_INSTRUCTIONS), (b"R", pickle_names._MOST_CALLS)],
    ids=["nothing but None", "calls"],
)
def test_a_pickle_without_an_end_is_read_so_far_and_no_further(said: bytes, most: int) -> None:
    stream = cast(Any, Endless(said))
    with pytest.raises(ModelError, match="more tensors or other entries than any network"):
        names_in_pickle(stream, "model.pth")
    assert stream.given == most + 1


def pickled(count: int, calls: int) -> io.BytesIO:
    """So many instructions, of which some are calls."""
    return io.BytesIO(b"N" * (count - calls - 1) + b"R" * calls + b".")


def test_what_a_network_may_have_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_names, "_MOST_INSTRUCTIONS", 9)
    monkeypatch.setattr(pickle_names, "_MOST_CALLS", 3)
    names_in_pickle(pickled(9, 3), "model.pth")
    for count, calls in ((10, 3), (9, 4)):
        with pytest.raises(ModelError, match="more tensors"):
            names_in_pickle(pickled(count, calls), "model.pth")


@pytest.mark.parametrize("opcode", [b"R", b"b", b"\x81", b"\x92", b"Q"])
def test_what_makes_an_object_is_a_call(opcode: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_names, "_MOST_CALLS", 4)
    names_in_pickle(io.BytesIO(opcode * 4 + b"."), "model.pth")
    with pytest.raises(ModelError, match="more tensors"):
        names_in_pickle(io.BytesIO(opcode * 5 + b"."), "model.pth")


def test_fifty_thousand_tensors_of_a_module_are_within_the_limits() -> None:
    """The same pickle with twice the tensors tells what one of them takes."""
    taken = []
    for count in (50, 100):
        stream = io.BytesIO()
        weights = {f"layer.{i}.weight": torch.nn.Parameter(torch.ones(2, 3)) for i in range(count)}
        torch.save(weights, stream)
        with zipfile.ZipFile(stream) as archive:
            content = archive.read("archive/data.pkl")
        kinds = [opcode.name for opcode, _, _ in pickle_names.pickletools.genops(content)]
        taken.append((len(kinds), sum(kind in pickle_names._CALLS for kind in kinds)))
    instructions, calls = ((after - before) / 50 for before, after in zip(*taken, strict=True))
    assert 50_000 * instructions < pickle_names._MOST_INSTRUCTIONS * 1.2
    assert 50_000 * calls < pickle_names._MOST_CALLS * 1.2


def test_a_zip_file_of_many_records_is_refused_before_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.pth"
    torch.save({f"w{i}": torch.ones(1) for i in range(20)}, file)
    with zipfile.ZipFile(file) as archive:
        count = len(archive.namelist())
    monkeypatch.setattr(formats, "_MOST_RECORDS", count)
    with file.open("rb") as stream:
        assert len(read_checkpoint(file, stream).tensors) == 20
    monkeypatch.setattr(formats, "_MOST_RECORDS", count - 1)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("a record was read"))
    with (
        file.open("rb") as stream,
        pytest.raises(ModelError, match=f"holds {count} records, which is more than any network"),
    ):
        read_checkpoint(file, stream)


def test_a_table_of_many_weights_is_refused_before_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.safetensors"
    entries = {f"w{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(6)}
    header = json.dumps({**entries, "__metadata__": {"a": "b"}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    monkeypatch.setattr(plain_tensors, "_MOST_TENSORS", 6)
    with file.open("rb") as stream:
        assert len(read_checkpoint(file, stream).tensors) == 6
    monkeypatch.setattr(plain_tensors, "_MOST_TENSORS", 5)
    monkeypatch.setattr(safetensors.torch, "load", lambda *_: pytest.fail("a tensor was made"))
    with file.open("rb") as stream, pytest.raises(ModelError, match="holds 6 tensors"):
        read_checkpoint(file, stream)
