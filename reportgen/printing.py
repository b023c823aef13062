"""What a paper takes of a report: figures, their numbers, tables, references, methods in words."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from reportgen.errors import OptionError
from reportgen.figures.files import COLUMN, FORMATS, Print
from reportgen.figures.offers import Offer, offers
from reportgen.figures.plate import data_file
from reportgen.figures.press import Press
from reportgen.papers.bibliography import bibtex
from reportgen.papers.examination import examination
from reportgen.papers.methods import methods_latex, provenance_text
from reportgen.papers.tables import latex_tables
from reportgen.report.records import Report
from reportgen.report.store import load_report
from reportgen.report.tables import csv_text
from reportgen.write import Written, claimed

LIST = "figures.csv"
"Names every figure; by it we know a folder that we may replace."
_UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
"Inches; a point is that of TeX, in which a document tells its widths."
NARROWEST, WIDEST = 2.0, 20.0
"Inches: letters of 6 points take room, whatever the width."


@dataclass(frozen=True)
class Printed:
    """What now stands in a folder."""

    written: Written
    figures: int
    left: int
    "Figures that there are beside these, for who asks by name."

    def summary(self) -> str:
        """What was made, how to get more, and where it is."""
        lines = [f"{self.figures} figures, {self.written.bytes / 1e6:.1f} MB"]
        if self.left:
            lines[0] += f"; {self.left} more by name, such as --only '*-activations-*'"
        return "\n".join([*lines, str(self.written.folder)])


def write_figures(
    report: Report | Path,
    output: Path,
    formats: str | Sequence[str] = FORMATS,
    width: str | float = COLUMN,
    *,
    only: Sequence[str] = (),
    force: bool = False,
) -> Printed:
    """Write the figures of a report, the numbers behind each, and what else a paper takes.

    Args:
        report: with its pictures; or the folder that holds it.
        output: a new or empty folder, or one that this wrote before.
        formats: of `pdf`, `svg` and `png`.
        width: inches, or a length with its unit: `3.25in`, `84mm`, `8.4cm`, `240pt`.
        only: globs of names, of which one has to fit; empty for the usual ones.
        force: replace a folder whose files were changed by hand.

    Raises:
        OptionError: if an argument makes no sense, or no figure has such a name.
        OutputError: if `output` is refused or cannot be written.
    """
    chosen_formats, inches = formats_in(formats), inches_in(width)
    inputs = (report,) if isinstance(report, Path) else ()
    loaded = load_report(report, pictures=True) if isinstance(report, Path) else report
    every = list(offers(loaded))
    chosen = _chosen(every, only)
    with claimed(output, inputs, force=force, holds=LIST) as claim, Press() as press:
        prints = [replace(offer.make(), formats=chosen_formats, width=inches) for offer in chosen]
        press.order(prints)
        files = _files(loaded, chosen, prints, press)
        written = claim.write(files)
    return Printed(written, len(chosen), 0 if only else len(every) - len(chosen))


def formats_in(given: str | Sequence[str]) -> tuple[str, ...]:
    """`pdf,svg` as formats, each once.

    Raises:
        OptionError: if one is none of ours, or there is none.
    """
    words = given.split(",") if isinstance(given, str) else given
    names = tuple(dict.fromkeys(word.strip().lower() for word in words if word.strip()))
    wrong = [name for name in names if name not in FORMATS]
    if wrong or not names:
        what = f"no {wrong[0]}" if wrong else "none was given"
        raise OptionError(f"--formats takes {', '.join(FORMATS)}, with commas between; {what}.")
    return names


def inches_in(given: str | float) -> float:
    """`3.25in`, `84mm`, `8.4cm` or `240pt` in inches; a bare number is inches.

    Raises:
        OptionError: if it is no length, or one that no figure fits.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(in|cm|mm|pt|)\s*", str(given).lower())
    if found is None:
        raise OptionError(f"--width takes a length such as 3.25in, 84mm or 240pt, not {given!r}.")
    inches = float(found[1]) * _UNITS[found[2] or "in"]
    if not NARROWEST <= inches <= WIDEST:
        raise OptionError(
            f"--width {given} is {inches:.3g} in; figures are {NARROWEST:g} to {WIDEST:g} in wide."
        )
    return inches


def _chosen(every: Sequence[Offer], only: Sequence[str]) -> list[Offer]:
    """The usual figures, or those that fit a name.

    Raises:
        OptionError: if a name fits none.
    """
    if not only:
        return [offer for offer in every if offer.is_common]
    for glob in only:
        if not any(fnmatchcase(offer.name, glob) for offer in every):
            near = get_close_matches(glob, [offer.name for offer in every], 3, 0.4)
            hint = f"; near it are {', '.join(near)}" if near else ""
            raise OptionError(f"No figure of this report is named {glob}{hint}.")
    return [offer for offer in every if any(fnmatchcase(offer.name, glob) for glob in only)]


def _files(
    report: Report, chosen: Sequence[Offer], prints: Sequence[Print], press: Press
) -> Iterator[tuple[str, bytes]]:
    """Every file of the folder, as (path, content)."""
    rows = []
    for offer, item in zip(chosen, prints, strict=True):
        form, content = data_file(item.data())
        data = f"data/{offer.name}.{form}"
        yield data, content
        rows.append((offer.name, offer.shows, data))
    yield LIST, csv_text(("figure", "shows", "data"), rows)
    for table in latex_tables(report):
        yield f"tables/{table.name}.tex", _utf8(table.source())
    yield "cite.bib", _utf8(bibtex(report))
    yield "methods.txt", _utf8(provenance_text(report))
    yield "methods.tex", _utf8(methods_latex(report) + "\n")
    yield "model-examination.md", _utf8(examination(report))
    for offer, item in zip(chosen, prints, strict=True):
        for form, content in press.drawn(item).items():
            yield f"{offer.name}.{form}", content


def _utf8(text: str) -> bytes:
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return text.encode("utf-8", "backslashreplace")
