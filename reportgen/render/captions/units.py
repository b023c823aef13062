"""Units one by one: the patches on which each is strongest, and pictures painted for it."""

from collections.abc import Sequence

from reportgen.render.filters import number, plural


def patches(values: Sequence[float], path: str, place: str) -> str:
    """Where a unit is strongest, and how much less on the last of its patches.

    Args:
        values: in falling order, one a patch.
        path: of the image of the first.
        place: of the first in its image; empty if not known.
    """
    if not values:
        return "No image excites it, so there is no patch."
    where = f"{path}, {place}" if place else path
    text = f"Strongest on {where}: {number(values[0], 3)}"
    if len(values) == 1:
        return f"{text}, and on no other image."
    last = f"the last of {len(values)} patches has {number(values[-1], 3)}"
    return f"{text}; {last}."


def painted(reached: float, best: float | None, images: int) -> str:
    """What a painted picture reaches, beside the best image."""
    text = f"reaches {number(reached, 3)}"
    if best is None:
        return text
    if reached > 0 and best > 0:
        times = f"{number(reached / best, 2)} times the best of {plural(images, 'image')}"
        return f"{text}, {times} ({number(best, 3)})"
    return f"{text}; the best of {plural(images, 'image')} reaches {number(best, 3)}"
