"""Which lines each test reaches, in this process and in those that it forks, and how long it takes.

Lines are known by their text: they keep it where lines above them come and go.
"""

import json
import mmap
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

Line: TypeAlias = tuple[str, str]
"Name of a module, and the text of a line in it."
Run: TypeAlias = Callable[[pytest.Item], bool]


@dataclass
class Reach:
    """What was found, kept in a file from one run to the next."""

    file: Path
    seconds: dict[str, float] = field(default_factory=dict)
    "How long each test takes that passes; -1 of one that does not."
    tests: dict[Line, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def kept(cls, file: Path) -> "Reach":
        """What an earlier run has left in a file."""
        reach = cls(file)
        if file.exists():
            for test, seconds, lines in json.loads(file.read_text("utf-8")):
                reach._take(test, seconds, [(name, text) for name, text in lines])
        return reach

    def measure(self, items: Sequence[pytest.Item], modules: dict[str, Path], run: Run) -> None:
        """Run tests that are not known yet, and keep what they reach; in a process that ends."""
        seen = _Seen(modules)
        found = []
        for item in items:
            start = time.monotonic()
            lines, passed = seen.during(item, run)
            seconds = time.monotonic() - start if passed else -1.0
            found.append((item.nodeid, seconds, lines))
        known = json.loads(self.file.read_text("utf-8")) if self.file.exists() else []
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(known + found), encoding="utf-8")

    def forget_all_but(self, tests: Container[str]) -> None:
        """Leave tests out that are no longer there."""
        for several in self.tests.values():
            several.difference_update([test for test in several if test not in tests])

    def cheapest(self, lines: Iterable[Line], most: float, near: str) -> list[str]:
        """The tests that reach any of these lines, quickest first, as far as the seconds go.

        Those of a file with a certain word in its name count as if they were quicker.
        """
        chosen, sum_of_seconds = [], 0.0
        reaching = set().union(*(self.tests.get(line, ()) for line in lines))
        for test in sorted(reaching, key=lambda t: (self.seconds[t] * (1 - 0.8 * (near in t)), t)):
            if sum_of_seconds > most:
                break
            if self.seconds[test] >= 0:
                sum_of_seconds += self.seconds[test]
                chosen.append(test)
        return chosen

    def _take(self, test: str, seconds: float, lines: Iterable[Line]) -> None:
        self.seconds[test] = seconds
        for line in lines:
            self.tests[line].add(test)


class _Seen:
    """Marks lines in memory that forked processes share."""

    def __init__(self, modules: dict[str, Path]) -> None:
        self._lines: list[Line] = []
        self._first: dict[str, int] = {}
        for name, path in modules.items():
            self._first[str(path)] = len(self._lines) - 1
            self._lines += [(name, text.strip()) for text in path.read_text("utf-8").splitlines()]
        self._marks = mmap.mmap(-1, len(self._lines))

    def during(self, item: pytest.Item, run: Run) -> tuple[list[Line], bool]:
        """What one test reaches, and whether it passes."""
        self._marks[:] = bytes(len(self._marks))
        threading.settrace(self._called)
        sys.settrace(self._called)
        try:
            passed = run(item)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
        reached = {line for line, mark in zip(self._lines, self._marks[:], strict=True) if mark}
        return sorted(reached), passed

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._first else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._marks[self._first[frame.f_code.co_filename] + frame.f_lineno] = 1
        return self._line
