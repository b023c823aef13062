"""Ctrl-C and SIGTERM wait while something is half done, so that it is finished or undone first."""

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_handlers: dict[int, Any] = {}
"What was there before us, by signal."
_waiting: list[int] = []
"Signals that came while something held them."
_active: set["Held"] = set()
_holding: set["Held"] = set()
"Of the active ones those that are not lifted. Sets, so that it does not matter who ends first."


class Held:
    """A block in which interrupts wait; they come where it lifts them, or at its end.

    An interrupt is an exception between any two steps, in a `finally` too: without this, what was
    just made could be forgotten, and what is to be removed could stay. Only the main thread of a
    process is ever interrupted, so that elsewhere this does nothing.
    """

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            try:
                _active.add(self)
                _holding.add(self)
                _listen()
                return self
            except BaseException:  # an interrupt of this very moment
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self in _active:
            try:
                _active.discard(self)
                _holding.discard(self)
                _deliver()
            finally:
                if not _active:
                    _listen_no_more()

    def lifted(self) -> "_Lifted":
        """A block within this one in which interrupts come as ever."""
        return _Lifted(self)


class _Lifted:
    def __init__(self, held: Held) -> None:
        self._held = held

    def __enter__(self) -> None:
        try:
            _holding.discard(self._held)
            _deliver()
        except BaseException:  # the interrupt: what follows is undoing, in which none comes
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._held in _active:
            _holding.add(self._held)


def _listen() -> None:
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if handler not in {None, signal.SIG_IGN, _came}:  # None: set by what is not Python
            _handlers[number] = handler
            signal.signal(number, _came)


def _listen_no_more() -> None:
    for number, handler in _handlers.items():
        if signal.getsignal(number) is _came:
            signal.signal(number, handler)


def _came(number: int, frame: FrameType | None) -> None:
    if _holding:
        _waiting.append(number)
    else:
        _forward(number, frame)


def _deliver() -> None:
    while _waiting and not _holding:
        _forward(_waiting.pop(0), None)


def _forward(number: int, frame: FrameType | None) -> None:
    """Do what would have been done without us, which usually raises."""
    handler = _handlers[number]
    if callable(handler):
        handler(number, frame)
    else:  # the system's own way: it ends the process
        signal.signal(number, handler)
        signal.raise_signal(number)
