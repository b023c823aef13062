"""The child that reads a model file: what it may do, how it can end, and what the parent keeps."""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reportgen.errors import ModelError, OptionError, ResourceError
from reportgen.load import limited, reader
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.limited import read_limited
from reportgen.load.limits import Limits
from tests.conftest import left_with
from tests.corpus.guards import children
from tests.corpus.models_hostile import save_pickle

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks /proc")

Act = Callable[[], object]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.arange(6.0).reshape(2, 3)}, path)
    return path


def read(file: Path, key: str = "") -> Checkpoint:
    with file.open("rb") as stream:
        return read_limited(file, stream, key)


def acting(monkeypatch: pytest.MonkeyPatch, act: Act) -> None:
    """Makes the child do something else than read; it tells what came of it."""

    def instead(*_: object) -> Checkpoint:
        raise ModelError(str(act()))

    monkeypatch.setattr(reader, "read_checkpoint", instead)


def limits(monkeypatch: pytest.MonkeyPatch, **changed: float) -> None:
    values: dict[str, Any] = {"memory": 2**32, "parcel": 2**28, "cpu_seconds": 30, "seconds": 120}
    monkeypatch.setattr(Limits, "for_file", lambda size: Limits(**{**values, **changed}))


@pytest.mark.parametrize("can_fork", [True, False], ids=["forked", "fresh Python"])
def test_what_is_read_and_what_is_refused_comes_through(
    can_fork: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "_CAN_FORK", can_fork)
    before = children()
    assert torch.equal(read(file).tensors["weight"], torch.arange(6.0).reshape(2, 3))
    with pytest.raises(OptionError, match="no such entry; it has weight"):
        read(file, "ema")
    assert children() == before


def test_what_is_handed_over_is_ours_alone(file: Path) -> None:
    found, other = read(file).tensors["weight"], read(file).tensors["weight"]
    found.add_(1)
    assert other[0, 0] == 0
    file.unlink()
    assert found[1, 2] == 6


def test_nothing_of_the_parents_is_changed(file: Path) -> None:
    def state() -> list[object]:
        return [
            torch.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype(),
            torch.serialization.get_safe_globals(), signal.getsignal(signal.SIGINT),
            signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            sorted(open_file.name for open_file in Path("/proc/self/fd").iterdir()),
            resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_NOFILE),
            children(),
        ]  # fmt: skip

    read(file)
    before = state()
    read(file)
    assert state() == before
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError):
        read(file)
    assert state() == before


def in_vain(act: Act) -> Act:
    """Says why something could not be done."""

    def tried() -> str:
        try:
            return f"done: {act()}"
        except OSError as error:
            return f"in vain: {error.strerror}"

    return tried


