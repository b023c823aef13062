"""The tables that a paper wants: architecture, answers, trust, dead units, parameters."""

import math
from collections.abc import Iterator, Sequence

from reportgen.papers.latex import Cell, LatexTable
from reportgen.report.places import slices_of
from reportgen.report.records import Fact, Image, Layer, Panel, Report

MOST_IMAGES = 200
"Rows of the table of answers; all are in `report.json`."


def latex_tables(report: Report) -> Iterator[LatexTable]:
    """Every table that there is something for."""
    yield _architecture(report)
    if report.images:
        yield _predictions(report)
    for section in report.sections:
        if section.name == "trust" and section.panel and section.panel.facts.get("methods"):
            yield _trust(section.panel)
    if any(layer.dead_filters is not None for layer in report.layers):
        yield _dead_filters(report)
    if report.parameters:
        yield _parameters(report)


def _architecture(report: Report) -> LatexTable:
    model = report.model
    pre = model.preprocessing
    return LatexTable(
        "architecture",
        f"Layers of {model.architecture} in execution order, for one image of "
        f"{slices_of(pre.slices)}{pre.height} × {pre.width} pixels.",
        ("Layer", "Type", "Output", "Parameters", "MACs", "Receptive field"),
        tuple(
            (
                layer.title,
                layer.type,
                by(layer.output_shape),
                layer.parameters,
                layer.macs,
                _field(layer),
            )
            for layer in report.layers
        ),
        ("Total", None, None, model.parameters, model.macs, None),
    )


def _field(layer: Layer) -> str | None:
    return by(layer.receptive_field.size) if layer.receptive_field else None


def by(sizes: Sequence[int]) -> str:
    """`64 × 55 × 55`."""
    return " × ".join(f"{size:,}" for size in sizes)


def _predictions(report: Report) -> LatexTable:
    has_truth = any(image.true_class is not None for image in report.images)
    shown = report.images[:MOST_IMAGES]
    caption = f"Answers of {report.model.architecture} on "
    caption += (
        f"{len(shown):,} of {len(report.images):,} images"
        if len(shown) < len(report.images)
        else (f"{len(shown):,} images" if len(shown) > 1 else "one image")
    )
    if report.accuracy is not None:
        labelled = sum(image.true_index is not None for image in report.images)
        caption += f"; {100 * report.accuracy:.3g} % of {labelled:,} with a known class are right"
    truth = ("True class",) if has_truth else ()
    heads = ("Answer", "Probability", "Runner-up", "Probability")
    if report.model.task == "regress":
        heads = ("Output", "Value", "Output", "Value")
    return LatexTable(
        "predictions",
        f"{caption}.",
        ("Image", *truth, *heads),
        tuple(_answer(image, has_truth) for image in shown),
    )


def _answer(image: Image, has_truth: bool) -> tuple[Cell, ...]:
    best: list[Cell] = []
    for guess in image.predictions[:2]:
        best += [guess.label, guess.logit if guess.probability is None else guess.probability]
    truth = (image.true_class,) if has_truth else ()
    return (image.path, *truth, *best, *[None] * (4 - len(best)))


def _trust(panel: Panel) -> LatexTable:
    facts = panel.facts
    areas = {
        name: [_area(curve) for curve in panel.arrays[name].tolist()]
        for name in ("deletion", "insertion")
    }
    columns = (
        _listed(facts["titles"]),
        areas["deletion"],
        areas["insertion"],
        _listed(facts["advantage"]),
        [*map(_interval, _listed(facts["low"]), _listed(facts["high"]))],
        _listed(facts["unlearned"]),
    )
    images = max((n for n in _listed(facts["images"]) if isinstance(n, int)), default=0)
    return LatexTable(
        "trust",
        f"Attribution methods, tested on {images:,} images: areas under the deletion and insertion "
        "curves, advantage over random maps with its 95 % interval, and rank correlation with the "
        "maps of a network that forgot its weights.",
        ("Method", "Deletion", "Insertion", "Advantage", "95 % interval", "Forgotten"),
        tuple(zip(*columns, strict=True)),
    )


def _area(curve: Sequence[float]) -> float:
    """Mean height between neighbouring steps."""
    return (sum(curve) - (curve[0] + curve[-1]) / 2) / (len(curve) - 1)


def _interval(low: Cell, high: Cell) -> str | None:
    """`−0.0060 to 0.754`; None where there is none."""
    if isinstance(low, float) and isinstance(high, float):
        return f"{low:.3f} to {high:.3f}".replace("-", "−")
    return None


def _listed(fact: Fact) -> list[Cell]:
    """The entries of a list; what is not a number is missing."""
    cells = fact if isinstance(fact, tuple) else ()
    return [None if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]


def _dead_filters(report: Report) -> LatexTable:
    rows: list[tuple[Cell, ...]] = []
    sums = [0, 0, 0, 0]
    for layer in report.layers:
        if layer.dead_filters is not None:
            counts = (
                layer.units,
                layer.dead_filters,
                layer.near_dead_filters or 0,
                layer.constant_filters or 0,
            )
            sums = [total + count for total, count in zip(sums, counts, strict=True)]
            rows.append((layer.title, *counts, 100 * layer.dead_filters / layer.units))
    n = len(report.images)
    return LatexTable(
        "dead_filters",
        f"Units after a rectifier: dead ones are above zero nowhere on any of {n:,} images, near-"
        "dead ones on less than 1 % of them.",
        ("Layer", "Units", "Dead", "Near-dead", "Constant", "Dead (%)"),
        tuple(rows),
        ("Total", *sums, 100 * sums[1] / max(sums[0], 1)),
    )


def _parameters(report: Report) -> LatexTable:
    return LatexTable(
        "parameters",
        f"Parameters of {report.model.architecture}; the standard deviation has n − 1 in the "
        "denominator.",
        ("Parameter", "Shape", "Mean", "Std", "Min", "Max", "Zeros (%)"),
        tuple(
            (
                one.name,
                by(one.shape) or "1",
                one.mean,
                one.std,
                one.min,
                one.max,
                100 * one.zero_fraction,
            )
            for one in report.parameters
        ),
    )
