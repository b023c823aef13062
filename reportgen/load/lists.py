"""Lists of image files: `@files.txt` with one path a line, and CSV with a class for each."""

import csv
import os
import stat
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from reportgen.errors import OptionError
from reportgen.load.candidates import UNFOLLOWED, Candidate, Part, text
from reportgen.report.records import SkippedImage

TABLES = (".csv", ".tsv")
PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img")
"A first row with one of these names, in any case, is a header."
LABEL_COLUMNS = (
    *("label", "class", "class_name", "category", "target", "cls"),
    *("class_index", "class_id", "label_id"),
)
"The first of these that the header has holds the classes, by name or index."

_MAX_BYTES = 2**30


@dataclass(frozen=True)
class _Row:
    path: str
    label: str = ""


def listed(location: Path, *, follow_links: bool) -> Part:
    """The files that a list names, relative to the folder it lies in.

    Names that lead out of that folder, also by links, are followed only where that is asked for.
    A file that is named again counts once, with the class stated first.

    Raises:
        OptionError: if the list cannot be read, or has no column of paths.
    """
    try:
        if location.stat().st_size > _MAX_BYTES:
            raise OptionError(f"{location} is too large to be a list of images.")
        rows, notes = _rows(location)
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OptionError(f"The list {location} cannot be read: {reason}.") from error
    base = Path(os.path.normpath(location.parent.absolute()))
    inside = Path(os.path.realpath(base))
    found: dict[Path, tuple[str, str]] = {}
    for row in rows:
        place = Path(os.path.normpath(base / row.path))
        label, problem = found.get(place, ("", ""))
        if place not in found:
            problem = _problem(place, base, inside, follow_links)
        elif label and row.label and label != row.label:
            problem = f"It is named again with another class ({text(row.label)})."
        found[place] = (label or row.label, problem)
    root = base
    used = [place for place, (_, problem) in found.items() if not problem]
    if not all(place.is_relative_to(base) for place in used):
        root = Path(os.path.commonpath([place.parent for place in used]))
    candidates: list[Candidate] = []
    skipped: dict[Hashable, SkippedImage] = {}
    for place, (label, problem) in found.items():
        if problem:
            # Folders of this machine outside of the list's own are nobody's business.
            parts = place.relative_to(base).parts if place.is_relative_to(base) else (place.name,)
            skipped[place] = SkippedImage("/".join(map(text, parts)), problem)
            continue
        parts = place.relative_to(root).parts
        folder = text(parts[0]) if len(parts) == 2 else None
        path = "/".join(map(text, parts))
        candidates.append(Candidate(place, path, folder, text(label) or None))
    return Part(tuple(candidates), skipped, notes)


def _problem(place: Path, base: Path, inside: Path, follow_links: bool) -> str:
    """Why a file that is named cannot be read; empty where it may be tried."""
    is_outside = not place.is_relative_to(base)
    if is_outside and not follow_links:
        return f"The list names a file out of its own folder, {UNFOLLOWED}"
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError):
        return "The list names it, and there is no such file."
    if stat.S_ISDIR(mode):
        return "This is a folder, and a list names files."
    if not stat.S_ISREG(mode):
        return "This is not a regular file."
    if not follow_links and not Path(os.path.realpath(place)).is_relative_to(inside):
        return f"This is a link out of the folder, {UNFOLLOWED}"
    return ""


def _rows(location: Path) -> tuple[list[_Row], tuple[str, ...]]:
    """What a list names, in its order, and how it was understood."""
    # File names need not be UTF-8: such bytes come back as they are.
    with location.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if location.suffix.lower() in TABLES:
            return _of_table(location, list(_cells(location, file)))
        lines = (line.rstrip("\r\n") for line in file)
        return [_Row(line) for line in lines if line.strip()], ()


def _cells(location: Path, file: TextIO) -> Iterator[list[str]]:
    first = file.readline()
    file.seek(0)
    mark = "\t" if location.suffix.lower() == ".tsv" else ","
    # As spreadsheets write it where the comma is in numbers.
    mark = ";" if mark == "," and "," not in first and ";" in first else mark
    for row in csv.reader(file, delimiter=mark, strict=True):
        if any(cell.strip() for cell in row):
            yield [cell.strip() for cell in row]


def _of_table(location: Path, rows: list[list[str]]) -> tuple[list[_Row], tuple[str, ...]]:
    """The rows of a table by its header, else its first column as paths, its second as classes."""
    header = [cell.casefold() for cell in rows[0]] if rows else []
    at = next((header.index(name) for name in PATH_COLUMNS if name in header), None)
    if at is None:
        _refuse_other_header(location, rows)
        said = f"{text(location.name)} has no header: its first column names the files"
        said += ", its second their classes" if any(len(row) > 1 for row in rows) else ""
        return [_Row(row[0], row[1] if len(row) > 1 else "") for row in rows], (f"{said}.",)
    of = next((header.index(name) for name in LABEL_COLUMNS if name in header), None)
    said = f"column {text(rows[0][at])} names the files"
    said += f", column {text(rows[0][of])} their classes" if of is not None else ", none a class"
    return [
        _Row(row[at], row[of] if of is not None and of < len(row) else "")
        for row in rows[1:]
        if at < len(row)
    ], (f"Of {text(location.name)}, {said}.",)


def _refuse_other_header(location: Path, rows: list[list[str]]) -> None:
    """A first row that names no file is a header of other columns, where the second does.

    Raises:
        OptionError: if it is so.
    """
    if not rows or (location.parent / rows[0][0]).exists():
        return
    if any((location.parent / cell).is_file() for row in rows[1:2] for cell in row):
        raise OptionError(
            f"{location} has the columns {', '.join(map(text, rows[0]))}, of which none is known "
            f"to name files: call it path, and that of the classes label."
        )
