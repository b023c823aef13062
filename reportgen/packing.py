"""A report to disk: its site in a folder, within a budget if there is one, and also in one file."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from reportgen.budget import fitted, remembered
from reportgen.errors import OptionError
from reportgen.figures.files import Drawn, Print
from reportgen.render.single import SingleFile
from reportgen.report.records import Report
from reportgen.write import Written, write_single, write_site

Printed: TypeAlias = Callable[[Print], Drawn]
"Gives the files of a figure for print."


def write_report(
    report: Report,
    files: Callable[[Report, Printed], Iterator[tuple[str, bytes]]],
    printed: Printed,
    output: Path,
    *,
    single_file: Path | None = None,
    budget_mb: float | None = None,
    force: bool = False,
    inputs: Sequence[Path] = (),
) -> Written:
    """Write the site of a report.

    Args:
        report: with the contents of its pictures.
        files: makes every file of a report's folder.
        printed: gives the files of a figure for print.
        output: the folder.
        single_file: where the report stands once more, as one HTML file.
        budget_mb: megabytes that the site may take; None for any size.
        force: replace a report whose files were changed by hand.
        inputs: what the folder must not touch.

    Raises:
        OptionError: if no site takes so little.
        OutputError: if it is refused or cannot be written.
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
    written = write_site(site, output, force=force, inputs=inputs).warned(unmet)
    if single_file:
        written = write_single(written, single_file, single.content())
    return written
