"""Where the time of some work goes, among PyTorch's operations and outside of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.table import seconds

KINDS = {
    "convolving": ("conv",),
    "multiplying": ("mm", "linear"),
    "pooling": ("pool",),
    "copying": ("copy", "clone", "cat", "pad", "slice", "index", "to", "fill", "zero", "empty"),
}
"By name: words that the name of an operation holds. Everything else is summed up."


@dataclass(frozen=True)
class Shares:
    """Seconds by what they were spent on."""

    spent: Counter[str]

    @property
    def convolving(self) -> float:
        """Seconds in convolutions."""
        return self.spent["convolving"]

    def __str__(self) -> str:
        whole = self.spent.total()
        return ", ".join(f"{kind} {taken / whole:.0%}" for kind, taken in self.spent.most_common())


def shares_of(work: Callable[[], Any]) -> Shares:
    """Runs something once and notes what its operations took, those inside of others apart.

    Of work that is shared out over threads of its own, the seconds of all of them are added up.
    """
    everywhere = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    with profile(activities=[ProfilerActivity.CPU], experimental_config=everywhere) as profiled:
        whole = seconds(work)
    spent: Counter[str] = Counter()
    for operation in profiled.key_averages():
        spent[_kind(operation.key)] += operation.self_cpu_time_total / 1e6
    spent["outside of PyTorch"] = max(0.0, whole - spent.total())
    return Shares(spent)


def _kind(name: str) -> str:
    bare = name.removeprefix("aten::")
    words = ((kind, word) for kind, some in KINDS.items() for word in some)
    return next((kind for kind, word in words if word in bare), "other operations")
