"""One quantity over reports: where it begins, where it ends, and its largest step."""

import math
from collections.abc import Sequence

from reportgen.compare.records import LayerSeries
from reportgen.render.captions.depth import trend
from reportgen.render.captions.phrases import amount


def caption(letters: Sequence[str], values: Sequence[float | None], unit: str) -> str:
    """How it went from report to report.

    Args:
        letters: of the reports.
        values: one a report; None where it is not defined.
        unit: `share` for percent.
    """
    return trend(letters, values, unit, "report")


def widest(layers: Sequence[LayerSeries], key: str, unit: str) -> str:
    """Which of some layers changes most over the reports, and between which values.

    Args:
        layers: at least one.
        key: `dead_share`, `zero_share` or `weight_norm`.
        unit: `share` for percent.
    """
    known = []
    for layer in layers:
        values = [v for v in getattr(layer, key) if v is not None and math.isfinite(v)]
        if values:
            known.append((max(values) - min(values), layer.title, min(values), max(values)))
    if not any(span for span, *_ in known):
        return "No layer changes."
    _, title, low, high = max(known, key=lambda row: row[0])
    return f"{title} changes most: between {amount(low, unit)} and {amount(high, unit)}."
