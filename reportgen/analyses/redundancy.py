"""Which units of a layer do the same work, and which classes each of them speaks for."""

from collections.abc import Mapping, Sequence

import numpy as np

from reportgen.analyses.filters import kernels, weighted_module
from reportgen.analyses.findings import counted
from reportgen.analyses.heads import head_of
from reportgen.analyses.likeness import Twins, nearest_pair, not_compared, pairs, twins
from reportgen.analyses.redundancy_findings import RULES, Compared, redundancy_findings
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.unit_classes import Speaks, largest, speaks
from reportgen.analyses.units import is_deep, rows_shown, unit_layers
from reportgen.probe.correlation import MOST_UNITS, Alike, most_alike, passes
from reportgen.probe.evidence import Call, CallKey
from reportgen.report.arrays import Array, FloatArray
from reportgen.report.blocks import Cell, Column, Table
from reportgen.report.records import Fact, Panel

SHOWN = 20
"Rows on the page, the most alike first; the CSV has all."
FEWEST_VALUES = 100
"Values of a unit; a correlation over fewer says little."
LISTED = 6
"Pairs of near twins written out."
ALIKE = 0.95
"Correlation from which on two units give nearly the same."


def run(study: Study) -> Outcome:
    """One panel per layer with filters, and per layer whose units are looked at one by one."""
    answers = _answers(study)
    head = head_of(study.loaded.module, study.evidence.calls, study.evidence.classes)
    said = speaks(study, head)
    layer_of = study.layer_of
    panels: dict[str, Panel] = {}
    compared: list[Compared] = []
    for call in study.evidence.calls:
        layer = layer_of[call.key]
        weight, groups = _filters(study, call)
        problem = not_compared(weight, groups) if weight is not None else None
        found = twins(weight, groups) if weight is not None and not problem else None
        if found is not None:
            compared.append(Compared(layer, found))
        alike, classes = answers.get(call.key), said.get(call.key, Speaks())
        is_said = problem or classes.problem or classes.table is not None
        if found is None and alike is None and not is_said:
            continue
        facts: dict[str, Fact] = {
            "units": call.units,
            **_by_weights(found, problem, weight),
            **_by_answers(study, call, alike),
            "classes_by": classes.by,
            "classes_problem": classes.problem,
            "classes_head": layer_of[head.call.key].slug
            if head and classes.by == "weight"
            else None,
            "classes_chance": classes.least if classes.by == "correlation" else None,
            "classes_images": len(study.evidence.answers),
        }
        arrays = _arrays(found, alike, classes)
        labels = study.labels if head and call.key == head.call.key else ()
        table = _table(study, call, found, alike, classes, labels)
        panels[layer.slug] = Panel(facts, arrays, {"units": table} if table else {})
    return Outcome(panels, redundancy_findings(compared))


def _filters(study: Study, call: Call) -> tuple[FloatArray | None, int]:
    """The weight of a layer at its first call, one row of kernels a unit, and its groups."""
    layer = weighted_module(study.loaded.module, call) if call.key.call == 1 else None
    weight = kernels(layer) if layer is not None else None
    if layer is None or weight is None or len(weight) != call.units or not weight.size:
        return None, 1
    return weight, int(getattr(layer, "groups", 1))


def _answers(study: Study) -> Mapping[CallKey, Alike]:
    """Correlations at every convolution and every layer whose units are looked at one by one."""
    pictured = sorted(study.evidence.pictures)
    wanted = {call.key for call in unit_layers(study)}
    calls = [
        call
        for call in study.evidence.calls
        if (call.key in wanted or call.kind == "conv") and _is_correlated(study, call)
    ]
    total, done = len(pictured) * passes(calls), 0

    def told() -> None:
        nonlocal done
        done += 1
        if study.progress is not None:
            study.progress(done, total)

    return most_alike(
        study.probe,
        lambda: (study.images.normalise(study.images.pixels(index)) for index in pictured),
        calls,
        told,
    )


def _is_correlated(study: Study, call: Call) -> bool:
    seen = study.evidence.layers.get(call.key)
    return (
        seen is not None
        and call.channel_axis is not None
        and 1 < call.units <= MOST_UNITS
        and seen.positions * len(study.evidence.pictures) >= FEWEST_VALUES
    )


def _by_weights(
    found: Twins | None, problem: str | None, weight: FloatArray | None
) -> dict[str, Fact]:
    """What is said of the filters; `weights_problem` is null where there are none."""
    facts: dict[str, Fact] = {"weights_problem": problem}
    if found is None or weight is None:
        return facts
    like = list(pairs(found))
    listed = like[:LISTED] or list(nearest_pair(found))
    known = found.cosine[np.isfinite(found.cosine)]
    return facts | {
        "weights_each": weight[0].size,
        "copies": int(found.is_copy.sum()),
        "near": int(found.is_near.sum()),
        "pairs": len(like),
        "pair_first": tuple(pair[0] for pair in listed),
        "pair_second": tuple(pair[1] for pair in listed),
        "pair_cosine": tuple(round(pair[2], 4) for pair in listed),
        "median_cosine": float(np.median(known)) if known.size else None,
    }


