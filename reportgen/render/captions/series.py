"""One quantity over reports: where it begins, where it ends, and its largest step."""

from collections.abc import Sequence

from reportgen.render.captions.depth import trend


def caption(letters: Sequence[str], values: Sequence[float | None], unit: str) -> str:
    """How it went from report to report.

    Args:
        letters: of the reports.
        values: one a report; None where it is not defined.
        unit: `share` for percent.
    """
    return trend(letters, values, unit, "report")
