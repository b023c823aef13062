"""Maps made of gradients: in which part of the image most of their strength lies."""

from collections.abc import Sequence

from reportgen.render.captions.phrases import listed
from reportgen.render.filters import number, percent
from reportgen.report.records import Image

EVEN = 1 / 9

TITLES = {
    "gradient": "Gradient",
    "smoothgrad": "SmoothGrad",
    "integrated_gradients": "Integrated gradients",
    "guided_backprop": "Guided backpropagation",
}


def caption(maps: Sequence[str], places: Sequence[str], shares: Sequence[float]) -> str:
    """In which ninth of the image each map is strongest; empty where the report does not know.

    Args:
        maps: names of the maps, keys of `TITLES`.
        places: of the ninth that holds most of each.
        shares: of its strength that lies there.
    """
    if not any(places):
        return ""
    found: dict[str, list[str]] = {}
    for name, place, share in zip(maps, places, shares, strict=True):
        if place:
            found.setdefault(place, []).append(f"{TITLES.get(name, name)} ({percent(share)})")
    if len(found) == 1:
        place = next(iter(found))
        return f"Strongest at the {place}: {listed(found[place])}. {_scale()}"
    words = [f"{listed(names)} at the {place}" for place, names in found.items()]
    return f"Strongest parts: {'; '.join(words)}. {_scale()}"


def _scale() -> str:
    return f"A map of even strength has {percent(EVEN)} in each of nine parts."


def alt(image: Image, named: str, title: str, ends: tuple[float, float], words: str) -> str:
    """`SmoothGrad for chelsea.png, class tabby 55 %, 0 to 0.06; 31 % of it at the upper left`.

    Args:
        image: that it is of.
        named: the class, as `phrases.named_class` has it.
        title: of the method.
        ends: lowest and highest value.
        words: what `note` says, or nothing.
    """
    text = f"{title} for {image.path}, {named}, {number(ends[0], 3)} to {number(ends[1], 3)}"
    return f"{text}; {words}" if words else text


def note(places: Sequence[str], shares: Sequence[float], at: int) -> str:
    """`31 % of it at the upper left`; empty where the report does not know."""
    return f"{percent(shares[at])} of it at the {places[at]}" if places and places[at] else ""