@pytest.mark.parametrize(
    "act",
    [lambda: socket.socket(), lambda: Path("/etc/hostname").open().close(), lambda: os.pipe()],
    ids=["socket", "file", "pipe"],
)
def test_the_child_can_open_nothing(act: Act, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(monkeypatch, in_vain(act))
    with pytest.raises(ModelError, match="in vain: Too many open files"):
        read(file)


def test_a_file_that_asks_for_more_of_python_is_refused(file: Path) -> None:
    """PyTorch lets a pickle encode a text; in what, could make Python import a module."""
    pickled = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R."
    save_pickle(pickled, file, is_old=False)
    with pytest.raises(ModelError, match="a part of Python that no model file needs"):
        read(file)


def test_the_child_keeps_no_file_of_the_parents(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        acting(monkeypatch, in_vain(lambda: os.write(theirs.fileno(), b"x")))
        with pytest.raises(ModelError, match="in vain: Bad file descriptor"):
            read(file)


def test_the_child_is_limited(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> str:
        names = ("CORE", "NOFILE", "NPROC")
        zero = [resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1] for name in names]
        space, seconds = (
            resource.getrlimit(what)[0] for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU)
        )
        return f"{zero} {space < 2**46} {seconds}"

    acting(monkeypatch, told)
    with pytest.raises(ModelError, match=r"\[0, 0, 0\] True 3\d"):
        read(file)


DEATHS: dict[str, tuple[Act, str]] = {
    "crash": (lambda: os.kill(os.getpid(), signal.SIGSEGV), r"crash that read it \(SIGSEGV\)"),
    "abort": (os.abort, r"crash that read it \(SIGABRT\)"),
    "killed": (lambda: os.kill(os.getpid(), signal.SIGKILL), "when memory is short"),
    "left in silence": (lambda: os._exit(0), r"crash that read it \(exit code 0\)"),
    "exit": (lambda: sys.exit(5), r"crash that read it \(exit code 1\)"),
    "left": (lambda: os._exit(3), r"crash that read it \(exit code 3\)"),
    "memory": (lambda: bytearray(2**41), "needs more than 4 GB of memory"),
    "torch's memory": (lambda: torch.empty(2**41), "needs more than 4 GB of memory"),
}


@pytest.mark.parametrize("name", DEATHS)
def test_a_child_that_dies_is_told_of_in_one_sentence(
    name: str, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    act, words = DEATHS[name]
    acting(monkeypatch, act)
    before = children()
    with pytest.raises(ResourceError, match=rf"^model\.pth .*{words}.*get it again\.$"):
        read(file)
    assert children() == before
    assert left_with("inspect", file) == 7
    assert len(capfd.readouterr().err.splitlines()) == 1


def busy() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("act", "limit"),
    [(busy, {"cpu_seconds": 0}), (lambda: time.sleep(60), {"seconds": 0.2})],
    ids=["computing", "waiting"],
)
def test_a_child_that_does_not_end_is_ended(
    act: Act, limit: dict[str, float], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting(monkeypatch, act)
    limits(monkeypatch, **limit)
    before = children()
    with pytest.raises(ResourceError, match="was not read within"):
        read(file)
    assert children() == before


def test_ctrl_c_ends_the_child_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(monkeypatch, lambda: time.sleep(60))
    before = children()
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        read(file)
    timer.join()
    assert children() == before


def test_a_fault_of_ours_is_raised_with_its_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting(monkeypatch, lambda: {}["absent"])
    with pytest.raises(RuntimeError, match="KeyError: 'absent'") as caught:
        read(file)
    assert "in acting" not in str(caught.value)
    assert any("test_limited.py" in note for note in caught.value.__notes__)


def test_threads_of_the_parent_do_no_harm(file: Path) -> None:
    """PyTorch's own pool of threads, which a fork has not, and others that are at work."""
    threads = torch.get_num_threads()
    stop = threading.Event()
    workers = [threading.Thread(target=lambda: all(iter(lambda: not stop.is_set(), False)))]
    torch.set_num_threads(2)
    try:
        torch.rand(500, 500) @ torch.rand(500, 500)
        for worker in workers:
            worker.start()
        found = [read(file) for _ in range(5)]
    finally:
        stop.set()
        torch.set_num_threads(threads)
    assert all(torch.equal(c.tensors["weight"], found[0].tensors["weight"]) for c in found)
    results: list[Checkpoint] = []
    elsewhere = [threading.Thread(target=lambda: results.append(read(file))) for _ in range(4)]
    for thread in elsewhere:
        thread.start()
    for thread in elsewhere:
        thread.join()
    assert len(results) == 4


def test_a_program_that_reaps_its_children_may_load(file: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert read(file).tensors
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_process_that_cannot_be_started_is_told(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_fork)
    with pytest.raises(ResourceError, match="cannot be started: Resource temporarily"):
        read(file)


def test_the_disk_serves_where_there_are_no_files_in_memory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", unknown)
    assert read(file).tensors
    monkeypatch.delattr(os, "memfd_create")  # as on macOS
    assert read(file).tensors


def test_a_reader_without_a_parent_ends(file: Path) -> None:
    """A parent that is killed ends nothing itself; the child has a clock of its own."""
    code = f"""
import os, time
from pathlib import Path
from reportgen.load import limits, limited, reader
limits._GRACE = 0
limits.Limits.for_file = lambda size: limits.Limits(2**32, 2**28, 30, 0.5)
reader.read_checkpoint = lambda *_: time.sleep(600)
limited.os.waitpid = lambda child, _: (print(child, flush=True), time.sleep(0.1), os._exit(0))
path = Path({str(file)!r})
limited.read_limited(path, path.open("rb"))
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    child, end = Path("/proc") / said.stdout.strip(), time.monotonic() + 60
    while child.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not child.exists()
