"""One quantity over the layers, and mean maps side by side: how they change with depth."""

import math
from collections.abc import Sequence
from itertools import pairwise

from reportgen.render.captions.phrases import amount, listed
from reportgen.render.filters import number, plural
from reportgen.report.blocks import Curve, MapStrip

STEP = 0.5
"Share of the whole range from which on one step between neighbours is worth a word."
ALONE = 1.5
"Times the next largest step that it has to be: of a comb, no tooth stands out."
FEWEST = 4
"Values below which every step is large."


def curve(block: Curve, names: Sequence[str]) -> str:
    """Where it begins and ends, where it is highest and lowest, and its largest step.

    Args:
        block: the curve.
        names: of the layers, in execution order.
    """
    return trend(names, block.values, block.unit, "layer")


def trend(names: Sequence[str], values: Sequence[float | None], unit: str, noun: str) -> str:
    """A row of values in words.

    Args:
        names: of what has the values, in order.
        values: None or not finite where one is not defined.
        unit: `share` for percent.
        noun: what has the values: `layer`, `report`.
    """
    known = [
        (name, value)
        for name, value in zip(names, values, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if not known:
        return f"Nothing to see: none of {plural(len(names), noun)} has a value."
    sizes = [value for _, value in known]
    low, high = min(sizes), max(sizes)
    if len(known) == 1:
        return f"Only {known[0][0]} has a value: {amount(high, unit)}."
    if low == high:
        where = f"at all {plural(len(known), noun)} that have a value"
        return f"{amount(low, unit)} {where}."
    (first, start), (last, end) = known[0], known[-1]
    text = f"From {amount(start, unit)} at {first} to {amount(end, unit)} at {last}"
    ends = {amount(start, unit), amount(end, unit)}
    if len(ends) == 1:
        text = f"{amount(start, unit)} at both ends, {first} and {last}"
    for word, value in (("highest", high), ("lowest", low)):
        if amount(value, unit) not in ends:
            text += f"; {word} at {known[sizes.index(value)][0]}, {amount(value, unit)}"
    return f"{text}.{_step(known, high - low, unit)}"


def _step(known: Sequence[tuple[str, float]], span: float, unit: str) -> str:
    """The one step between neighbours that makes half of the range or more; empty for none."""
    if len(known) < FEWEST:
        return ""
    steps = sorted(pairwise(known), key=lambda pair: abs(pair[1][1] - pair[0][1]))
    sizes = [abs(later - earlier) for (_, earlier), (_, later) in steps]
    if sizes[-1] < max(STEP * span, ALONE * sizes[-2]):
        return ""
    (name, before), (other, after) = steps[-1]
    way = f"{amount(before, unit)} to {amount(after, unit)}"
    return f" The largest step is from {name} to {other}: {way}."


def maps(block: MapStrip, titles: Sequence[str], places: Sequence[str]) -> str:
    """Which mean map has the widest range, and where most of them peak.

    Args:
        block: the maps.
        titles: of their layers.
        places: of the highest value of each, empty for a flat map; none at all if not known.
    """
    ranges = [high - low for _, _, low, high in block.maps]
    varied = [at for at, span in enumerate(ranges) if span > 0]
    flat = len(ranges) - len(varied)
    if not varied:
        each = "the one map has" if flat == 1 else f"all {flat} maps have"
        return f"Nothing to see: {each} one value everywhere, or none that is finite."
    wide = max(varied, key=ranges.__getitem__)
    low, high = (number(end, 3) for end in block.maps[wide][2:])
    if len(ranges) == 1:
        text = f"From {low} to {high}."
    else:
        text = f"The widest of {len(ranges)} ranges is that of {titles[wide]}, {low} to {high}."
    if flat:
        verb = "has" if flat == 1 else "have"
        text += f" {flat} {verb} one value everywhere, or none that is finite."
    return text + _peaks([place for place in places if place])


def _peaks(places: Sequence[str]) -> str:
    if not places:
        return ""
    counts = {place: places.count(place) for place in dict.fromkeys(places)}
    most = max(counts.values())
    if most == 1 and len(counts) > 1:
        return " No two maps peak at the same place."
    best = listed([place for place, count in counts.items() if count == most])
    if len(places) == 1:
        return f" Its peak is at the {best}."
    if most == len(places):
        return f" All {most} peak at the {best}."
    each = " each" if " and " in best else ""
    return f" Most often they peak at the {best}: {most} of {len(places)}{each}."


def map_alt(title: str, low: float, high: float, place: str) -> str:
    """`Mean map of features.3, 0.1 to 3.2, peak upper left`."""
    if math.isnan(low):
        return f"Mean map of {title}: no finite value"
    if low == high:
        return f"Mean map of {title}: {number(low, 3)} everywhere"
    peak = f", peak {place}" if place else ""
    return f"Mean map of {title}, {number(low, 3)} to {number(high, 3)}{peak}"
