"""Maps made of gradients: in which part of the image most of their strength lies."""

from collections.abc import Sequence

from reportgen.render.captions.phrases import listed
from reportgen.render.filters import number, percent
from reportgen.report.records import Image

EVEN = 1 / 9
"Share of the strength in each ninth of the image where it is spread evenly."
CLEAR = 1.5
"Times that share from which on a place stands out."

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
    spread = []
    for name, place, share in zip(maps, places, shares, strict=True):
        named = f"{TITLES.get(name, name)} ({percent(share)})"
        if place and share >= CLEAR * EVEN:
            found.setdefault(place, []).append(named)
        elif place:
            spread.append(named)
    parts = [f"the {place} for {listed(names)}" for place, names in found.items()]
    text = f"The strongest of nine parts is {listed(parts)}. " if parts else ""
    if spread:
        verb = "has its" if len(spread) == 1 else "have their"
        text += f"{listed(spread)} {verb} strength spread out. "
    return f"{text}Evenly spread, each part would hold {percent(EVEN)}."


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
    if not places or not places[at]:
        return ""
    if shares[at] < CLEAR * EVEN:
        return f"spread out, no ninth of the image has more than {percent(shares[at])} of it"
    return f"{percent(shares[at])} of it at the {places[at]}"
