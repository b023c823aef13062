"""Ctrl-C and SIGTERM wait while something is half done, so that it is finished or undone first."""

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Held:
    """A block in which interrupts wait; they come where it lifts them, or at its end.

    An interrupt is an exception between any two steps, in a `finally` too: without this, what was
    just made could be forgotten and what is to be removed could stay. Only the main thread of a
    process is ever interrupted, so that elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, Any] = {}
        self._came: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if handler not in {None, signal.SIG_IGN}:  # None: set by what is not Python
                    self._handlers[number] = handler
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def lifted(self) -> "_Lifted":
        """A block within this one in which interrupts come as ever."""
        return _Lifted(self)

    def hold(self) -> None:
        """Let interrupts wait."""
        for number in self._handlers:
            signal.signal(number, self._note)

    def release(self) -> None:
        """Let interrupts come, first those that waited."""
        try:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        finally:
            for number, handler in self._handlers.items():  # again: one may have come in between
                signal.signal(number, handler)
            came, self._came = self._came, []
            for waited in came:
                signal.raise_signal(waited)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)


class _Lifted:
    def __init__(self, held: Held) -> None:
        self._held = held

    def __enter__(self) -> None:
        try:
            self._held.release()
        except BaseException:  # the interrupt itself: what follows is undoing, which it lets be
            self._held.hold()
            raise

    def __exit__(self, *_: object) -> None:
        self._held.hold()
