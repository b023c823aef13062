"""A report to the files of its folder: what is saved, and the pages made from that alone."""

from collections.abc import Callable, Iterator

from reportgen.figures.files import Drawn, Print
from reportgen.render.pages import pages
from reportgen.report.records import Report
from reportgen.report.store import report_in, stored

WRITING = "Writing"


def site_files(
    report: Report,
    drawn: Callable[[Print], Drawn] = Print.drawn,
    part: Callable[[str], None] = lambda name: None,
) -> Iterator[tuple[str, bytes]]:
    """Every file of a report's folder, the pages as `reportgen render` makes them.

    Args:
        report: as it was made, with its pictures.
        drawn: gives the files of a figure for print, such as `Press.drawn`.
        part: told what the time goes into.
    """
    part("Encoding the data")
    saved = dict(stored(report))
    part(WRITING)
    yield from saved.items()
    part("Drawing the pages")
    for file in pages(report_in(saved.__getitem__, pictures=True), drawn):
        part(WRITING)
        yield file
        part("Drawing the pages")
