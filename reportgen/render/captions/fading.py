"""Curves of a score while pixels are taken away or put back in the order of a map."""

from collections.abc import Mapping, Sequence

from reportgen.render.filters import percent
from reportgen.report.arrays import Array

HALF = 0.5


def of(arrays: Mapping[str, Array], at: int) -> str:
    """The caption of the method `at` of a section's arrays, (methods steps+1) each."""
    deletion, insertion = (
        (arrays[name][at].tolist(), arrays[f"random_{name}"][at].tolist())
        for name in ("deletion", "insertion")
    )
    return caption(deletion, insertion)


def caption(
    deletion: tuple[Sequence[float], Sequence[float]],
    insertion: tuple[Sequence[float], Sequence[float]],
) -> str:
    """After how many pixels the score is halved, or half of it is back; random maps beside it.

    Args:
        deletion: the score before the first step and after each, of the map and of random maps.
        insertion: the same while pixels come back.
    """
    taken = [_falls_to_half(values) for values in deletion]
    back = [_rises_to_half(values) for values in insertion]
    parts = (
        f"The probability is halved {_after(taken[0], 'taken away')} (random: {_bare(taken[1])})",
        f"half of it is back {_after(back[0], 'put back')} (random: {_bare(back[1])}).",
    )
    return "; ".join(parts)


def _falls_to_half(values: Sequence[float]) -> float | None:
    """Share of the steps after which the score is at half of its start or below."""
    below = (at for at, value in enumerate(values) if value <= HALF * values[0])
    found = next(below, None)
    return None if found is None else found / (len(values) - 1)


def _rises_to_half(values: Sequence[float]) -> float | None:
    """Share of the steps after which the score is at half of its end or above."""
    above = (at for at, value in enumerate(values) if value >= HALF * values[-1])
    found = next(above, None)
    return None if found is None else found / (len(values) - 1)


def _after(share: float | None, done: str) -> str:
    return "never" if share is None else f"with {percent(share)} of the pixels {done}"


def _bare(share: float | None) -> str:
    return "never" if share is None else percent(share)
