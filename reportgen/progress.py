"""Progress on standard error: stage, n of N and time left; plain lines without a terminal."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from reportgen.profile import Profile


class Progress:
    """Shows one stage at a time.

    Call `stage(name, total)`, then `reached(done, total)` as the work goes on; a new stage ends
    the last.
    """

    def __init__(self, *, quiet: bool = False, profile: Profile | None = None) -> None:
        self._quiet = quiet
        self._profile = profile
        self._bars: Bars | None = None
        self.at = ""
        "The stage that is being done; empty before the first."
        if sys.stderr.isatty() and not quiet:
            self._bars = Bars(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of `total` steps, or of unknown length."""
        self.at = name
        self.part(name)
        if self._bars is not None:
            for task in self._bars.task_ids:
                self._bars.remove_task(task)
            self._bars.add_task(name, total=total)
        elif not self._quiet:
            steps = f" ({total:,})" if total else ""
            print(f"{name}{steps}", file=sys.stderr, flush=True)

    def part(self, name: str) -> None:
        """Count the time from here on under this name in the profile; nothing is shown."""
        if self._profile is not None:
            self._profile.enter(name)

    def reached(self, done: int, total: int) -> None:
        """Say that `done` of `total` steps of this stage are done."""
        if self._bars is not None and self._bars.task_ids:
            self._bars.update(self._bars.task_ids[-1], completed=done, total=total)
