"""The report's tables as CSV, with every digit that they have."""

from collections.abc import Iterator, Sequence

from reportgen.render.site import Site
from reportgen.report.records import Report
from reportgen.report.tables import csv_text, table_csv

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
    """`data/*.csv`: every table of every section, the findings and the images."""
    for path, table in Site(report).tables():
        yield path, table_csv(table)
    yield (
        "data/findings.csv",
        csv_text(
            ("severity", "kind", "text", "href"),
            ((f.severity, f.kind, f.text, f.href) for f in report.findings),
        ),
    )
    yield "data/images.csv", csv_text(IMAGE_COLUMNS, _image_rows(report))


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
