"""Saved reports to the site that says what changed between them, without a network or torch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reportgen import __version__
from reportgen.compare.compared import compared
from reportgen.compare.given import given_reports
from reportgen.compare.store import FILE
from reportgen.errors import GateError
from reportgen.gates.judge import conditions_in, failure, judged_in_time
from reportgen.render.comparison import comparison_pages
from reportgen.summary import comparison_summary, write_summary
from reportgen.write import Written, claimed
from reportgen.write.destination import check_file


def compare_reports(
    folders: Sequence[Path],
    output: Path,
    *,
    title: str = "",
    image: str = "",
    force: bool = False,
    fail_on: Sequence[str] = (),
    summary_file: Path | None = None,
    summary_base: str = "",
) -> tuple[Written, GateError | None]:
    """Write the site that compares the reports in `folders`, in this order, to `output`.

    Returns:
        What was written, and which of `fail_on` failed; what they ask of one report is asked of the
        last.

    Raises:
        OptionError: if these are not two or more reports, `image` is in none of them, or they do
            not hold what a condition asks for.
        OutputError: if `output` is refused or cannot be written.
    """
    conditions = conditions_in(fail_on, comparing=True)
    reports = given_reports(folders, output)
    if summary_file:
        check_file(summary_file, output, folders)
    with claimed(output, folders, force=force, holds=FILE) as claim:
        comparison = compared(reports, version=__version__, title=title, image=image)
        gates = judged_in_time(conditions, reports[-1].report, comparison.metrics)
        comparison = replace(comparison, gates=gates)
        written = claim.write(comparison_pages(comparison))
    if summary_file:
        write_summary(comparison_summary(comparison), summary_file, summary_base)
    return written, failure(gates)
