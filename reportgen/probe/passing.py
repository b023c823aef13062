"""One pass over many images: in batches, in shares of several processes, from where a run ended."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch

from reportgen.errors import ImageError, OptionError
from reportgen.probe.collector import Collector
from reportgen.probe.generators import generator_states, set_generators
from reportgen.probe.plain import packed, unpacked
from reportgen.probe.seen import Seen
from reportgen.report.arrays import Array

if TYPE_CHECKING:
    from reportgen.probe.probe import Probe

Rows: TypeAlias = Mapping[str, Array]
"Plain arrays, as `packed` makes them."

Batches: TypeAlias = Callable[..., Iterable[torch.Tensor]]
"""`batches(size)` gives all images in order, normalised, (b c h w), in batches of this size;
`batches(size, start, stop)` those from `start` to before `stop`."""


class Keeper(Protocol):
    """Keeps the state of a pass where a later run finds it."""

    def taken_up(self) -> Rows | None:
        """What a run before this one kept; None to begin at the first image."""

    def is_due(self) -> bool:
        """Whether it is time to keep the state."""

    def is_used(self) -> bool:
        """Whether a state was kept or taken up."""

    def keep(self, rows: Rows) -> None:
        """Keeps a state in place of the one before."""


class Team(Protocol):
    """The processes of a run, of which this is one."""

    rank: int
    size: int

    def gathered(self, rows: Rows | None) -> Iterator[Rows]:
        """On the first process what all others give, in their order; they get nothing."""

    def told(self, rows: Rows | None) -> Rows:
        """What the first process gives."""


def first_of(batches: Batches) -> torch.Tensor:
    """The first image, as a batch of one.

    Raises:
        ImageError: if there is none.
    """
    first = next(iter(batches(1)), None)
    if first is None:
        raise ImageError("There is no image to run the network on.")
    return first


def share(images: int, batch_size: int, rank: int, size: int) -> range:
    """The images of one of `size` processes: a block of whole batches.

    So each batch is the one that a single process would have, and gives the same bits.
    """
    batches = -(-images // batch_size)
    first, last = (batches * end // size * batch_size for end in (rank, rank + 1))
    return range(min(first, images), min(last, images))


def passed(
    probe: "Probe",
    batches: Batches,
    images: int,
    empty: Callable[[int], Seen],
    watched: Callable[[Seen, torch.Tensor, int], Collector],
    progress: Callable[[int, int], None] | None,
    keeper: Keeper | None,
    team: Team | None,
) -> Seen:
    """Runs the network over all images; with a team, over this process's share of them.

    The state is kept after whole batches only, and with it the size of the parts that fitted the
    memory and where the generators of random numbers stand: what is done after a resume is then
    bit for bit what would have been done without.

    Args:
        probe: of the network, which is borrowed.
        batches: gives the images.
        images: how many there are in all.
        empty: makes what has seen nothing, with room for so many answers.
        watched: runs some images, the first of which has this index.
        progress: told of the images done.
        keeper: of the state.
        team: that shares the work.

    Returns:
        What was seen of all images, on every process.

    Raises:
        OptionError: if what the keeper has cannot be taken up.
    """
    size = probe.batch_size
    mine = share(images, size, team.rank, team.size) if team else range(images)
    seen = empty(images if not team or team.rank == 0 else len(mine))
    if keeper and (rows := keeper.taken_up()) is not None:
        _take_up(probe, seen, rows)
    first = mine.start + seen.done
    whole = (first, mine.stop) == (0, images)
    for batch in batches(size) if whole else batches(size, first, mine.stop):
        # Of parts, only those that are done: one that ran out of memory half-way is run again.
        for found in probe.in_parts(
            batch, lambda part, offset: watched(seen, part, offset), mine.start + seen.done
        ):
            seen.add(found)
            if progress:
                progress(seen.done, len(mine))
        if keeper and seen.done < len(mine) and keeper.is_due():
            keeper.keep(_state(probe, seen))
    if keeper and keeper.is_used():
        # A kill in what comes after the pass costs nothing of it.
        keeper.keep(_state(probe, seen))
    return _merged(seen, empty, images, size, team) if team else seen


def _state(probe: "Probe", seen: Seen) -> Rows:
    def values() -> Iterator[Array]:
        yield np.array([probe.batch_size])
        yield from generator_states(probe.device)
        yield from seen.values()

    return packed(values())


def _take_up(probe: "Probe", seen: Seen, rows: Rows) -> None:
    try:
        arrays = unpacked(rows)
        probe.batch_size = int(next(arrays)[0])
        set_generators(probe.device, arrays)
        seen.take(arrays)
    except (ValueError, LookupError, RuntimeError, StopIteration) as error:
        raise OptionError(
            "--resume: what was kept of the run before does not fit this one; build without it."
        ) from error


def _merged(seen: Seen, empty: Callable[[int], Seen], images: int, size: int, team: Team) -> Seen:
    """What all processes saw, merged in their order by the first and told to all."""
    if team.rank == 0:
        for rank, rows in enumerate(team.gathered(None), 1):
            later = empty(len(share(images, size, rank, team.size)))
            later.take(unpacked(rows))
            seen.merge(later)
        team.told(packed(seen.values()))
        return seen
    list(team.gathered(packed(seen.values())))
    whole = empty(images)
    whole.take(unpacked(team.told(None)))
    return whole
