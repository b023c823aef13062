"""Faults of a disk and of a system: the n-th call fails, for n = 1, 2, 3 ... until none does."""

import errno
import io
import itertools
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from reportgen import cli
from reportgen.write import locks

MODULES: dict[str, Any] = {"io.open": io, "flock": locks.fcntl}
"Where a call is looked up that is not one of `os`."


@dataclass(frozen=True)
class Fault:
    """What a call of the system says instead of doing its work."""

    name: str
    calls: tuple[str, ...]
    number: int
    words: str
    "That the one sentence holds."
    lasts: bool = False
    "Whether every later call fails as well, as on a disk that is full."
    code: int = 6


FAULTS = (
    Fault("full at a write", ("write",), errno.ENOSPC, "the disk is full"),
    Fault("stays full", ("write", "mkdir"), errno.ENOSPC, "the disk is full", lasts=True),
    Fault("full at closing", ("close",), errno.ENOSPC, "the disk is full"),
    Fault("full at a new name", ("open", "mkdir", "link"), errno.ENOSPC, "the disk is full"),
    Fault("quota", ("write", "close"), errno.EDQUOT, "your share of the disk is used up"),
    Fault("file too large", ("write",), errno.EFBIG, "file too large"),
    Fault("write error", ("write", "fsync", "close"), errno.EIO, "input/output error"),
    Fault("read error", ("io.open", "open", "stat", "lstat"), errno.EIO, "input/output error"),
    Fault(
        "no access",
        ("open", "io.open", "mkdir", "scandir", "listdir", "rename", "replace"),
        errno.EACCES,
        "you may not write there",
    ),
    Fault("no right", ("chmod", "link", "stat"), errno.EPERM, "you may not write there"),
    Fault(
        "read-only disk",
        ("open", "mkdir", "chmod", "rename", "replace"),
        errno.EROFS,
        "the disk is read-only",
        lasts=True,
    ),
    Fault(
        "too many open files", ("open", "io.open", "scandir"), errno.EMFILE, "too many open files"
    ),
    Fault("another disk", ("rename", "replace", "link"), errno.EXDEV, "it lies on another disk"),
    Fault("a disk is mounted there", ("rename", "replace"), errno.EBUSY, "it is in use, or a disk"),
    Fault("cannot be removed", ("rmdir", "unlink"), errno.EIO, "input/output error"),
    Fault("no locks", ("flock",), errno.ENOLCK, "-", lasts=True),
    Fault("no room known", ("statvfs",), errno.EIO, "input/output error"),
)


class Counted:
    """Calls of a system, one of which is met by something."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._calls = itertools.count(1)
        self._is_met = False
        self.place = ""
        "The line that was met, where lines are counted."

    def is_met(self, *, lasts: bool = False) -> bool:
        """Whether the call that is made now is the one, or comes after it if that counts."""
        number = next(self._calls)
        is_now = number >= self._at if lasts else number == self._at
        self._is_met |= is_now
        return is_now

    @property
    def was_hit(self) -> bool:
        """Whether there were so many calls."""
        return self._is_met


@contextmanager
def patched(
    calls: tuple[str, ...], met: Callable[[str, Callable[..., Any]], Any]
) -> Iterator[None]:
    """Each of the calls goes to `met(name, original)` and what that gives back."""
    places = [(MODULES.get(name, os), name.rpartition(".")[2]) for name in calls]
    originals = [getattr(place, name) for place, name in places]
    others = [met(name, original) for (_, name), original in zip(places, originals, strict=True)]
    able = os.supports_follow_symlinks
    could = {other for one, other in zip(originals, others, strict=True) if one in able}
    try:
        able |= could
        for (place, name), other in zip(places, others, strict=True):
            setattr(place, name, other)
        yield
    finally:
        able -= could
        for (place, name), original in zip(places, originals, strict=True):
            setattr(place, name, original)


@contextmanager
def failing(fault: Fault, at: int) -> Iterator[Counted]:
    """The `at`-th of the calls fails."""
    counted = Counted(at)

    def met(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if counted.is_met(lasts=fault.lasts):
                if name == "close":
                    original(*args)  # the descriptor is gone even where closing fails
                raise OSError(fault.number, os.strerror(fault.number), *args[:1])
            return original(*args, **kwargs)

        return call

    with patched(fault.calls, met):
        yield counted


EVERY_CALL = ("open", "write", "close", "fsync", "mkdir", "rename", "replace", "chmod", "rmdir")
EVERY_CALL += ("unlink", "link", "scandir", "listdir", "stat", "lstat", "io.open", "flock")


@contextmanager
def interrupted(number: signal.Signals, at: int) -> Iterator[Counted]:
    """A signal comes as the `at`-th call ends."""
    counted = Counted(at)

    def met(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            finally:
                if counted.is_met():
                    os.kill(os.getpid(), number)

        return call

    with patched(EVERY_CALL, met):
        yield counted


@contextmanager
def interrupted_at_line(
    number: signal.Signals, at: int, places: tuple[str, ...]
) -> Iterator[Counted]:
    """A signal comes before the `at`-th line that is run of files whose path ends so."""
    counted = Counted(at)

    def line(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and counted.is_met():
            counted.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            os.kill(os.getpid(), number)
        return line

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return line if frame.f_code.co_filename.endswith(places) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield counted
    finally:
        sys.settrace(before)


def left_with(run: Callable[[], object]) -> int:
    """Exit code of a command that does this; its sentence goes to stderr."""
    handler = signal.signal(signal.SIGTERM, cli._terminated)
    try:
        return cli._exit_code(run, debug=False)
    finally:
        signal.signal(signal.SIGTERM, handler)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything below a folder, hidden files too."""
    found = {}
    for place in sorted(folder.rglob("*")):
        mode = place.lstat().st_mode
        if stat.S_ISLNK(mode):
            content = os.fsencode(place.readlink())
        else:
            content = b"" if stat.S_ISDIR(mode) else place.read_bytes()
        found[place.relative_to(folder).as_posix()] = (mode, content)
    return found


def descriptors() -> set[str]:
    """What this process holds open."""
    with os.scandir("/proc/self/fd") as entries:
        return {entry.name for entry in entries}
