"""The report's tables as CSV, with every digit that float32 has."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from reportgen.render.site import Site
from reportgen.report.blocks import Link, Table
from reportgen.report.records import Report


def csv_files(report: Report) -> Iterator[tuple[str, bytes]]:
    """`data/*.csv`: every table of every section, the findings and the images."""
    site = Site(report)
    for path, table in site.tables():
        yield path, table_csv(table)
    yield (
        "data/findings.csv",
        _csv(
            ("severity", "kind", "text", "href"),
            ((f.severity, f.kind, f.text, f.href) for f in report.findings),
        ),
    )
    yield "data/images.csv", _csv(IMAGE_COLUMNS, _image_rows(report))


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


def table_csv(table: Table) -> bytes:
    """One table: units in the header, links as their text, missing values as nothing."""
    head = [f"{c.name} ({c.unit})" if c.unit else c.name for c in table.columns]
    return _csv(head, table.rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([_plain(cell) for cell in row])
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _plain(cell: object) -> object:
    if isinstance(cell, float):
        # Nine digits tell any two float32 apart.
        return f"{cell:.9g}"
    words = cell.text if isinstance(cell, Link) else cell
    # Spreadsheets run text that starts like a formula; an apostrophe keeps it text.
    return f"'{words}" if isinstance(words, str) and words[:1] in {"=", "+", "-", "@"} else words
