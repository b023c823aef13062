"""Saved Hugging Face datasets, in Arrow or Parquet files: read as data, by pyarrow alone.

Nothing is looked up in a network, and no code that comes with a data set is run.
"""

import json
import os
import stat
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen.errors import OptionError
from reportgen.load.candidates import PLAINLY_OTHER, UNFOLLOWED, Candidate, Part, text
from reportgen.load.content import TOO_LARGE, content, opened
from reportgen.load.decode import MAX_BYTES, UnreadableImage
from reportgen.load.tables import PARQUET, Kept, Table, has_images
from reportgen.report.records import SkippedImage

_STATE, _SPLITS = "state.json", "dataset_dict.json"
_MAX_DESCRIPTION = 2**24


def is_dataset(location: Path, *, follow_links: bool = False) -> bool:
    """Whether a folder is a data set that `datasets` saved, or holds one in Parquet files.

    Images may lie beside a `state.json` of something else, or beside a table that says more of
    them: such a folder is one of images.
    """
    for name, key, others in (
        (_SPLITS, "splits", f"*/{_STATE}"),
        (_STATE, "_data_files", "*.arrow"),
    ):
        if not _is_file(location / name):
            continue
        try:
            if isinstance(_json(location / name).get(key), list):
                return True
        except OptionError:
            # Damaged, which is said where it is a data set's.
            if any(location.glob(others)):
                return True
    files = _parquet_files(location)
    allowed = (file for file in files if follow_links or _is_inside(file, location))
    return bool(files) and (any(map(has_images, allowed)) or not _holds_others(location))


def is_table(head: bytes) -> bool:
    """Whether a file that begins so is a Parquet file."""
    return head.startswith(PARQUET)


def saved(location: Path, *, follow_links: bool = False) -> Part:
    """The images of a data set, row by row, with the names of their classes.

    Raises:
        OptionError: if pyarrow is not installed, or no column holds images.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise OptionError(
            f"{location} is a data set in Arrow or Parquet files, which needs pyarrow: "
            "pip install torch-reportgen[datasets]."
        ) from error
    parts: list[Part] = []
    skipped: dict[Hashable, SkippedImage] = {}
    kept = Kept()
    found = _files(location)
    for split, files in found:
        used = []
        for file in files:
            if follow_links or location.is_file() or _is_inside(file, location):
                used.append(file)
                continue
            path = "/".join(map(text, file.relative_to(location).parts))
            skipped[file] = SkippedImage(path, f"This is a link out of the folder, {UNFOLLOWED}")
        try:
            parts.append(_of_split(split, [Table(file, kept) for file in used], location))
        except (
            *(pa.ArrowException, OSError, ValueError, LookupError, OverflowError),
            UnreadableImage,
        ) as error:
            reason = f"The data set cannot be read ({_reason(error, location)})."
            skipped[split] = SkippedImage(split, reason)
    names = {part.class_names for part in parts if part.is_named}
    splits = ", ".join(split for split, _ in found)
    notes = (f"The splits {splits} were read: give one alone for its own numbers.",)
    return Part(
        tuple(candidate for part in parts for candidate in part.candidates),
        skipped,
        notes if len(found) > 1 else (),
        class_names=names.pop() if len(names) == 1 else (),
    )


def _reason(error: Exception, location: Path) -> str:
    """What went wrong, in few words, without the folders of this machine."""
    reason = " ".join(str(error).split())
    if isinstance(error, OSError) or str(location) in reason:
        return "one of its files cannot be opened"
    return reason[:120].rstrip(". ")


def _files(location: Path) -> list[tuple[str, list[Path]]]:
    """The files of each split, under its name."""
    if location.is_file():
        return [("", [location])]
    splits = _listed(location / _SPLITS, "splits")
    if splits is not None:
        names = [name for name in splits if isinstance(name, str) and _is_plain(name)]
        return [(text(name), _arrow_files(location / name)) for name in names]
    if _listed(location / _STATE, "_data_files") is not None:
        return [("", _arrow_files(location))]
    files = _parquet_files(location)
    # A table beside those of images, if any is one, says more of them.
    used = [file for file in files if has_images(file) is not False] or files
    found: dict[str, list[Path]] = {}
    for file in used:
        # As `train-00000-of-00002.parquet` is named.
        found.setdefault(text(file.stem.partition("-")[0]), []).append(file)
    return list(found.items())


def _parquet_files(location: Path) -> list[Path]:
    places = (location, location / "data")
    files = (file for place in places for file in sorted(place.glob("*.parquet")))
    return [file for file in files if _is_file(file)]


def _arrow_files(folder: Path) -> list[Path]:
    entries = _listed(folder / _STATE, "_data_files") or []
    names = [entry.get("filename", "") for entry in entries if isinstance(entry, dict)]
    return [folder / name for name in names if isinstance(name, str) and _is_plain(name)]


def _listed(file: Path, key: str) -> list[Any] | None:
    """A list in a description; None where there is none."""
    found = _json(file).get(key) if _is_file(file) else None
    return found if isinstance(found, list) else None


def _json(file: Path) -> Mapping[str, Any]:
    try:
        with opened(file) as source:
            data = source.read(_MAX_DESCRIPTION + 1)
        found = json.loads(data) if len(data) <= _MAX_DESCRIPTION else None
    except (OSError, ValueError, RecursionError, UnreadableImage) as error:
        raise OptionError(f"{file} is damaged: it should describe a data set.") from error
    return found if isinstance(found, dict) else {}


def _is_plain(name: str) -> bool:
    """Whether a name stays in its folder, and may be that of a file."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return bool(name) and name == Path(name).name and name != ".." and "\0" not in name


