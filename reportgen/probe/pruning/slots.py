"""Channels that can only go together: one slot for each, joined where channels meet."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Slots: TypeAlias = NDArray[np.int64]
"One slot for each channel of a tensor, in order."


class Forest:
    """Slots in sets that only ever grow together; a set may be frozen for a reason."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._reason: dict[int, str] = {}

    def new(self, count: int) -> Slots:
        """Slots that stand alone, (count,)."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, slot: int) -> int:
        """The slot that stands for all of its set."""
        while self._parent[slot] != slot:
            self._parent[slot] = self._parent[self._parent[slot]]
            slot = self._parent[slot]
        return slot

    def roots(self, slots: Slots) -> Slots:
        """The root of each slot."""
        return np.array([self.root(slot) for slot in slots.tolist()], dtype=np.int64)

    def join(self, ones: Slots, others: Slots) -> None:
        """Joins the sets of slots pairwise; what froze one freezes both."""
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            first, second = sorted((self.root(one), self.root(other)))
            if first != second:
                self._parent[second] = first
                if reason := self._reason.pop(second, ""):
                    self._reason.setdefault(first, reason)

    def freeze(self, slots: Iterable[int], reason: str) -> None:
        """Says why the sets of some slots have to stay; the first reason counts."""
        for slot in slots:
            self._reason.setdefault(self.root(slot), reason)

    def reason(self, slot: int) -> str:
        """Why the set of a slot has to stay; empty where nothing is against it."""
        return self._reason.get(self.root(slot), "")


@dataclass(frozen=True, eq=False)
class Track:
    """What is known of the channels of a tensor."""

    axis: int
    "Of the tensor, the batch counted: 1 for maps, the last for tokens."
    slots: Slots
