"""Filters that do nothing here: never or hardly above zero, always the same, or zero weights."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.census import Row, census
from reportgen.analyses.dead_curve import dead_curve
from reportgen.analyses.dead_findings import RULES, dead_findings
from reportgen.analyses.deadness import CONSTANT, DEAD, NEAR_DEAD, firing_bound
from reportgen.analyses.filters import zero_filters
from reportgen.analyses.findings import layer_link
from reportgen.analyses.removal import RULE, removal
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.probe.evidence import Call, MapPicture, VectorPicture
from reportgen.report.blocks import Cell, Column, Link, Table
from reportgen.report.records import Panel

LISTED_UNITS = 48
"Unit numbers written out in one cell."


SHOWN = 64
"Rows of a table in the page, which stays under 100 kB so; its CSV has all."


def run(study: Study) -> Outcome:
    """Tables per layer, per unit and per image, and what they amount to."""
    zero = zero_filters(study.loaded.module, study.evidence)
    rows = census(study, zero)
    n = len(study.image_records)
    rectified = [row for row in rows if row.call.rectifies]
    facts = {
        "images": n,
        "firing_bound": firing_bound(n),
        "units": sum(row.call.units for row in rectified),
        "dead": sum(int(row.states.dead.sum()) for row in rectified),
        "near_dead": sum(int(row.states.near_dead.sum()) for row in rectified),
        "constant": sum(int(row.states.constant.sum()) for row in rows),
        "zero_weights": sum(int(mask.sum()) for mask in zero.values()),
    }
    blocks = {"layers": _layers(rows, n), "units": _units(rows), "images": _images(study, rows)}
    curve, plan = dead_curve(rows, n), removal(study)
    panel = Panel(
        facts={**facts, **curve.facts, **plan.facts},
        arrays=curve.arrays,
        blocks={**blocks, **plan.blocks},
    )
    return Outcome({"": panel}, (*dead_findings(study, rows, zero), *plan.findings))


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
            Column("Non-finite", hint="Units that gave NaN or infinite values: no claims."),
        ),
        rows=tuple(_layer_row(row) for row in rows),
        shown=SHOWN,
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
        shown=SHOWN,
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
    lines: list[tuple[Cell, ...]] = []
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
        shown=SHOWN,
    )


def _silent(picture: MapPicture | VectorPicture) -> NDArray[np.bool_]:
    """(units,) whether a unit is nowhere above zero; a mean over tokens is zero only if all are."""
    values = picture.high if isinstance(picture, MapPicture) else picture.values
    silent: NDArray[np.bool_] = values <= 0
    return silent


ANALYSIS = Analysis(
    name="dead_filters",
    title="Dead filters",
    place="page",
    run=run,
    rules=(*RULES, RULE),
    references=(
        "Good: The population frequencies of species and the estimation of population parameters. "
        "Biometrika, 1953.",
        "Hanley, Lippman-Hand: If nothing goes wrong, is everything all right? Interpreting zero "
        "numerators. JAMA, 1983.",
        "Hurlbert: The Nonconcept of Species Diversity: A Critique and Alternative Parameters. "
        "Ecology, 1971.",
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV, 2014.",
    ),
)