def _by_answers(study: Study, call: Call, alike: Alike | None) -> dict[str, Fact]:
    """What is said of the answers; `answers_problem` is null where they were not looked at."""
    if alike is None:
        is_wide = call.units > MOST_UNITS and call.kind == "conv"
        text = f"The {call.units:,} units are too many to correlate each with each."
        return {"answers_problem": text if is_wide else None}
    known = np.nan_to_num(alike.correlation, nan=-1)
    unit = int(known.argmax())
    has_any = bool(alike.unit[unit] >= 0)
    return {
        "answers_problem": "" if has_any else "No two units vary on these images.",
        "answers_images": len(study.evidence.pictures),
        "answers_values": alike.values,
        "answers_alike": int((known >= ALIKE).sum()),
        "answers_first": unit if has_any else None,
        "answers_second": int(alike.unit[unit]) if has_any else None,
        "answers_correlation": float(known[unit]) if has_any else None,
        "answers_dimensions": alike.dimensions if np.isfinite(alike.dimensions) else None,
    }


def _arrays(found: Twins | None, alike: Alike | None, classes: Speaks) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    if found is not None:
        arrays |= {"twin": found.unit.astype(np.int32), "cosine": found.cosine.astype(np.float32)}
    if alike is not None:
        arrays["alike"] = alike.unit.astype(np.int32)
        arrays["correlation"] = alike.correlation.astype(np.float32)
    if classes.table is not None:
        for name, sign in (("for", 1), ("against", -1)):
            index, value = largest(sign * classes.table)
            arrays[f"{name}_class"] = index.astype(np.int32)
            arrays[f"{name}_value"] = (sign * value).astype(np.float32)
    return arrays


def _table(
    study: Study,
    call: Call,
    found: Twins | None,
    alike: Alike | None,
    classes: Speaks,
    labels: Sequence[str],
) -> Table | None:
    """One row per unit, the most alike first; None where there is nothing to show.

    Args:
        study: what was seen.
        call: whose units they are.
        found: by weights.
        alike: by answers.
        classes: that they speak for.
        labels: of the units, where each stands for a class; else empty.
    """
    leads_to = "#c=" if "activations" in study.earlier else ""
    columns = [Column("Unit", leads_to=leads_to)]
    cells: list[Sequence[Cell]] = [range(call.units)]
    ranks: list[FloatArray] = []
    if labels:
        columns.append(Column("Class"))
        cells.append(labels)
    if found is not None:
        columns.append(Column("Nearest by weights", leads_to=leads_to))
        cells.append(_known(found.unit))
        if labels:
            columns.append(Column("Its class"))
            cells.append([labels[unit] if unit >= 0 else None for unit in found.unit])
        columns.append(Column("Cosine", hint="Of the weights, bias left aside; 1 is parallel."))
        cells.append(_rounded(found.cosine))
        ranks.append(found.cosine)
    if alike is not None:
        columns.append(Column("Nearest by answers", leads_to=leads_to))
        columns.append(Column("r", hint="Pearson correlation over the pictured images."))
        cells += [_known(alike.unit), _rounded(alike.correlation)]
        ranks.append(alike.correlation)
    if classes.table is not None:
        name = classes.by.capitalize()
        ranks.append(largest(classes.table)[1])
        for title, sign in (("Speaks for", 1), ("Speaks against", -1)):
            index, value = largest(sign * classes.table)
            is_said = value > classes.least
            said = zip(index.tolist(), is_said, strict=True)
            columns += [Column(title), Column(name, hint=f"{name} of the unit for this class.")]
            cells.append([study.labels[at] if is_one else None for at, is_one in said])
            cells.append(_rounded(np.where(is_said, sign * value, np.nan)))
    if not ranks:
        return None
    order = np.argsort(-np.nan_to_num(ranks[0], nan=-np.inf), kind="stable").tolist()
    rows = list(zip(*cells, strict=True))
    first = "most alike" if found or alike else f"largest {classes.by}"
    caption = f"{counted(call.units, 'unit')}, the {first} first."
    layers = len(study.layer_records)
    shown = rows_shown(call.units, SHOWN, layers)
    rows = [rows[unit] for unit in order]
    return Table(caption, tuple(columns), tuple(rows), shown, is_deep(layers))


def _known(units: Array) -> list[int | None]:
    return [unit if unit >= 0 else None for unit in units.tolist()]


def _rounded(values: FloatArray) -> list[float | None]:
    """Three digits: the arrays have all."""
    return [float(f"{value:.3g}") if np.isfinite(value) else None for value in values.tolist()]


ANALYSIS = Analysis(
    name="redundancy",
    title="Look-alikes and classes",
    place="layer",
    run=run,
    rules=RULES,
    references=(
        "Fisher: On the probable error of a coefficient of correlation deduced from a small "
        "sample. Metron 1, 1921.",
    ),
)
