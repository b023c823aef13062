"""Worker processes that draw figures for print while the network runs, or pages are made.

A worker is a fresh Python (a process that torch has given threads may not be forked) that reads
figures from its standard input and writes their files to its standard output. It ends when its
input does, so none outlives us, however we end.
"""

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import IO, Self

from reportgen.figures.files import Drawn, Print

MOST_WORKERS = 3
"Each takes about 150 MB, and a report has tens of figures, not thousands."
_PATIENCE = 60.0
"""Seconds that a worker has for a figure that is waited for, which takes it about one: a build does
not hang when a worker does."""
_CALMER = 5
"How much a worker stands back for the network."
_START = (
    # Ctrl-C reaches every process of a terminal. It is ours to handle: we close the input.
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from reportgen.figures.press import serve; serve()"
)


class Press:
    """Draws figures in processes of their own; what they have not begun is drawn where it is asked.

    So a report is the same with any number of workers, with one that dies, and with none.
    """

    def __init__(self, workers: int | None = None) -> None:
        """A press of so many workers; None for one less than there are cores, and at most three."""
        count = min(_cores() - 1, MOST_WORKERS) if workers is None else workers
        self._threads = ThreadPoolExecutor(count, "press") if count > 0 and sys.executable else None
        self._orders: dict[str, Future[Drawn]] = {}
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        "By the thread that speaks with it."
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the workers, whatever they are at."""
        with self._lock:
            self._is_closed = True
            for worker in self._workers.values():
                worker.kill()
        if self._threads:
            self._threads.shutdown(cancel_futures=True)
        for worker in self._workers.values():
            with suppress(OSError), worker:  # closes its pipes, which may be broken
                pass

    def order(self, prints: Iterable[Print]) -> None:
        """Have figures drawn; returns at once."""
        if self._threads:
            for item in prints:
                self._orders[item.stem] = self._threads.submit(self._drawn_by_worker, item)

    def drawn(self, item: Print) -> Drawn:
        """The files of a figure: those that were ordered under its name, or drawn now."""
        order = self._orders.pop(item.stem, None)
        if order is None or order.cancel():
            return item.drawn()
        try:
            return order.result(_PATIENCE)
        except (_LostError, TimeoutError):
            return item.drawn()

    def _drawn_by_worker(self, item: Print) -> Drawn:
        """Send a figure to the worker of this thread, and wait for its files."""
        try:
            worker = self._worker()
            assert worker.stdin is not None and worker.stdout is not None
            pickle.dump(item, worker.stdin)
            worker.stdin.flush()
            files: Drawn = pickle.load(worker.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            # It could not be started, was killed, or failed: drawing here shows why, if it fails.
            raise _LostError from error
        return files

    def _worker(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise _LostError
            key = threading.get_ident()
            if key not in self._workers:
                path = json.dumps([str(place) for place in sys.path])
                self._workers[key] = subprocess.Popen(
                    (sys.executable, "-c", _START, path),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # Ctrl-C at a terminal reaches a whole group, from the worker's first moment.
                    process_group=0,
                )
            return self._workers[key]


class _LostError(Exception):
    """There is no worker to draw this figure, or no longer."""


def serve() -> None:
    """Be a worker: draw what comes in until nothing more does."""
    inward, outward = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print would stand between the figures
    if hasattr(os, "nice"):
        os.nice(_CALMER)
    try:
        while True:
            _answer(inward, outward)
    except (EOFError, BrokenPipeError):
        os._exit(0)  # whoever ordered is gone; nothing is left to flush to


def _answer(inward: IO[bytes], outward: IO[bytes]) -> None:
    item: Print = pickle.load(inward)
    pickle.dump(item.drawn(), outward)
    outward.flush()


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
