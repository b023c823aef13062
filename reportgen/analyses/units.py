"""Which units are looked at one by one: the most used ones of one layer of each stage."""

import math
from collections.abc import Collection, Sequence

import numpy as np

from reportgen.analyses.study import Study
from reportgen.probe.evidence import Call, CallKey
from reportgen.report.tables import MANY_LAYERS

MOST_LAYERS = 6
SHRINKS = 0.75
"A map with more positions than this share of those before it is of the same stage."
FEWEST_IMAGES = 20
"Of fewer, a correlation of units with classes says little: it is left out."


WIDE = 512
"Units beyond which a layer's tables show fewer rows: nobody reads thousands, and each costs time."
ROWS_OF_WIDE = 8
WIDEST = 1024
"Units beyond which they are fewer still, so that a page stays under a thousand nodes."
ROWS_OF_WIDEST = 6


def is_deep(layers: int) -> bool:
    """Whether each layer of a network of so many gets less room in the report."""
    return layers > MANY_LAYERS


def rows_shown(units: int, most: int, layers: int = 1) -> int:
    """Rows of a table of units that stand in the page of one of so many layers; its CSV has all."""
    if units > WIDEST:
        return min(most, ROWS_OF_WIDEST)
    is_short = units <= WIDE and not is_deep(layers)
    return most if is_short else min(most, ROWS_OF_WIDE)


def unit_layers(study: Study) -> tuple[Call, ...]:
    """For each size of maps the widest observed layer that rectifies, else the widest with weights.

    Of equals the last; layers that have one map a class are left out, for these are scores. In the
    order of execution, the first and the deepest where there are more than `MOST_LAYERS`.
    """
    evidence = study.evidence
    return unit_calls(evidence.calls, evidence.classes, evidence.layers)


def unit_calls(
    calls: Sequence[Call], classes: int, observed: Collection[CallKey]
) -> tuple[Call, ...]:
    """The same before anything was observed, from the calls of which statistics will be kept."""
    last = max((i for i, call in enumerate(calls) if call.parameters), default=len(calls))
    stages: list[tuple[int, Call]] = []
    for i, call in enumerate(calls):
        is_score = i >= last and call.units == classes
        if call.key not in observed or not _has_maps(call) or is_score:
            continue
        positions = _positions(call)
        if not stages or positions <= SHRINKS * stages[-1][0]:
            stages.append((positions, call))
        elif _worth(call) >= _worth(stages[-1][1]):
            stages[-1] = (stages[-1][0], call)
    found = [call for _, call in stages if _worth(call) > (0, 0) and call.units > 1]
    return tuple(found if len(found) <= MOST_LAYERS else [found[0], *found[1 - MOST_LAYERS :]])


def used_units(study: Study, call: Call, count: int) -> tuple[int, ...]:
    """At most `count` units of a call, the one with the largest root mean square first.

    Units that give nothing but zeros are left out.
    """
    seen = study.evidence.layers[call.key]
    power = np.nan_to_num(seen.mean**2 + seen.variance)
    order = np.argsort(-power, kind="stable")[:count]
    return tuple(int(unit) for unit in order if power[unit] > 0)


def _has_maps(call: Call) -> bool:
    return call.channel_axis is not None and _positions(call) > 1


def _positions(call: Call) -> int:
    return math.prod(call.grid or (0,))


def _worth(call: Call) -> tuple[int, int]:
    """How much the units of a layer are worth a look: after a rectifier most, then by their number.

    (0, 0) for a layer that computes no features of its own, such as a pooling.
    """
    if call.rectifies:
        return 2, call.units
    has_weights = call.parameters and call.kind in ("conv", "linear", "norm")
    return (1, call.units) if has_weights else (0, 0)
