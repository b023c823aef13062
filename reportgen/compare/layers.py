"""Layers of two reports side by side: those of the same name and call are compared."""

from collections.abc import Iterator, Mapping

import numpy as np

from reportgen.compare.distance import histogram_distance, on_one_axis
from reportgen.compare.given import Given
from reportgen.compare.records import LayerChange
from reportgen.compare.weights import Filters, Moved, moved
from reportgen.report.blocks import Cell, Column, Histogram, Link, Table
from reportgen.report.records import Layer

SHOWN = 64
"Units in the page; the CSV has all."

_STATISTICS = ("Mean", "Std", "Above zero", "Zeros", "Fired on", "State")


def layer_changes(
    a: Given, b: Given, kept_a: Mapping[str, Filters], kept_b: Mapping[str, Filters]
) -> tuple[LayerChange, ...]:
    """Every call that both networks make, in the order of A."""
    of_b = {layer.title: layer for layer in b.report.layers}
    found = []
    for layer in a.report.layers:
        other = of_b.get(layer.title)
        if other is not None:
            name = f"{layer.name}.weight"
            both = (kept_a[name], kept_b[name]) if name in kept_a and name in kept_b else None
            found.append(_layer_change(a, b, layer, other, moved(*both) if both else None))
    return tuple(found)


def _layer_change(
    a: Given, b: Given, first: Layer, second: Layer, weight: Moved | None
) -> LayerChange:
    is_aligned = first.units == second.units
    histograms = _histogram(first), _histogram(second)
    drawn = on_one_axis(*histograms)
    has_dead = is_aligned and first.dead_filters is not None and second.dead_filters is not None
    dead_a, dead_b = set(first.dead_units), set(second.dead_units)
    units = _units(a, b, first, second, weight) if is_aligned else None
    return LayerChange(
        slug=first.slug,
        title=first.title,
        type=first.type,
        kind=first.kind,
        slug_a=first.slug,
        slug_b=second.slug,
        units_a=first.units,
        units_b=second.units,
        has_page=units is not None,
        weight_change=None if weight is None else weight.change,
        weight_error=0.0 if weight is None else weight.error,
        filter_error=0.0 if weight is None else weight.filter_error,
        dead_a=first.dead_filters,
        dead_b=second.dead_filters,
        died=tuple(sorted(dead_b - dead_a)) if has_dead else (),
        born=tuple(sorted(dead_a - dead_b)) if has_dead else (),
        zero_a=first.zero_fraction,
        zero_b=second.zero_fraction,
        mean_a=first.mean,
        mean_b=second.mean,
        std_a=first.std,
        std_b=second.std,
        distance=_distance(first, second, *histograms),
        table=units,
        histogram_a=drawn[0],
        histogram_b=drawn[1],
    )


def _histogram(layer: Layer) -> Histogram | None:
    panel = layer.panels.get("activations")
    block = panel.blocks.get("histogram") if panel else None
    return block if isinstance(block, Histogram) else None


def _distance(
    first: Layer, second: Layer, a: Histogram | None, b: Histogram | None
) -> float | None:
    if a is None or b is None or first.std is None or second.std is None:
        return None
    far = histogram_distance(a, b)
    scale = float(np.sqrt((first.std**2 + second.std**2) / 2))
    if far is None or scale == 0:
        return 0.0 if far == 0 else None
    return far / scale


def _units(a: Given, b: Given, first: Layer, second: Layer, weight: Moved | None) -> Table | None:
    """One row a unit, what changed most first; None where a report has no statistics of them."""
    of_a, of_b = _statistics(first), _statistics(second)
    if of_a is None or of_b is None:
        return None
    changes = weight.by_filter if weight and len(weight.by_filter) == first.units else None
    linked = [(given, layer) for given, layer in ((a, first), (b, second)) if given.href]
    columns = [
        Column("Unit", hint="Channel, counted from 0."),
        *(Column(f"In {given.letter}", hint=f"Its place in {given.name}.") for given, _ in linked),
    ]
    if changes is not None:
        columns.append(
            Column(
                "Weights moved",
                "share",
                hint=f"||{b.letter} - {a.letter}|| / ||{a.letter}|| of its filter.",
            )
        )
    columns.append(
        Column("Mean moved", "std", hint="Difference of the means in standard deviations.")
    )
    for name, unit in (("Mean", ""), ("Above zero", "share"), ("Fired on", "images")):
        columns += [Column(f"{name}, {given.letter}", unit) for given in (a, b)]
    columns += [Column(f"State, {given.letter}") for given in (a, b)]
    rows: list[tuple[tuple[float, ...], tuple[Cell, ...]]] = []
    for number, (one, other) in enumerate(zip(of_a, of_b, strict=True)):
        shift = _shift(one, other)
        change = None if changes is None else changes[number]
        cells: list[Cell] = [number, *(_place(given, layer, number) for given, layer in linked)]
        cells += [] if changes is None else [change]
        cells += [shift, *_pairs(one, other)]
        turned = (one["State"] == "dead") != (other["State"] == "dead")
        size = (change if changes is not None else shift) or 0.0
        rows.append(((-turned, -size, number), tuple(cells)))
    return Table(
        caption=f"Units of {first.title} in {a.name} and in {b.name}: those that died or came to "
        f"life, then those whose {'weights' if changes is not None else 'means'} moved most.",
        columns=tuple(columns),
        rows=tuple(cells for _, cells in sorted(rows, key=lambda row: row[0])),
        shown=SHOWN,
    )


def _statistics(layer: Layer) -> list[dict[str, Cell]] | None:
    """The statistics of each unit by the name of their column."""
    panel = layer.panels.get("activations")
    table = panel.blocks.get("statistics") if panel else None
    if not isinstance(table, Table) or len(table.rows) != layer.units:
        return None
    names = [column.name for column in table.columns]
    if not set(_STATISTICS) <= set(names):
        return None
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _pairs(one: Mapping[str, Cell], other: Mapping[str, Cell]) -> Iterator[Cell]:
    for name in ("Mean", "Above zero", "Fired on", "State"):
        yield one[name]
        yield other[name]


def _shift(one: Mapping[str, Cell], other: Mapping[str, Cell]) -> float | None:
    """Difference of two means in standard deviations (root mean square of both)."""
    numbers = [row[name] for row in (one, other) for name in ("Mean", "Std")]
    known = [float(n) for n in numbers if isinstance(n, int | float) and np.isfinite(n)]
    if len(known) < 4:
        return None
    mean_a, std_a, mean_b, std_b = known
    scale = float(np.sqrt((std_a**2 + std_b**2) / 2))
    gap = abs(mean_b - mean_a)
    return 0.0 if gap == 0 else gap / scale if scale > 0 else None


def _place(given: Given, layer: Layer, unit: int) -> Link:
    """The unit's permalink in its report."""
    return Link(str(unit), f"{given.href}/layers/{layer.slug}.html#c={unit}")
