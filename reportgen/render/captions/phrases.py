"""Pieces of sentences that several captions need."""

from collections.abc import Sequence

from reportgen.render.filters import certainty, number, percent, plural, points
from reportgen.report.records import Image


def amount(value: float, unit: str) -> str:
    """How much: a probability in points, a share in percent, a length in its unit."""
    if unit == "probability":
        return points(value)
    if unit == "share":
        return percent(value)
    return f"{number(value, 3)} px" if unit == "px" else number(value, 3)


def at_most(value: float, unit: str) -> str:
    """`2.1 points at most`, and `less than 0.01 points` as it is."""
    words = amount(value, unit)
    return words if words.startswith("less than") else f"{words} at most"


def part_of(count: int, total: int, noun: str, nouns: str = "") -> str:
    """`3 of 64 channels`, `all 64 channels`, `the one channel`, `none of 64 channels`."""
    if total == 1:
        return f"the one {noun}" if count else f"not the one {noun}"
    several = plural(total, noun, nouns)
    if count == total:
        return f"all {several}"
    return f"{number(count)} of {several}" if count else f"none of {several}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def named_class(image: Image, index: int, label: str) -> str:
    """A class with the probability that the network gives it for an image: `class tabby 55 %`.

    Without it where the class is not among the most probable ones that the report keeps.
    """
    for guess in image.predictions:
        if guess.index == index:
            kind = "output" if guess.probability is None else "class"
            return f"{kind} {label} {certainty(guess)}"
    return f"class {label}"


def capital(text: str) -> str:
    """`text` as the start of a sentence."""
    return text[:1].upper() + text[1:]
