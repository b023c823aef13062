"""Pictures of kernels: which filters are largest, and how much of the picture is pale."""

import numpy as np

from reportgen.render.captions.histograms import within
from reportgen.render.captions.phrases import part_of
from reportgen.render.filters import number, percent
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Report

PALE = 0.1
"Share of the colour scale within which a weight looks like zero."


def norms(report: Report, name: str, filters: int) -> FloatArray | None:
    """Norm of each filter of the weight `name`, where the report keeps as many."""
    for section in report.sections:
        panel = section.panel
        if section.name == "weights" and panel is not None and "filter_norms" in panel.arrays:
            rows = panel.facts.get("sketch_rows")
            names = [parameter.name for parameter in report.parameters]
            if not isinstance(rows, tuple) or name not in names:
                return None
            counts = [int(count) for count in rows]
            at = names.index(name)
            found = panel.arrays["filter_norms"][sum(counts[:at]) : sum(counts[: at + 1])]
            return found.astype(float) if len(found) == filters else None
    return None


def sizes(found: FloatArray | None) -> str:
    """The filters of largest and of smallest norm, and those that are all zero."""
    if found is None or not found.size or not np.isfinite(found).all():
        return ""
    if found.size == 1:
        return f"The norm of the one filter is {number(float(found[0]), 3)}."
    zero = int((found == 0).sum())
    if zero == found.size:
        return f"Nothing to see: {part_of(zero, zero, 'filter')} are zero."
    most, least = int(found.argmax()), int(found.argmin())
    if found.max() == found.min():
        return f"All {found.size:,} filters have a norm of {number(float(found[0]), 3)}."
    text = f"Filter {most} has the largest norm, {number(float(found[most]), 3)}; "
    if zero:
        verb = "is" if zero == 1 else "are"
        return f"{text}{part_of(zero, found.size, 'filter')} {verb} zero."
    return f"{text}the smallest, of filter {least}, is {number(float(found[least]), 3)}."


def largest(report: Report, name: str, filters: int) -> str:
    """What `sizes` says of the weight `name` with so many filters; empty where it is not known."""
    return sizes(norms(report, name, filters))


def pale(report: Report, name: str, limit: float) -> str:
    """How many values of the weight `name` are so close to zero that they look pale.

    Args:
        report: that holds it.
        name: of the parameter.
        limit: where the colours end.
    """
    known = {parameter.name: parameter for parameter in report.parameters}
    share = within(known[name].histogram, PALE * limit) if name in known else 0.0
    if not share:
        return ""
    close = number(PALE * limit, 2)
    return f"At least {percent(share)} of the weights are within ±{close} and look pale."
