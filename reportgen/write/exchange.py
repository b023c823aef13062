"""The new report takes the place of the old one in one step, and the old one goes."""

import ctypes
import os
import shutil
from contextlib import suppress
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.write.destination import LITTER, MARKER, fail, file_hash, listed_files

ASIDE = "-old"
"Ends the name of the old report for the moment in which there is none, where it takes one."
_EXCHANGE = 2
"RENAME_EXCHANGE of Linux's renameat2."
_HERE = -100
"AT_FDCWD: paths are those of this process."


def exchange(new: Path, target: Path) -> Path:
    """Put the new folder in the place of the old one.

    Returns:
        Where the old one now stands, if there was one.
    """
    if not target.exists() or not any(target.iterdir()):
        new.replace(target)
        return new
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if swap and swap(_HERE, os.fsencode(new), _HERE, os.fsencode(target), _EXCHANGE) == 0:
        return new
    # Not Linux, or a disk that cannot: for a moment there is no report. Whoever is killed then
    # leaves it aside, and the next run puts it back.
    aside = new.with_name(f"{new.name}{ASIDE}")
    target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        _put_back(aside, target)
        raise
    return aside


def _put_back(aside: Path, target: Path) -> None:
    try:
        aside.rename(target)
    except OSError as error:
        raise OutputError(
            f"{target} could not be replaced, nor put back: the report that stood there is whole, "
            f"in {aside.name} beside it; the next build to that folder puts it back, or rename it"
        ) from error


def keep(name: str, old: Path, new: Path) -> None:
    """Bring a file, link or empty folder that is not ours over to the new report.

    Raises:
        OutputError: if the new report has one of that name.
    """
    place, kept = old / name, new / name
    if os.path.lexists(kept):
        raise OutputError(
            f"{place} did not come from reportgen and the new report has a file of that name; "
            "move it away or give another folder with -o"
        )
    if place.is_dir() and not place.is_symlink():
        kept.mkdir(parents=True)
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    link(place, kept)


def link(place: Path, other: Path) -> None:
    """Give a file a second name, or copy it."""
    try:
        os.link(place, other, follow_symlinks=False)
    except OSError:  # some disks have no links
        shutil.copy2(place, other, follow_symlinks=False)


def remove(folder: Path, new: Path) -> None:
    """Delete what was begun and not finished; of an old report, no more than we know of.

    That is what it lists, litter, and what was brought over to the new one. The marker goes last:
    who is killed here leaves what the next run recognises.
    """
    listed = listed_files(folder)
    is_begun = not listed and (folder / MARKER).is_file()
    for root, folders, names in os.walk(folder, topdown=False, onerror=fail):
        links = {name for name in folders if (Path(root) / name).is_symlink()}
        for place in (Path(root) / name for name in (*names, *links)):
            name = place.relative_to(folder).as_posix()
            is_known = name in listed or place.name in LITTER
            if name != MARKER and (is_begun or is_known or _is_same(place, new / name)):
                place.unlink()
        for name in set(folders) - links:
            (Path(root) / name).rmdir()
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def _is_same(one: Path, other: Path) -> bool:
    if one.is_symlink():
        return other.is_symlink() and one.readlink() == other.readlink()
    return other.is_file() and (one.samefile(other) or file_hash(one) == file_hash(other))


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    with suppress(OSError):  # some disks cannot, and the files are there already
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
