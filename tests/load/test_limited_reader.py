"""The child that reads a model file, seen from inside: how it begins, reads and leaves a parcel."""

import codecs
import contextlib
import faulthandler
import gc
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
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


def told_by_the_child(
    act: Callable[[], object], file: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the child says of itself in place of reading."""

    def instead(*_: object) -> Checkpoint:
        raise ModelError(json.dumps(act()))

    monkeypatch.setattr(reader, "read_checkpoint", instead)
    with pytest.raises(ModelError) as caught:
        read(file)
    found: dict[str, Any] = json.loads(str(caught.value))
    return found


def state_of_the_child() -> dict[str, object]:
    null, files = Path(os.devnull).stat(), {}
    for descriptor in range(200):
        with contextlib.suppress(OSError):
            seen = os.fstat(descriptor)
            files[descriptor] = seen.st_rdev if seen.st_rdev == null.st_rdev else "a file"
    return {
        "null": [number for number, kind in files.items() if kind == null.st_rdev],
        "files": len([kind for kind in files.values() if kind == "a file"]),
        "collects": gc.isenabled(),
        "tells faults": faulthandler.is_enabled(),
        "threads": torch.get_num_threads(),
        "wakes": signal.set_wakeup_fd(-1),
        "held": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "left": [
            int(number)
            for number in signal.valid_signals()
            if signal.getsignal(number) is signal.SIG_IGN
        ],
        "ours": [int(n) for n in signal.valid_signals() if callable(signal.getsignal(n))],
    }


def test_the_child_has_nothing_of_its_parents_but_the_file_and_the_parcel(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    woken = signal.set_wakeup_fd(theirs.fileno())
    threads, standard = torch.get_num_threads(), [os.dup(number) for number in range(3)]
    torch.set_num_threads(2)
    ignored = {int(n) for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN}
    try:
        for number in range(3):
            os.dup2(theirs.fileno(), number)
        found = told_by_the_child(state_of_the_child, file, monkeypatch)
    finally:
        for number, there in enumerate(standard):
            os.dup2(there, number)
            os.close(there)
        torch.set_num_threads(threads)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGUSR1, before)
        ours.close()
        theirs.close()
    assert (found.pop("null"), found.pop("files")) == ([0, 1, 2], 2)
    assert set(found.pop("left")) == ignored | {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert found == {
        "collects": False,
        "tells faults": False,
        "threads": 1,
        "wakes": -1,
        "held": [],
        "ours": [],
    }


def test_a_fresh_python_reads_its_input_and_answers_on_its_output(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    place, dup, before = tmp_path / "parcel", os.dup, signal.getsignal(signal.SIGINT)

    def noted(path: Path, stream: IO[bytes], key: str, out: IO[bytes], limits: Limits) -> None:
        given.extend((path, key, limits, stream.read(), signal.getsignal(signal.SIGINT)))
        out.write(b"parcel")
        out.close()
        raise Left

    monkeypatch.setattr(reader, "read_and_leave", noted)
    monkeypatch.setattr(reader, "rehearse", lambda: given.append("rehearsed"))
    with file.open("rb") as stream, place.open("w+b") as out:
        standard = {0: stream.fileno(), 1: out.fileno()}
        monkeypatch.setattr(os, "dup", lambda number: dup(standard[number]))
        try:
            with pytest.raises(Left):
                reader.serve("some/model.pth", "a.b")
        finally:
            signal.signal(signal.SIGINT, before)
    content = file.read_bytes()
    limits = Limits.for_file(len(content))
    path = Path("some/model.pth")
    assert given == ["rehearsed", path, "a.b", limits, content, signal.SIG_IGN]
    assert place.read_bytes() == b"parcel"


def test_all_that_a_file_can_be_written_in_is_known_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The child could not import what it does not know."""
    asked, forms, read_again = [], [], []
    lookup, save, load = codecs.lookup, torch.save, torch.load

    def noted(name: str) -> codecs.CodecInfo:
        asked.append(name)
        return lookup(name)

    def saved(*content: Any, **how: Any) -> None:
        forms.append(how["_use_new_zipfile_serialization"])
        save(*content, **how)

    def loaded(*content: Any, **how: Any) -> object:
        read_again.append(how)
        return load(*content, **how)

    monkeypatch.setattr(codecs, "lookup", noted)
    monkeypatch.setattr(torch, "save", saved)
    monkeypatch.setattr(torch, "load", loaded)
    reader.rehearse()
    names = {"cp437", "latin-1", "raw-unicode-escape", "utf-16", "utf-32"}
    assert names <= set(asked) and sorted(forms) == [False, True]
    assert read_again == [{"weights_only": True}] * 2


def test_too_many_numbers_are_told_by_the_child(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parcel has a limit of its own, as tensors may repeat what the file has once."""
    weight = torch.ones(1).expand(2**27)
    monkeypatch.setattr(reader, "read_checkpoint", lambda *_: Checkpoint({"w": weight}, "zip"))
    most = Limits.for_file(file.stat().st_size).parcel
    with pytest.raises(ModelError) as caught:
        read(file)
    said = f"model.pth holds tensors that repeat few numbers {most:,} times."
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (OSError(24, "Too many open files"), "more"),
        (OSError(2, "No such file"), "fault"),
        (ValueError("odd"), "fault"),
    ],
)
def test_what_went_wrong_in_the_child_is_told_by_its_kind(
    error: Exception, status: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(reader, "read_checkpoint", failing)
    expected: tuple[type[Exception], str] = {
        "memory": (
            ResourceError,
            "model.pth needs more than 4 GB of memory to be read: it is damaged, or made to do "
            "that; get it again.",
        ),
        "more": (
            ModelError,
            "model.pth asks its reader for a file or a part of Python that no model file needs; "
            "save it again.",
        ),
        "fault": (RuntimeError, f"{type(error).__name__}: {error}"),
    }[status]
    with pytest.raises(expected[0]) as caught:
        read(file)
    assert str(caught.value).rstrip() == expected[1]


def test_no_entry_need_be_named_and_no_process_is_ended_that_ended_itself(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda *given: pytest.fail(f"{given} is ended"))
    with file.open("rb") as stream:
        assert list(read_limited(file, stream).tensors) == ["weight"]


def test_a_process_that_was_not_started_or_is_gone_is_not_ended(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda *given: pytest.fail(f"{given} is ended"))
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert read_limited(file, file.open("rb")).tensors
    finally:
        signal.signal(signal.SIGCHLD, before)

    def no_fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_fork)
    with pytest.raises(ResourceError) as caught:
        read(file)
    assert str(caught.value) == (
        "model.pth is read in a process of its own, which cannot be started: Resource temporarily "
        "unavailable."
    )


def test_a_fresh_python_that_takes_too_long_is_ended(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "_CAN_FORK", False)
    monkeypatch.setattr(Limits, "for_file", lambda _: Limits(2**32, 2**28, 7.4, 0.1))
    before = children()
    with pytest.raises(ResourceError) as caught:
        read(file)
    assert str(caught.value) == (
        "model.pth was not read within 7 s of computing: it is damaged, or made to do that; get it "
        "again."
    )
    assert children() == before
