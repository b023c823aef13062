"""Puts a plan into groups that read well: kinds by layer, and reasons to stay."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from reportgen.probe.pruning.plan import Plan

LISTED_UNITS = 12
"Unit numbers written out in a line."


def kinds_by_layer(plan: Plan) -> Mapping[str, Counter[str]]:
    """How many units of each kind go from each layer that makes them."""
    found: dict[str, Counter[str]] = {}
    for unit in plan.going:
        for layer, _ in ((unit.layer, unit.unit), *unit.partners):
            found.setdefault(layer, Counter())[unit.kind] += 1
    return found


def counts(kinds: Mapping[str, int]) -> str:
    """`3 dead, 80 duplicates`."""
    return ", ".join(
        f"{n:,} {kind}s" if kind == "duplicate" and n > 1 else f"{n:,} {kind}"
        for kind, n in kinds.items()
    )


def staying(plan: Plan) -> Iterator[tuple[str, int, str, str, str]]:
    """Layer, count, units, kind and reason of what stays, in one where the rest is the same."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for unit in plan.staying:
        groups.setdefault((unit.layer, unit.kind, unit.reason), []).append(unit.unit)
    for (layer, kind, reason), units in groups.items():
        yield layer, len(units), unit_list(units), kind, reason


def unit_list(units: Sequence[int]) -> str:
    """`3, 7, 12 and 40 more`."""
    shown = ", ".join(map(str, units[:LISTED_UNITS]))
    rest = len(units) - LISTED_UNITS
    return f"{shown} and {rest:,} more" if rest > 0 else shown
