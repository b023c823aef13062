"""The child that reads a model file, seen from inside: how it begins, reads and leaves a parcel."""

import io
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from reportgen.errors import ModelError, ResourceError
from reportgen.load import limited, reader
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.exported import Exported
from reportgen.load.limited import read_limited
from reportgen.load.limits import Limits
from tests.corpus.guards import children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks /proc")

PROGRAM = Checkpoint({}, "pt2", exported=Exported(b"{}", {}, b""))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.arange(6.0).reshape(2, 3)}, path)
    return path


def read(file: Path) -> Checkpoint:
    with file.open("rb") as stream:
        return read_limited(file, stream, "a.b")


class Left(BaseException):
    """The end of what would be the child."""


def test_the_child_begins_with_signals_held_and_nothing_but_its_work(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the fork gives no child: this process goes the child's way."""
    given: list[Any] = []

    def noted(path: Path, stream: IO[bytes], key: str, out: IO[bytes], limits: Limits) -> None:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        given.extend((path, stream.tell(), key, os.fstat(out.fileno()).st_size, limits, held))
        raise Left

    def no_process(*_: object) -> None:
        raise AssertionError("the child waits for a process, or ends one")

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "waitpid", no_process)
    monkeypatch.setattr(os, "kill", no_process)
    monkeypatch.setattr(limited, "read_and_leave", noted)
    with pytest.raises(Left):
        read(file)
    held = given.pop()
    assert given == [file, 0, "a.b", 0, Limits.for_file(file.stat().st_size)]
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD} <= held
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_half_a_parcel_is_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(checkpoint: Checkpoint, out: IO[bytes], *_: object) -> None:
        whole = io.BytesIO()
        reader_pack(checkpoint, whole, 2**20, "model.pth")
        out.write(whole.getvalue()[:-1])
        out.flush()
        os._exit(5)

    reader_pack, before = reader.pack, children()
    monkeypatch.setattr(reader, "pack", half)
    monkeypatch.setattr(reader, "read_checkpoint", lambda *_: Checkpoint({}, "zip"))
    words = r"^model\.pth made the process crash that read it \(exit code 5\): .*get it again\.$"
    with pytest.raises(ResourceError, match=words):
        read(file)
    assert children() == before


def test_the_words_of_a_program_are_read_where_that_can_do_no_harm(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "read_checkpoint", lambda *_: PROGRAM)
    for name in ("read_program", "description"):
        with monkeypatch.context() as patched:
            patched.setattr(reader, name, lambda *_: os.abort())
            with pytest.raises(ResourceError, match=r"crash that read it \(SIGABRT\)"):
                read(file)


def test_a_program_that_is_refused_is_handed_on_for_the_parent_to_refuse(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_here: list[tuple[bytes, str]] = []

    def noted(program: bytes, name: str) -> None:
        read_here.append((program, name))
        raise ModelError("m holds a program that cannot be read")

    monkeypatch.setattr(reader, "read_program", noted)
    reader._rehearse_reading(file, replace(PROGRAM, exported=None))
    assert read_here == []
    reader._rehearse_reading(file, PROGRAM)
    assert read_here == [(b"{}", "model.pth")]
    monkeypatch.setattr(reader, "read_checkpoint", lambda *_: PROGRAM)
    found = read(file).exported
    assert found is not None and found.program == b"{}"
