"""Reads a model file in a child process that has limits, and takes over nothing but data.

Whatever a file brings PyTorch's readers to do (ask for terabytes, count for ever, crash) it does to
the child. On Linux that is a fork, which has everything imported; elsewhere a fresh Python.
"""

import contextlib
import functools
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from reportgen.errors import ResourceError
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.limits import Limits
from reportgen.load.parcel import is_finished, unpack
from reportgen.load.reader import OUT_OF_MEMORY, read_and_leave, rehearse

_CAN_FORK = sys.platform == "linux"
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from reportgen.load.reader import serve; serve(*sys.argv[2:])"
)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.005
"Seconds between two looks at the child."
_UNKNOWN = 0
"Exit status of a child that somebody else in this process has already waited for."


def read_limited(path: Path, stream: IO[bytes], weights_key: str = "") -> Checkpoint:
    """What `read_checkpoint` gives of an open model file, read in a child process.

    The tensors lie in memory that is mapped, and private: writing to them is harmless.

    Args:
        path: where the file lies, for its name in messages.
        stream: the file.
        weights_key: which entry of a wrapped checkpoint to take, as `a.b`; empty to find it.

    Raises:
        ModelError: if it cannot be read, or holds no weights.
        OptionError: if there is no entry `weights_key`.
        ResourceError: if reading it took too much memory or time, or ended the child.
        UnsafeModelError: if it asks for code.
    """
    limits = Limits.for_file(os.fstat(stream.fileno()).st_size)
    read = _forked if _CAN_FORK else _spawned
    with _scratch() as out:
        try:
            status = read(path, stream, weights_key, out, limits)
        except OSError as error:
            raise ResourceError(
                f"{path.name} is read in a process of its own, which cannot be started: "
                f"{error.strerror}."
            ) from error
        if os.fstat(out.fileno()).st_size:
            parcel = mmap.mmap(out.fileno(), 0, access=mmap.ACCESS_COPY)
            if is_finished(parcel):
                return unpack(parcel)
    raise ResourceError(f"{path.name} {_fate(status, limits)}")


def _scratch() -> IO[bytes]:
    """An empty file without a name: in memory where the system has such, else on the disk."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.fdopen(os.memfd_create("reportgen"), "w+b")
    return tempfile.TemporaryFile()


def _forked(
    path: Path, stream: IO[bytes], weights_key: str, out: IO[bytes], limits: Limits
) -> int | None:
    """Exit status of a forked reader, negative for a signal; None where its time was over."""
    _rehearse_once()
    child = 0
    try:
        # A signal that came to the child before it has let go of our handlers would run them twice.
        with _held_signals(), warnings.catch_warnings():
            # Python warns of locks that threads may hold. The child takes none of ours.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
            if not child:
                read_and_leave(path, stream, weights_key, out, limits)
        end, pause = time.monotonic() + limits.seconds, _SHORTEST_PAUSE
        while time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                child = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None
    except ChildProcessError:
        child = 0
        return _UNKNOWN
    finally:
        if child:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


_rehearse_once = functools.cache(rehearse)


@contextlib.contextmanager
def _held_signals() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _spawned(
    path: Path, stream: IO[bytes], weights_key: str, out: IO[bytes], limits: Limits
) -> int | None:
    """The same of a reader in a fresh Python."""
    words = (json.dumps([str(place) for place in sys.path]), str(path), weights_key)
    with subprocess.Popen(
        (sys.executable, "-c", _START, *words),
        stdin=stream,
        stdout=out,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            return child.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            child.kill()


def _fate(status: int | None, limits: Limits) -> str:
    """What became of a reader that handed nothing over, behind the name of the file."""
    advice = "it is damaged, or made to do that; get it again."
    if status == OUT_OF_MEMORY:
        gigabytes = limits.memory / 2**30
        return f"needs more than {gigabytes:.0f} GB of memory to be read: {advice}"
    if status is None or (os.name == "posix" and -status in (signal.SIGXCPU, signal.SIGALRM)):
        return f"was not read within {limits.cpu_seconds:.0f} s of computing: {advice}"
    if os.name == "posix" and -status == signal.SIGKILL:
        return (
            f"was not read: the system ended the process, as it does when memory is short: {advice}"
        )
    name = signal.Signals(-status).name if status < 0 else f"exit code {status}"
    return f"made the process crash that read it ({name}): {advice}"
