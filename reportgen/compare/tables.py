"""The comparison as tables, each of which also is a CSV."""

from collections.abc import Mapping, Sequence

from reportgen.compare.answers import in_words, outcome
from reportgen.compare.records import Comparison, LayerChange
from reportgen.report.blocks import Cell, Column, Link, Table

SHOWN = 64
"Rows in the page, which is to stay light; the CSV has all."
CELLS_SHOWN = 720
"The same in cells, of the table with a column for every report."


def tables(comparison: Comparison) -> Mapping[str, Table]:
    """Every table with rows by name: `weights`, `activations`, `units`, `widths` and so on."""
    made = {
        "reports": _reports(comparison),
        "weights": _weights(comparison),
        "activations": _activations(comparison),
        "units": _units(comparison),
        "widths": _widths(comparison),
        "parameters": _parameters(comparison),
        "images": _images(comparison),
        **_timeline(comparison),
    }
    return {name: table for name, table in made.items() if table.rows}


def _ends(comparison: Comparison) -> tuple[str, str]:
    return comparison.subjects[0].letter, comparison.subjects[-1].letter


def _ratio(comparison: Comparison) -> str:
    a, b = _ends(comparison)
    return f"||{b} - {a}|| / ||{a}||"


def _both(comparison: Comparison, name: str, unit: str = "") -> tuple[Column, Column]:
    a, b = _ends(comparison)
    return Column(f"{name}, {a}", unit), Column(f"{name}, {b}", unit)


def _layer(layer: LayerChange) -> Cell:
    title = layer.title or layer.type
    return Link(title, f"layers/{layer.slug}.html") if layer.has_page else title


def _reports(comparison: Comparison) -> Table:
    network = ("name", "file", "sha256", "architecture", "parameters", "macs", "bytes")
    names = (*network, "images", "accuracy", "zero_share", "dead", "rectified")
    return Table(
        "The reports that are compared.",
        (Column("report"), *(Column(name) for name in names)),
        tuple(
            (subject.letter, *(getattr(subject, name) for name in names))
            for subject in comparison.subjects
        ),
    )


def _weights(comparison: Comparison) -> Table:
    known = [layer for layer in comparison.layers if layer.weight_change is not None]
    return Table(
        "Layers with weights of one shape, those that moved most first.",
        (
            Column("Layer"),
            Column("Type"),
            Column("Weights moved", "share", f"{_ratio(comparison)} of its weight."),
            Column("Error", "share", "Relative standard error of that; 0 where it is exact."),
        ),
        tuple(
            (_layer(layer), layer.type, layer.weight_change, layer.weight_error)
            for layer in sorted(known, key=lambda layer: -(layer.weight_change or 0.0))
        ),
        SHOWN,
    )


def _activations(comparison: Comparison) -> Table:
    known = [layer for layer in comparison.layers if layer.distance is not None]
    return Table(
        "Activations of each call, those that moved most first.",
        (
            Column("Layer"),
            Column("Type"),
            Column("Moved", "std", "Distance of the histograms, in standard deviations."),
            *_both(comparison, "Mean"),
            *_both(comparison, "Std"),
            *_both(comparison, "Zeros", "share"),
        ),
        tuple(
            (
                _layer(layer),
                layer.type,
                layer.distance,
                layer.mean_a,
                layer.mean_b,
                layer.std_a,
                layer.std_b,
                layer.zero_a,
                layer.zero_b,
            )
            for layer in sorted(known, key=lambda layer: -(layer.distance or 0.0))
        ),
        SHOWN,
    )


def _units(comparison: Comparison) -> Table:
    a, b = _ends(comparison)
    known = [
        layer for layer in comparison.layers if layer.dead_a is not None or layer.dead_b is not None
    ]
    return Table(
        "Units after a rectifier that never fire on the images, most changes first.",
        (
            Column("Layer"),
            *_both(comparison, "Units"),
            *_both(comparison, "Dead"),
            Column("Died", hint=f"Fires in {a}, never in {b}."),
            Column("Came to life", hint=f"Never fires in {a}, does in {b}."),
            Column("Which died"),
            Column("Which came to life"),
        ),
        tuple(
            (
                _layer(layer),
                layer.units_a,
                layer.units_b,
                layer.dead_a,
                layer.dead_b,
                len(layer.died) if layer.units_a == layer.units_b else None,
                len(layer.born) if layer.units_a == layer.units_b else None,
                _listed(layer.died),
                _listed(layer.born),
            )
            for layer in sorted(known, key=lambda layer: -len(layer.died) - len(layer.born))
        ),
        SHOWN,
    )


