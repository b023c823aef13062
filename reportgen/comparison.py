"""Saved reports to the site that says what changed between them, without a network or torch."""

from collections.abc import Sequence
from pathlib import Path

from reportgen import __version__
from reportgen.compare.compared import compared
from reportgen.compare.given import given_reports
from reportgen.compare.records import Comparison
from reportgen.compare.store import FILE
from reportgen.destination import check_output
from reportgen.render.comparison import comparison_pages
from reportgen.write import Written, write_site


def compare_reports(
    folders: Sequence[Path], output: Path, *, title: str = "", image: str = "", force: bool = False
) -> tuple[Written, Comparison]:
    """Write the site that compares the reports in `folders`, in this order, to `output`.

    Raises:
        OptionError: if these are not two or more reports, or `image` is in none of them.
        OutputError: if `output` is refused or cannot be written.
    """
    reports = given_reports(folders, output)
    check_output(output, folders, force=force, holds=FILE)
    comparison = compared(reports, version=__version__, title=title, image=image)
    files = comparison_pages(comparison)
    return write_site(files, output, force=force, inputs=folders, holds=FILE), comparison
