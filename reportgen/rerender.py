"""The site of a saved report made again, without the network and without torch."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from reportgen.errors import GateError
from reportgen.figures.files import figures_of
from reportgen.figures.press import Press
from reportgen.gates.judge import conditions_in, failure, judged_in_time
from reportgen.packing import write_report
from reportgen.render.pages import pages
from reportgen.report.store import load_report, stored
from reportgen.summary import report_summary, write_summary
from reportgen.write import Written, claimed
from reportgen.write.destination import check_file


def rerender(
    folder: Path,
    output: Path,
    *,
    force: bool = False,
    fail_on: Sequence[str] = (),
    summary_file: Path | None = None,
    summary_base: str = "",
    single_file: Path | None = None,
    budget_mb: float | None = None,
) -> tuple[Written, GateError | None]:
    """Write the site of the report saved in `folder` to `output`, which may be the same folder.

    Args:
        folder: of a report.
        output: where to write.
        force: replace a report whose files were changed by hand.
        fail_on: conditions that take the place of those the report was built with, which stand on
            its pages but fail nothing here.
        summary_file: where to sum the report up in Markdown.
        summary_base: address that the site will have.
        single_file: where to write the report once more, as one HTML file.
        budget_mb: megabytes that the site may take; None for any size.

    Returns:
        What was written, and which of `fail_on` failed.

    Raises:
        OptionError: if `folder` holds no report that this version can read, or not what a
            condition asks for.
        OutputError: if `output` is refused or cannot be written.
    """
    conditions = conditions_in(fail_on)
    for file in filter(None, (summary_file, single_file)):
        check_file(file, output, (folder,))
    report = load_report(folder, pictures=True)
    if conditions:
        report = replace(report, gates=judged_in_time(conditions, report))
    with claimed(output, force=force) as claim, Press() as press:
        press.order(figures_of(report))
        written = write_report(
            report,
            lambda fitting, printed: chain(stored(fitting), pages(fitting, printed)),
            press.drawn,
            claim,
            single_file=single_file,
            budget_mb=budget_mb,
        )
    if summary_file:
        write_summary(report_summary(report), summary_file, summary_base)
    return written, failure(report.gates) if conditions else None