def _is_file(location: Path) -> bool:
    """Whether it is a regular file, links followed, that may be looked at."""
    try:
        return stat.S_ISREG(location.stat().st_mode)
    except (OSError, ValueError):
        return False


def _is_inside(file: Path, folder: Path) -> bool:
    """Whether a file, its links followed, lies in a folder."""
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def _holds_others(location: Path) -> bool:
    """Whether there is a file below a folder that may be an image."""
    return any(
        not name.startswith(".") and Path(name).suffix.lower() not in PLAINLY_OTHER
        for _, _, names in os.walk(location)
        for name in names
    )


@dataclass(frozen=True, eq=False)
class _InTable:
    """The image of one row."""

    table: Table
    row: int
    folder: Path
    "Of the data set: images that it names rather than holds lie there."

    def read(self) -> bytes:
        """Its content; raises UnreadableImage."""
        import pyarrow as pa

        try:
            data, path = self.table.cell(self.row)
        except (pa.ArrowException, OSError, ValueError, LookupError, OverflowError) as error:
            raise UnreadableImage("The data set is damaged here.") from error
        if data is not None:
            if len(data) > MAX_BYTES:
                raise UnreadableImage(TOO_LARGE)
            return data
        if not path:
            raise UnreadableImage("The row holds no image.")
        if "\0" in path:
            raise UnreadableImage("The row names a file that cannot be.")
        place = self.folder / path
        if not _is_inside(place, self.folder):
            raise UnreadableImage("The row names a file out of the data set's folder.")
        return content(Path(os.path.realpath(place)))


def _of_split(split: str, tables: Sequence[Table], location: Path) -> Part:
    folder = location if location.is_dir() else location.parent
    candidates, start = [], 0
    for table in tables:
        for row, (label, index) in enumerate(table.labels()):
            number = f"{split}/{start + row}" if split else str(start + row)
            shown = None if label is None else text(label)
            place = _InTable(table, row, folder)
            candidates.append(Candidate(place, number, None, shown, index))
        start += table.rows
    names = {table.names for table in tables} - {()}
    return Part(tuple(candidates), class_names=names.pop() if len(names) == 1 else ())
