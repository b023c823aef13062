"""Every unit whose state is worth a row, layer by layer, with the filter behind it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.deadness import UnitStates, filters_behind, unit_states
from reportgen.analyses.study import Study
from reportgen.probe.evidence import Call, CallKey, LayerEvidence
from reportgen.report.records import Layer


@dataclass(frozen=True, eq=False)
class Row:
    """One call that is worth a row: it rectifies, activates, or has filters without weights."""

    call: Call
    layer: Layer
    seen: LayerEvidence
    states: UnitStates
    filters: Call | None
    "The layer whose filters the units are."
    zero: NDArray[np.bool_]
    "(units,) whether the kernel and bias behind a unit are all zero."


def census(study: Study, zero: Mapping[CallKey, NDArray[np.bool_]]) -> tuple[Row, ...]:
    """The calls that rectify or activate, and other filters that are constant or without weights.

    Args:
        study: what was seen.
        zero: filters without weights, by the first call of their layer.
    """
    evidence = study.evidence
    pairs = tuple(zip(evidence.calls, study.layer_records, strict=True))
    covered: set[CallKey] = set()
    rows: dict[CallKey, Row] = {}
    for call, layer in pairs:
        seen = evidence.layers.get(call.key)
        if seen is not None and (call.rectifies or call.kind == "activation"):
            behind = filters_behind(evidence, call.key)
            mask = np.zeros(call.units, dtype=bool)
            if behind is not None:
                covered.add(behind.key)
                mask = zero.get(CallKey(behind.key.path), mask)
            rows[call.key] = Row(call, layer, seen, unit_states(call, seen), behind, mask)
    for call, layer in pairs:
        seen = evidence.layers.get(call.key)
        if seen is not None and call.kind in {"conv", "linear"} and call.key not in covered:
            states = unit_states(call, seen)
            mask = zero.get(CallKey(call.key.path), np.zeros(call.units, dtype=bool))
            if mask.any() or states.constant.any():
                rows[call.key] = Row(call, layer, seen, states, call, mask)
    return tuple(rows[call.key] for call in evidence.calls if call.key in rows)
