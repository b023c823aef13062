"""The site of a saved report made again, without the network and without torch."""

from itertools import chain
from pathlib import Path

from reportgen.figures.files import figures_of
from reportgen.figures.press import Press
from reportgen.render.pages import pages
from reportgen.report.store import load_report, stored
from reportgen.write import Written, write_site


def rerender(folder: Path, output: Path, *, force: bool = False) -> Written:
    """Write the site of the report saved in `folder` to `output`, which may be the same folder.

    Raises:
        OptionError: if `folder` holds no report that this version can read.
        OutputError: if `output` is refused or cannot be written.
    """
    report = load_report(folder, pictures=True)
    with Press() as press:
        press.order(figures_of(report))
        return write_site(chain(stored(report), pages(report, press.drawn)), output, force=force)
