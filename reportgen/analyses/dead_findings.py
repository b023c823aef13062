"""What the tables of dead filters amount to, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.census import Row
from reportgen.analyses.deadness import CONSTANT, DEAD, firing_bound
from reportgen.analyses.findings import counted, few, layer_link, percent, these
from reportgen.analyses.study import Study
from reportgen.probe.evidence import CallKey
from reportgen.report.records import Finding, Rule, Severity

MANY_DEAD = 0.05
MOSTLY_DEAD = 0.5
FEW_IMAGES = 30
"Below this, a unit that never fired could still fire on a tenth of all images or more."

RULES = (
    Rule(
        "dead-filters",
        "Warning: more than 5 % of a layer's rectified units never fire; error: more than 50 %. "
        f"One step milder for layers without maps below {FEW_IMAGES} images, where each unit was "
        f"seen too seldom. {DEAD}",
        "Hanley, Lippman-Hand: If nothing goes wrong, is everything all right? JAMA, 1983.",
    ),
    Rule("constant-units", f"Warning: a layer has constant units. {CONSTANT}"),
    Rule(
        "zero-weight-filters",
        "Warning: a convolution or linear layer has filters whose weights and bias are all "
        "exactly zero.",
    ),
    Rule("few-images", f"Info: fewer than {FEW_IMAGES} images, so that dead is a weak claim."),
)

PAGE = "dead_filters.html"


def dead_findings(
    study: Study, rows: Sequence[Row], zero: Mapping[CallKey, NDArray[np.bool_]]
) -> tuple[Finding, ...]:
    """All that the rules above find, in their order."""
    n = len(study.image_records)
    rectified = [row for row in rows if row.call.rectifies]
    return (
        *few(tuple(_dead(rectified, n)), "layer", PAGE),
        *few(tuple(_constant(rows)), "layer", PAGE),
        *few(tuple(_zero_weights(study, zero)), "layer", PAGE),
        *_few_images(n, any(row.states.dead.any() for row in rectified)),
    )


def _dead(rectified: Sequence[Row], n: int) -> Iterator[Finding]:
    rows = [(row, int(row.states.dead.sum()) / row.call.units) for row in rectified]
    for row, share in sorted(rows, key=lambda pair: -pair[1]):
        if share > MANY_DEAD:
            dead = np.flatnonzero(row.states.dead)
            verb = "never fires" if len(dead) == 1 else "never fire"
            text = f"{row.layer.title}: {len(dead):,} of {counted(row.call.units, 'unit')} "
            text += f"({percent(share)}) {verb} on {these(n)}."
            severity: Severity = "error" if share > MOSTLY_DEAD else "warning"
            if row.seen.positions == 1 and n < FEW_IMAGES:
                severity = "warning" if severity == "error" else "info"
            yield Finding(severity, "dead-filters", text, layer_link(row.layer, int(dead[0])))


def _constant(rows: Sequence[Row]) -> Iterator[Finding]:
    for row in sorted(rows, key=lambda row: -int(row.states.constant.sum())):
        units = np.flatnonzero(row.states.constant)
        if len(units):
            verb = "gives" if len(units) == 1 else "give"
            text = f"{row.layer.title}: {len(units):,} of {counted(row.call.units, 'unit')} {verb} "
            text += f"one and the same value everywhere; unit {units[0]} gives "
            text += f"{row.seen.mean[units[0]]:.3g}."
            href = layer_link(row.layer, int(units[0]))
            yield Finding("warning", "constant-units", text, href)


def _zero_weights(study: Study, zero: Mapping[CallKey, NDArray[np.bool_]]) -> Iterator[Finding]:
    keys = (call.key for call in study.evidence.calls)
    layer_of = dict(zip(keys, study.layer_records, strict=True))
    for key, mask in sorted(zero.items(), key=lambda item: -int(item[1].sum())):
        if mask.any():
            layer, units = layer_of[key], np.flatnonzero(mask)
            text = f"{layer.title}: {len(units):,} of {counted(len(mask), 'filter')} "
            text += f"{'has' if len(units) == 1 else 'have'} only zero weights."
            href = layer_link(layer, int(units[0]))
            yield Finding("warning", "zero-weight-filters", text, href)


def _few_images(n: int, has_dead: bool) -> Iterator[Finding]:
    if has_dead and n < FEW_IMAGES:
        text = f"With {counted(n, 'image')}, a unit that never fired here may still fire on up to "
        text += f"{percent(firing_bound(n))} of others (3/N, at 95 %); "
        yield Finding("info", "few-images", f"{text}{FEW_IMAGES} or more images say more.", PAGE)
