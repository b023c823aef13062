"""The work on single images and pictures, shared out among the processes of a run."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from reportgen import errors
from reportgen.analyses.study import Study
from reportgen.errors import ReportgenError
from reportgen.probe.passing import Rows, Team
from reportgen.report.arrays import Array

_PROBLEM = "problem"
_NUMBER = "number"


def in_shares(
    team: Team | None, pieces: Sequence[int], work: Callable[[int], Rows]
) -> Iterator[Rows]:
    """What the work gives for each piece of it, in their order, whichever process did it.

    All processes must come here. Only the first gets anything: the others have handed it over.

    Args:
        team: the processes; None for this one alone.
        pieces: such as indices of images, the same on every process.
        work: gives plain arrays for a piece.

    Raises:
        ReportgenError: what the work raised for the first piece for which it did.
    """
    if team is None:
        yield from map(work, pieces)
        return
    found: dict[str, Array] = {}
    for piece in shared(team, pieces):
        try:
            rows = work(piece)
        except ReportgenError as problem:
            # Told to the first process, which would wait for ever, and raised there.
            rows = {_PROBLEM: _text(f"{type(problem).__name__} {problem}")}
        found |= {f"{piece} {name}": row for name, row in rows.items()}
    for others in team.gathered(found if team.rank else None):
        found |= others
    for piece in pieces if team.rank == 0 else ():
        start = f"{piece} "
        rows = {name[len(start) :]: row for name, row in found.items() if name.startswith(start)}
        if _PROBLEM in rows:
            kind, _, sentence = rows[_PROBLEM].tobytes().decode().partition(" ")
            # A kind of its own, such as that of a damaged image, is told as what it is one of.
            raise getattr(errors, kind, errors.ImageError)(sentence)
        yield rows


def shared(team: Team | None, pieces: Sequence[int]) -> Sequence[int]:
    """The pieces of work that this process does."""
    return pieces[team.rank :: team.size] if team else pieces


def least(team: Team | None, number: int) -> int:
    """The smallest number that any of the processes has. All must come here."""
    if team is None:
        return number
    own = {_NUMBER: np.array([number])}
    others = [int(rows[_NUMBER][0]) for rows in team.gathered(own if team.rank else None)]
    found = {_NUMBER: np.array([min(number, *others)])} if team.rank == 0 else None
    return int(team.told(found)[_NUMBER][0])


def helping(results: Callable[[Study], Iterator[object]]) -> Callable[[Study], None]:
    """What all processes but the first do where a section's results come from `in_shares`."""

    def help_with(study: Study) -> None:
        for _ in results(study):
            raise AssertionError("only the first process is given results")

    return help_with


def _text(words: str) -> Array:
    return np.frombuffer(words.encode(), np.uint8)
