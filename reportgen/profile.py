"""Where a build's time went: seconds of every stage, on the wall and on the processors."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

try:
    import resource
except ImportError:  # Windows does not tell.
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Times:
    """Seconds of one stage, or two readings subtracted."""

    wall: float = 0.0
    processor: float = 0.0
    "Of all threads, and of worker processes once they have ended."

    def __add__(self, other: "Times") -> "Times":
        return Times(self.wall + other.wall, self.processor + other.processor)

    def __sub__(self, other: "Times") -> "Times":
        return Times(self.wall - other.wall, self.processor - other.processor)


def now() -> Times:
    """What the clocks say."""
    spent = os.times()
    workers = spent.children_user + spent.children_system
    return Times(time.perf_counter(), time.process_time() + workers)


class Profile:
    """Adds up the time between one `enter` and the next under the name of the stage."""

    def __init__(self, first: str) -> None:
        self.stages: dict[str, Times] = {}
        self._stage = first
        self._since = now()

    def enter(self, stage: str) -> None:
        """Ends the stage before and begins another, or goes on with one that was left."""
        reading = now()
        self.stages[self._stage] = self.stages.get(self._stage, Times()) + reading - self._since
        self._stage, self._since = stage, reading

    def lines(self) -> Iterator[str]:
        """A table, a line for each stage in the order in which they began, and their sum."""
        self.enter(self._stage)
        total = sum(self.stages.values(), Times())
        width = max(len(name) for name in self.stages)
        yield f"{'Where the time went':{width}}  {'wall':>9}  {'processor':>9}  share"
        for name, spent in (*self.stages.items(), ("Sum", total)):
            share = spent.wall / total.wall if total.wall else 0.0
            yield f"{name:{width}}  {spent.wall:7.2f} s  {spent.processor:7.2f} s  {share:5.1%}"
        peak = peak_memory()
        if peak is not None:
            yield f"Peak memory {peak / 1e6:,.0f} MB"


def peak_memory() -> int | None:
    """The most memory that this process, or a worker of it, has held, in bytes; None if unknown."""
    if resource is None:
        return None
    held = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    # macOS counts in bytes, all others in KiB.
    return held if sys.platform == "darwin" else 1024 * held
