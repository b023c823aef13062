"""Runs of reportgen that write beside each other: one at a time, and none into another's folder."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.write.interrupts import Held

try:
    import fcntl
except ImportError:  # Windows has no such locks; two runs to one folder are not kept apart there.
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 30.0
"Seconds to wait for a turn, which takes milliseconds: another run may be stopped in its own."


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Alone among the runs that write in a folder.

    Raises:
        OutputError: if the turn does not come.
    """
    with Held() as held:
        lock = opened(folder)
        try:
            with held.lifted():
                end = time.monotonic() + _PATIENCE
                while is_ours(lock) is False:
                    if time.monotonic() > end:
                        raise OutputError(
                            f"another run of reportgen is writing in {folder} and does not end; "
                            "stop it, or give another folder with -o"
                        )
                    time.sleep(0.01)
                yield
        finally:
            close(lock)


def opened(folder: Path) -> int | None:
    """A folder opened, to be locked; None where there are no locks."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) if fcntl else None


def is_ours(lock: int | None) -> bool | None:
    """Whether a folder is locked for us, until it is close or we end; None if it cannot be."""
    if lock is None:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network disks have no locks
        return None
    return True


def close(lock: int | None) -> None:
    """Close what was only locked, or is on the disk: the descriptor is gone, whatever is said."""
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
