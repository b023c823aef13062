"""A report to disk: its site in a folder, within a budget if there is one, and also in one file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from reportgen.budget import fitted, remembered
from reportgen.errors import OptionError
from reportgen.figures.files import Drawn, Print
from reportgen.render.single import SingleFile
from reportgen.report.records import Report
from reportgen.write import Claim, Written, write_single

Printed: TypeAlias = Callable[[Print], Drawn]
"Gives the files of a figure for print."


def write_report(
    report: Report,
    files: Callable[[Report, Printed], Iterator[tuple[str, bytes]]],
    printed: Printed,
    claim: Claim,
    *,
    single_file: Path | None = None,
    budget_mb: float | None = None,
) -> Written:
    """Write the site of a report.

    Args:
        report: with the contents of its pictures.
        files: makes every file of a report's folder.
        printed: gives the files of a figure for print.
        claim: the folder.
        single_file: where the report stands once more, as one HTML file.
        budget_mb: megabytes that the site may take; None for any size.

    Raises:
        OptionError: if no site takes so little.
        OutputError: if it cannot be written.
    """
    unmet = ""
    if budget_mb is not None:
        if not budget_mb > 0:  # NaN is above nothing
            raise OptionError(f"A site cannot take {budget_mb:g} MB: give more than 0.")
        printed = remembered(printed)
        report, unmet = fitted(report, budget_mb, printed)
    single = SingleFile()
    site = files(report, printed)
    if single_file:
        site = single.watching(site)
    written = claim.write(site).warned(unmet)
    if single_file:
        written = write_single(written, single_file, single.content())
    return written
