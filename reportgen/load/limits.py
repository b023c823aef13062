"""What reading a model file may use: memory, time, and no process or file more."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_GIB = 2**30
_LEAST_MEMORY = 4 * _GIB
_TIMES_THE_FILE = 4
"Memory for each byte of the file: some formats are held twice while they are read."
_LEAST_PARCEL = _GIB // 4
_CPU_SECONDS = 30.0
_SECONDS = 120.0
_CPU_SECONDS_PER_GIB = 30.0
_SECONDS_PER_GIB = 60.0
"A file on another machine comes at some 20 MB/s or more."
_GRACE = 5
"Seconds after which a process that was told that its time is over is ended."


@dataclass(frozen=True)
class Limits:
    """What one file is worth."""

    memory: int
    "Bytes beyond those that the process starts with."
    parcel: int
    "Bytes that it may hand over."
    cpu_seconds: float
    seconds: float

    @classmethod
    def for_file(cls, size: int) -> "Limits":
        """Those for a file of so many bytes."""
        return cls(
            memory=max(_LEAST_MEMORY, _TIMES_THE_FILE * size),
            parcel=_LEAST_PARCEL + _TIMES_THE_FILE * size,
            cpu_seconds=_CPU_SECONDS + _CPU_SECONDS_PER_GIB * size / _GIB,
            seconds=_SECONDS + _SECONDS_PER_GIB * size / _GIB,
        )

    def impose(self) -> None:
        """Limit this process for the rest of its life, as far as the system can.

        Windows has none of these limits, macOS none of memory; there the clock is left.
        """
        if sys.platform == "win32":
            return
        import resource
        import signal

        def lower(what: int, value: int, hard_value: int | None = None) -> None:
            _, hard = resource.getrlimit(what)
            at_most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
            soft = min(value, at_most)
            resource.setrlimit(what, (soft, min(hard_value or value, at_most)))

        # Ends it also where whoever started it is gone.
        signal.setitimer(signal.ITIMER_REAL, self.seconds + _GRACE)
        seconds = int(time.process_time() + self.cpu_seconds) + 1
        lower(resource.RLIMIT_CPU, seconds, seconds + _GRACE)
        lower(resource.RLIMIT_CORE, 0)
        lower(resource.RLIMIT_FSIZE, 2 * self.parcel)
        if used := _address_space():
            lower(resource.RLIMIT_AS, used + self.memory)
        if hasattr(resource, "RLIMIT_NPROC"):
            lower(resource.RLIMIT_NPROC, 0)
        lower(resource.RLIMIT_NOFILE, 0)


@contextmanager
def memory_at_most(size: int) -> Iterator[None]:
    """Lets this process take so many bytes more while it is inside, as far as the system can.

    What asks for more gets a `MemoryError`, or a `RuntimeError` of PyTorch that says so.
    """
    used = 0 if sys.platform == "win32" else _address_space()
    if not used:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    lower = min(limit for limit in (used + size, soft) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (lower, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an allocation failed, which PyTorch says in three ways."""
    said = str(error)
    is_told = "can't allocate memory" in said or "std::bad_alloc" in said
    return isinstance(error, MemoryError) or is_told


def _address_space() -> int:
    """Bytes of addresses that this process has; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    import resource

    return pages * resource.getpagesize()