def _listed(units: Sequence[int], most: int = 24) -> str:
    names = [str(unit) for unit in units[:most]]
    if len(units) > most:
        names.append(f"and {len(units) - most:,} more")
    return ", ".join(names)


def _widths(comparison: Comparison) -> Table:
    other = [layer for layer in comparison.layers if layer.units_a != layer.units_b]
    return Table(
        "Layers of the same name with another number of units.",
        (Column("Layer"), Column("Type"), *_both(comparison, "Units"), Column("Left", "share")),
        tuple(
            (layer.title, layer.type, layer.units_a, layer.units_b, layer.units_b / layer.units_a)
            for layer in other
        ),
        SHOWN,
    )


def _parameters(comparison: Comparison) -> Table:
    def size(change: float | None) -> float:
        return -1.0 if change is None else change

    rows = sorted(comparison.parameters, key=lambda made: -size(made.change))
    return Table(
        "Every parameter that both have, and the running statistics of norms, those that moved "
        "most first.",
        (
            Column("Parameter"),
            *_both(comparison, "Shape"),
            Column("Moved", "share", f"{_ratio(comparison)}; empty where the shapes differ."),
            Column("Error", "share", "Relative standard error of that; 0 where it is exact."),
            *_both(comparison, "Norm"),
            *_both(comparison, "Zeros", "share"),
        ),
        tuple(
            (
                made.name,
                _by(made.shape_a),
                _by(made.shape_b),
                made.change,
                made.error,
                made.norm_a,
                made.norm_b,
                made.zero_a,
                made.zero_b,
            )
            for made in rows
        ),
        SHOWN,
    )


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "scalar"


def _images(comparison: Comparison) -> Table:
    has_answers = comparison.outputs == "answers"
    tasks = comparison.subjects[0].task, comparison.subjects[-1].task
    rows: list[tuple[Cell, ...]] = []
    for image in comparison.images:
        cells: list[Cell] = []
        for task, answer, said in (
            (tasks[0], image.answer_a, image.said_a),
            (tasks[1], image.answer_b, image.said_b),
        ):
            cells.append(in_words(task, answer, said))
            if has_answers:
                cells.append(answer.probability if answer else None)
        by_method = {made.method: made.spearman for made in image.maps}
        name: Cell = image.path
        if image.has_page:
            name = Link(image.path, f"images/{image.slug}.html")
        rows.append(
            (
                name,
                image.true_class or "",
                *cells,
                outcome(comparison, image),
                by_method.get("occlusion"),
                by_method.get("gradcam"),
            )
        )
    names: list[Column] = []
    for letter in _ends(comparison):
        noun = "Answer" if has_answers else comparison.outputs.capitalize()
        names.append(Column(f"{noun}, {letter}"))
        if has_answers:
            names.append(Column(f"Probability, {letter}", "share"))
    first = "answers that changed first, then " if has_answers else ""
    return Table(
        f"Every image that both saw: {first}maps that moved most{'' if first else ' first'}.",
        (
            Column("Image"),
            Column("True class"),
            *names,
            Column("Outcome"),
            Column("Occlusion", "ρ", "Spearman's correlation of the two maps."),
            Column("Grad-CAM", "ρ", "Spearman's correlation of the two maps."),
        ),
        tuple(rows),
        SHOWN,
    )


def _timeline(comparison: Comparison) -> Mapping[str, Table]:
    line = comparison.timeline
    if line is None:
        return {}
    series = (
        ("Right answers", "share", line.accuracy),
        ("Dead units", "share", line.dead_share),
        ("Zeros after rectifiers", "share", line.zero_share),
        ("Norm of the weights", "", line.weight_norm),
        ("Weights moved since the last", "share", (None, *line.step_change)),
    )
    columns = (
        Column("Report"),
        Column("Name"),
        *(Column(name, unit) for name, unit, _ in series),
    )
    rows = tuple(
        (subject.letter, subject.name, *(values[index] for _, _, values in series))
        for index, subject in enumerate(comparison.subjects)
    )
    layers = Table(
        "Every layer that all reports have, and that is rectified or has weights.",
        (
            Column("Layer"),
            *(
                Column(f"{name}, {subject.letter}", unit)
                for name, unit in (("Dead", "share"), ("Zeros", "share"), ("Norm", ""))
                for subject in comparison.subjects
            ),
        ),
        tuple(
            (one.title, *one.dead_share, *one.zero_share, *one.weight_norm) for one in line.layers
        ),
        max(4, CELLS_SHOWN // (3 * len(comparison.subjects))),
    )
    return {
        "checkpoints": Table("The reports in the order given.", columns, rows),
        "series": layers,
    }
