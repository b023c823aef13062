"""The rows of a benchmark, how two things are timed against each other, and the Markdown of both.

A topic is a module with `rows(quick)`, which yields rows as it measures them, and text for what a
row cannot say. Alone: `python -m benchmarks.whole`, with `--quick` for a trial and `--cpu` on a
machine where others work.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from reportgen.profile import now

VERSIONS_SHOWN = ("torch", "torchvision", "numpy", "numba", "matplotlib", "captum", "torchcam")

HEADER = (
    "| what | ours | against | ratio | range | rounds | bar | met |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Ratio:
    """How one thing compares with another, over rounds in which they took turns."""

    median: float
    low: float
    high: float
    rounds: int
    ours: float
    "Median of what ours took, in seconds unless the row says otherwise."
    theirs: float

    @property
    def faster(self) -> "Ratio":
        """The same, as how many times less ours takes."""
        return replace(self, median=1 / self.median, low=1 / self.high, high=1 / self.low)

    def scaled(self, ours: float = 1, theirs: float = 1) -> "Ratio":
        """The same for so many times as much work on one side, which a row then must say."""
        times = ours / theirs
        return Ratio(
            median=self.median * times,
            low=self.low * times,
            high=self.high * times,
            rounds=self.rounds,
            ours=self.ours * ours,
            theirs=self.theirs * theirs,
        )


@dataclass(frozen=True)
class Row:
    """One line of a table: what ours takes, what it is compared with, and what it must reach."""

    what: str
    ours: str
    "What ours is and takes, as `exact, 30.6 ms a position`."
    against: str
    "The same of what it is compared with."
    ratio: Ratio
    at_most: float | None = None
    "The bar of a cost."
    at_least: float | None = None
    "The bar of a gain."

    @property
    def met(self) -> bool | None:
        """Whether the bar is met by the median; None without a bar."""
        if self.at_most is not None:
            return self.ratio.median <= self.at_most
        return None if self.at_least is None else self.ratio.median >= self.at_least

    def markdown(self) -> str:
        """One line of the table under `HEADER`."""
        bar = ""
        if self.at_most is not None:
            bar = f"<= {self.at_most:g}"
        elif self.at_least is not None:
            bar = f">= {self.at_least:g}"
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        found = self.ratio
        span = f"{found.low:.3g}-{found.high:.3g}" if found.rounds > 1 else ""
        cells = (self.what, self.ours, self.against, f"**{found.median:.3g}**", span)
        return "| " + " | ".join((*cells, str(found.rounds), bar, met)) + " |"


Rows: TypeAlias = Callable[[bool], Iterator[Row | str]]


def clock() -> float:
    """Seconds: on the wall, or of processor time under `--cpu`, workers that ended included."""
    read = now()
    return read.processor if _is_cpu_time() else read.wall


def seconds(work: Callable[[], Any]) -> float:
    """What one call takes."""
    start = clock()
    work()
    return clock() - start


def compared(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 5) -> Ratio:
    """The cost of ours in units of theirs: both run once to warm up, then in turns.

    Which of them goes first changes from round to round, so that neither always finds the machine
    as the other leaves it.
    """
    ours()
    theirs()
    pairs = []
    for number in range(rounds):
        if number % 2:
            second, first = seconds(theirs), seconds(ours)
        else:
            first, second = seconds(ours), seconds(theirs)
        pairs.append((first, second))
    return ratio_of(pairs)


def ratio_of(pairs: list[tuple[float, float]]) -> Ratio:
    """The ratio of what was measured in each round, (ours, theirs)."""
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    return Ratio(
        median=statistics.median(ratios),
        low=ratios[0],
        high=ratios[-1],
        rounds=len(pairs),
        ours=statistics.median(ours for ours, _ in pairs),
        theirs=statistics.median(theirs for _, theirs in pairs),
    )


def run(rows: Rows) -> None:
    """Prints a topic as Markdown: each row once it is measured, then what else there is to say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer networks and rounds")
    parser.add_argument("--cpu", action="store_true", help="one thread, processor time")
    given = parser.parse_args()
    if given.cpu:
        # Also for the processes that a benchmark starts.
        os.environ.update(BENCH_CPU="1", OMP_NUM_THREADS="1")
    if given.quick:
        os.environ["BENCH_QUICK"] = "1"
    before = os.getloadavg()[0]
    # Imported after the number of threads is known, which torch reads once.
    import torch

    if given.cpu:
        torch.set_num_threads(1)
    print(HEADER, flush=True)
    said = []
    try:
        for row in rows(given.quick):
            if isinstance(row, str):
                said.append(row)
            else:
                print(row.markdown(), flush=True)
    finally:
        said.append(f"_{_circumstances(torch.get_num_threads(), before)}_")
        for text in said:
            print(f"\n{text}", flush=True)


def machine() -> str:
    """The processor, the memory, the system and the versions, in one paragraph."""
    found = []
    for name in VERSIONS_SHOWN:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{_processor()}, {cores} cores, {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {', '.join(found)}."
    )


def _circumstances(threads: int, before: float) -> str:
    kind = "processor time" if _is_cpu_time() else "wall time"
    trial = "; a quick trial" if "BENCH_QUICK" in os.environ else ""
    return (
        f"{kind}, torch with {threads} thread{'s' * (threads > 1)}; "
        f"load {before:.2f} before and {os.getloadavg()[0]:.2f} after{trial}"
    )


def _is_cpu_time() -> bool:
    return "BENCH_CPU" in os.environ


def _processor() -> str:
    """Its name and family as Linux tells them: virtual machines often hide the model's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    wide = [
        name
        for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
        if name in facts.get("flags", "").split()
    ]
    return (
        f"{facts.get('model name', platform.machine())} (family {facts.get('cpu family', '?')} "
        f"model {facts.get('model', '?')}; {', '.join(wide) or 'no wide vectors'})"
    )
