"""Parameters as small multiples: which of them is spread widest, and which hold zeros."""

import math
from collections.abc import Sequence

from reportgen.render.captions.phrases import capital, part_of
from reportgen.render.filters import number, percent, plural
from reportgen.report.records import Parameter


def caption(parameters: Sequence[Parameter]) -> str:
    """The widest and the narrowest of some parameters, those with zeros, those with NaN."""
    known = [made for made in parameters if math.isfinite(made.std)]
    if not known:
        return "Nothing to see: no parameter here holds a finite value."
    wide, narrow = (pick(known, key=lambda made: made.std) for pick in (max, min))
    if len(known) == 1 or wide.std == narrow.std:
        spread = f"a standard deviation of {number(wide.std, 3)}"
        text = f"{plural(len(known), 'tensor')} with {spread}."
    else:
        text = f"Of {plural(len(known), 'tensor')}, {wide.name} is spread widest, standard "
        text += (
            f"deviation {number(wide.std, 3)}, and {narrow.name} least, {number(narrow.std, 3)}."
        )
    return text + _zeros(known) + _broken(parameters)


def _zeros(known: Sequence[Parameter]) -> str:
    held = [made for made in known if made.zero_fraction > 0]
    if not held:
        return ""
    most = max(held, key=lambda made: made.zero_fraction)
    verb = "holds" if len(held) == 1 else "hold"
    which = f"most of all {most.name}, {percent(most.zero_fraction)}"
    if len(held) == 1:
        which = f"{most.name}, {percent(most.zero_fraction)}"
    return f" {capital(part_of(len(held), len(known), 'tensor'))} {verb} exact zeros: {which}."


def _broken(parameters: Sequence[Parameter]) -> str:
    broken = [made for made in parameters if made.nonfinite]
    if not broken:
        return ""
    verb = "holds" if len(broken) == 1 else "hold"
    return f" {plural(len(broken), 'tensor')} {verb} values that are not finite."
