"""Ends what takes longer than `--timeout` allows, and says where it was.

An alarm of the system interrupts Python as Ctrl-C does, so that all is given back and put away. It
is not heard while compiled code runs. A command therefore has a second guard, a thread that ends
the process; it runs as long as that code lets other threads run, as PyTorch's does.
"""

import os
import signal
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from reportgen.errors import OptionError, ResourceError

GRACE = 5.0
"Seconds that a command has to put all away, before the process ends."
WRITING = "Writing"
"The stage from which on there may be a new report."

_STARTS = ("reportgen.pipeline", "reportgen.prune", "reportgen.deadline")
"Whoever called these is not to blame."
_OURS = str(Path(__file__).parent)
_NOT_THE_USERS = tuple(
    {_OURS, "<", *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))}
)


class _TimeIsUp(BaseException):
    """No `Exception`, so that a network that catches errors does not catch this."""


@contextmanager
def deadline(
    seconds: float | None, stage: Callable[[], str], *, ends_process: bool = False
) -> Iterator[None]:
    """Runs the body, for so long at most.

    Args:
        seconds: None for as long as it takes.
        stage: names the step that is being done.
        ends_process: whether the process may be ended where the body cannot be interrupted.

    Raises:
        OptionError: if the time cannot be limited here.
        ResourceError: if the time is up; the body was interrupted.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        raise OptionError("timeout works in the main thread, and not on Windows: leave it out.")
    told: list[str] = []

    def up(number: int, frame: FrameType | None) -> NoReturn:
        told.append(_sentence(seconds, stage(), frame))
        raise _TimeIsUp

    main = threading.get_ident()

    def leave() -> None:
        at = told[0] if told else _sentence(seconds, stage(), sys._current_frames().get(main))
        print(f"reportgen: {at}", file=sys.stderr, flush=True)
        os._exit(ResourceError.exit_code)

    guard = threading.Timer(seconds + GRACE, leave)
    guard.daemon = True
    before = signal.signal(signal.SIGALRM, up)
    if ends_process:
        guard.start()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TimeIsUp as error:
        raise ResourceError(told[0]) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        guard.cancel()


def _sentence(seconds: float, stage: str, frame: FrameType | None) -> str:
    """What the user is told: the step, the line of the network's own code, and what to do."""
    step = f"at the step {stage!r}" if stage else "at the start"
    outcome = (
        "the output is the whole new report or what was there before"
        if stage == WRITING
        else "nothing was written"
    )
    return (
        f"The build was not done after {seconds:g} s (--timeout) and was ended {step}"
        f"{_place(frame)}; {outcome}: allow it more time, or look there for a loop without an end."
    )


def _place(frame: FrameType | None) -> str:
    """The innermost line that is neither ours nor a library's; empty where there is none."""
    while frame is not None:
        if frame.f_globals.get("__name__") in _STARTS:
            break
        code = frame.f_code
        if not code.co_filename.startswith(_NOT_THE_USERS):
            return f", in {code.co_name} ({Path(code.co_filename).name}, line {frame.f_lineno})"
        frame = frame.f_back
    return ""
