"""The report's tables and curves as CSV, with every digit that they have."""

from collections.abc import Iterator, Sequence

from reportgen.render.site import Site
from reportgen.report.blocks import Curves, Table
from reportgen.report.records import Report
from reportgen.report.tables import csv_text, table_file

IMAGE_COLUMNS = (
    "path",
    "sha256",
    "width",
    "height",
    "true class",
    "answer",
    "probability",
    "logit",
)


def csv_files(report: Report) -> Iterator[tuple[str, bytes]]:
    """`data/*.csv`: every table and curve of every section, the findings and the images."""
    for path, block in Site(report).tables():
        yield path, table_file(block) if isinstance(block, Table) else curves_csv(block)
    yield (
        "data/findings.csv",
        csv_text(
            ("severity", "kind", "text", "href"),
            ((f.severity, f.kind, f.text, f.href) for f in report.findings),
        ),
    )
    yield "data/images.csv", csv_text(IMAGE_COLUMNS, _image_rows(report))


def curves_csv(curves: Curves) -> bytes:
    """One row a layer, one column a curve."""
    units = (f" ({curve.unit})" if curve.unit else "" for curve in curves.curves)
    head = [curve.name + unit for curve, unit in zip(curves.curves, units, strict=True)]
    values = (curve.values for curve in curves.curves)
    return csv_text(("Layer", *head), zip(curves.layers, *values, strict=True))


def _image_rows(report: Report) -> Iterator[Sequence[object]]:
    for image in report.images:
        best = image.predictions[0] if image.predictions else None
        answer = ("", "", "") if best is None else (best.label, best.probability, best.logit)
        yield (
            image.path,
            image.sha256,
            image.width,
            image.height,
            image.true_class or "",
            *answer,
        )
