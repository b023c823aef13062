"""Filters that do nothing here: never above zero, hardly ever, always the same, or with zero weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.deadness import (
    CONSTANT,
    DEAD,
    NEAR_DEAD,
    UnitStates,
    filters_behind,
    firing_bound,
    unit_states,
)
from reportgen.analyses.filters import zero_filters
from reportgen.analyses.findings import counted, few, layer_link, percent
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.probe.evidence import Call, CallKey, LayerEvidence, MapPicture, VectorPicture
from reportgen.report.blocks import Cell, Column, Link, Table
from reportgen.report.records import Finding, Layer, Panel, Rule, Severity

MANY_DEAD = 0.05
MOSTLY_DEAD = 0.5
FEW_IMAGES = 30
"Below this, a tenth of all images and more could still wake a unit that never fired."

LISTED_UNITS = 48
"Unit numbers written out in one cell."


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


def run(study: Study) -> Outcome:
    """Tables per layer, per unit and per image, and what they amount to."""
    rows = tuple(_rows(study))
    n = len(study.image_records)
    rectified = [row for row in rows if row.call.rectifies]
    facts = {
        "images": n,
        "firing_bound": firing_bound(n),
        "units": sum(row.call.units for row in rectified),
        "dead": sum(int(row.states.dead.sum()) for row in rectified),
        "near_dead": sum(int(row.states.near_dead.sum()) for row in rectified),
        "constant": sum(int(row.states.constant.sum()) for row in rows),
        "zero_weights": sum(int(mask.sum()) for mask in _zero(study).values()),
    }
    blocks = {"layers": _layers(rows, n), "units": _units(rows), "images": _images(study, rows)}
    found = (
        *few(tuple(_dead(rectified, n)), "layer", "dead_filters.html"),
        *few(tuple(_constant(rows)), "layer", "dead_filters.html"),
        *few(tuple(_zero_weights(study)), "layer", "dead_filters.html"),
        *_few_images(n, bool(rectified)),
    )
    return Outcome({"": Panel(facts=facts, blocks=blocks)}, found)


def _zero(study: Study) -> dict[CallKey, NDArray[np.bool_]]:
    return zero_filters(study.loaded.module, study.evidence)


def _rows(study: Study) -> Iterator[Row]:
    evidence = study.evidence
    zero = _zero(study)
    pairs = tuple(zip(evidence.calls, study.layer_records, strict=True))
    covered = set()
    rows = {}
    for call, layer in pairs:
        seen = evidence.layers.get(call.key)
        if seen is not None and (call.rectifies or call.kind == "activation"):
            behind = filters_behind(evidence, call.key)
            covered.add(None if behind is None else behind.key)
            none = np.zeros(call.units, dtype=bool)
            mask = none if behind is None else zero.get(CallKey(behind.key.path), none)
            rows[call.key] = Row(call, layer, seen, unit_states(call, seen), behind, mask)
    for call, layer in pairs:
        seen = evidence.layers.get(call.key)
        if seen is not None and call.kind in {"conv", "linear"} and call.key not in covered:
            states = unit_states(call, seen)
            mask = zero.get(CallKey(call.key.path), np.zeros(call.units, dtype=bool))
            if mask.any() or (states.constant.any() and seen.images * seen.positions > 1):
                rows[call.key] = Row(call, layer, seen, states, call, mask)
    return (rows[call.key] for call in evidence.calls if call.key in rows)


def _layers(rows: tuple[Row, ...], n: int) -> Table:
    caption = f"{DEAD} {NEAR_DEAD} {CONSTANT} N = {n:,}."
    if n <= 100:
        caption += " Near-dead cannot be seen with 100 images or fewer."
    return Table(
        caption=caption,
        columns=(
            Column("Layer"),
            Column("Filters of", hint="The layer whose filters the units are."),
            Column("Units"),
            Column("Dead", hint="Never above zero here; not defined without a rectifier."),
            Column("Dead share", "share"),
            Column("Near-dead"),
            Column("Constant"),
            Column("Zero weights", hint="Units whose kernels and bias are all exactly zero."),
            Column(
                "Non-finite", hint="Units that gave NaN or infinite values: nothing is claimed."
            ),
        ),
        rows=tuple(_layer_row(row) for row in rows),
    )


def _layer_row(row: Row) -> tuple[Cell, ...]:
    is_rectified = row.call.rectifies
    dead = int(row.states.dead.sum()) if is_rectified else None
    return (
        Link(row.layer.title, layer_link(row.layer)),
        _name(row.filters),
        row.call.units,
        dead,
        None if dead is None else dead / row.call.units,
        int(row.states.near_dead.sum()) if is_rectified else None,
        int(row.states.constant.sum()),
        int(row.zero.sum()),
        int(row.states.nonfinite.sum()),
    )


def _name(call: Call | None) -> str:
    return "" if call is None else str(call.key)


def _units(rows: tuple[Row, ...]) -> Table:
    return Table(
        caption="Every unit that is dead, near-dead or constant, or has no weights.",
        columns=(
            Column("Unit", hint="Layer and channel, counted from 0."),
            Column("Kind", hint="`zero weights` says why a unit is dead or constant."),
            Column("Filter of", hint="The layer whose filter it is."),
            Column("Fired on", "images", "Images on which it is above zero somewhere."),
            Column("Min"),
            Column("Max"),
        ),
        rows=tuple(cells for row in rows for cells in _unit_rows(row)),
    )


def _unit_rows(row: Row) -> Iterator[tuple[Cell, ...]]:
    for unit, word in enumerate(row.states.words()):
        if word == "non-finite" or not (word or row.zero[unit]):
            continue
        yield (
            Link(f"{row.layer.title} / {unit}", layer_link(row.layer, unit)),
            "zero weights" if row.zero[unit] else word,
            _name(row.filters),
            int(row.seen.fired[unit]),
            float(row.seen.minimum[unit]),
            float(row.seen.maximum[unit]),
        )


def _images(study: Study, rows: tuple[Row, ...]) -> Table:
    """How many rectified units are silent on each pictured image, and which on all of them."""
    pictured = sorted(study.evidence.pictures)
    lines = []
    for row in rows:
        pictures = [study.evidence.pictures[index].get(row.call.key) for index in pictured]
        shown = [picture for picture in pictures if picture is not None]
        if not row.call.rectifies or not shown or len(shown) < len(pictured):
            continue
        silent = np.array([_silent(picture) for picture in shown])
        always = np.flatnonzero(silent.all(axis=0))
        names = [str(unit) for unit in always[:LISTED_UNITS]]
        if len(always) > LISTED_UNITS:
            names.append(f"and {len(always) - LISTED_UNITS:,} more")
        lines.append(
            (
                Link(row.layer.title, layer_link(row.layer)),
                row.call.units,
                *(int(count) for count in silent.sum(axis=1)),
                len(always),
                ", ".join(names),
            )
        )
    return Table(
        caption=(
            "Rectified units that are never above zero on each pictured image. Those silent on "
            "every one of them do nothing here and are candidates for pruning."
        ),
        columns=(
            Column("Layer"),
            Column("Units"),
            *(Column(study.image_records[index].slug, "silent") for index in pictured),
            Column("On all", "silent"),
            Column("Which", hint="Channels silent on every pictured image, counted from 0."),
        ),
        rows=tuple(lines),
    )


def _silent(picture: MapPicture | VectorPicture) -> NDArray[np.bool_]:
    """(units,) whether a unit is nowhere above zero; a mean over tokens is zero only if all are."""
    values = picture.peak if isinstance(picture, MapPicture) else picture.values
    silent: NDArray[np.bool_] = values <= 0
    return silent


def _dead(rectified: list[Row], n: int) -> Iterator[Finding]:
    rows = [(row, int(row.states.dead.sum()) / row.call.units) for row in rectified]
    grave: tuple[Severity, Severity] = ("error", "warning")
    mild: tuple[Severity, Severity] = ("warning", "info")
    severe, common = grave if n >= FEW_IMAGES else mild
    for row, share in sorted(rows, key=lambda pair: -pair[1]):
        if share > MANY_DEAD:
            dead = np.flatnonzero(row.states.dead)
            seen = "this image" if n == 1 else f"these {n:,} images"
            verb = "never fires" if len(dead) == 1 else "never fire"
            text = f"{row.layer.title}: {len(dead):,} of {counted(row.call.units, 'unit')} "
            text += f"({percent(share)}) {verb} on {seen}."
            severity = severe if share > MOSTLY_DEAD else common
            yield Finding(severity, "dead-filters", text, layer_link(row.layer, int(dead[0])))


def _constant(rows: tuple[Row, ...]) -> Iterator[Finding]:
    for row in sorted(rows, key=lambda row: -int(row.states.constant.sum())):
        units = np.flatnonzero(row.states.constant)
        if len(units):
            verb = "gives" if len(units) == 1 else "give"
            text = f"{row.layer.title}: {len(units):,} of {counted(row.call.units, 'unit')} {verb} "
            text += f"one and the same value everywhere, such as unit {units[0]} with "
            text += f"{row.seen.mean[units[0]]:.3g}."
            href = layer_link(row.layer, int(units[0]))
            yield Finding("warning", "constant-units", text, href)


def _zero_weights(study: Study) -> Iterator[Finding]:
    layer_of = dict(
        zip((call.key for call in study.evidence.calls), study.layer_records, strict=True)
    )
    masks = _zero(study)
    for key, mask in sorted(masks.items(), key=lambda item: -int(item[1].sum())):
        if mask.any():
            layer, units = layer_of[key], np.flatnonzero(mask)
            text = f"{layer.title}: {len(units):,} of {counted(len(mask), 'filter')} "
            text += f"{'has' if len(units) == 1 else 'have'} only zero weights and can be pruned."
            href = layer_link(layer, int(units[0]))
            yield Finding("warning", "zero-weight-filters", text, href)


def _few_images(n: int, has_rectifier: bool) -> Iterator[Finding]:
    if has_rectifier and n < FEW_IMAGES:
        text = f"With {counted(n, 'image')}, a unit that never fired here may still fire on up to "
        text += (
            f"{percent(firing_bound(n))} of others (3/N, at 95 %): {FEW_IMAGES} or more say more."
        )
        yield Finding("info", "few-images", text, "dead_filters.html")


ANALYSIS = Analysis(
    name="dead_filters",
    title="Dead filters",
    place="page",
    run=run,
    rules=(
        Rule(
            "dead-filters",
            "More than 5 % of a layer's rectified units never fire: a warning; more than 50 %: an "
            f"error. One step milder below {FEW_IMAGES} images, where silence proves little. {DEAD}",
            "Hanley, Lippman-Hand: If nothing goes wrong, is everything all right? JAMA, 1983.",
        ),
        Rule("constant-units", f"Warning: a layer has constant units. {CONSTANT}"),
        Rule(
            "zero-weight-filters",
            "Warning: a convolution or linear layer has filters whose weights and bias are all "
            "exactly zero.",
        ),
        Rule("few-images", f"Info: fewer than {FEW_IMAGES} images, so that dead is a weak claim."),
    ),
    references=(
        "Hanley, Lippman-Hand: If nothing goes wrong, is everything all right? Interpreting zero "
        "numerators. JAMA, 1983.",
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV, 2014.",
    ),
)
