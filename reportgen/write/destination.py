"""Whether a report may stand in a folder: nothing that is not ours is ever overwritten.

A report carries a marker, a file that lists what was written with its hashes. Only a folder that
is new, empty or an untouched report is replaced.
"""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from reportgen.errors import OutputError

MARKER = ".reportgen"
"Lists every file of a report and its SHA-256."
REPORT = "report.json"
"What every report holds; a site of another kind is known by a file of its own."
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
"Left in any folder that a person looks into; neither kept nor held against it."

_LEAST = 1_000_000
"Bytes without which no report is begun."
_BLOCK = 4096
"Disks give room in pieces of about this many bytes."


def checked(output: Path, inputs: Sequence[Path] = ()) -> Path:
    """The folder to write, resolved, if it is no place where a report would do harm.

    Args:
        output: where the report is to stand.
        inputs: the model and the images, which the folder must not touch.

    Raises:
        OutputError: if it is one.
    """
    with told(output):
        if reason := _objection(output, inputs):
            raise OutputError(f"{output} {reason}; give another folder with -o")
        return output.resolve()


def _objection(output: Path, inputs: Sequence[Path]) -> str:
    """Why a report may not stand at `output`; empty where it may."""
    if output.is_symlink():
        return "is a symbolic link"
    target = output.resolve()
    if target.exists() and not target.is_dir():
        return "is a file"
    if any(parent.is_file() for parent in target.parents):
        return "lies below a file"
    if target == Path(target.anchor):
        return "is the root of the disk"
    if target.is_mount():
        return "is where a disk is mounted, which cannot be replaced; a folder in it can"
    with suppress(RuntimeError):  # no home folder is known
        if Path.home().resolve().is_relative_to(target):
            return "is or holds your home folder"
    if Path.cwd().is_relative_to(target):
        return "is or holds the folder you are in"
    if (target / ".git").exists():
        return "is the root of a git repository"
    for given in inputs:
        place = given.resolve()
        if place.is_relative_to(target):
            return f"is or holds {given}, which the report is made from"
        if place.is_dir() and target.is_relative_to(place):
            return f"lies in {given}, so the next build would take its pictures for images"
    return ""


def foreign_files(target: Path, output: Path, *, force: bool, holds: str = REPORT) -> list[str]:
    """Files in the target that are not ours; with anything but an untouched report, only by force.

    Raises:
        OutputError: if the folder may not be replaced.
    """
    present = _files_in(target)
    if not present:
        return []
    listed = listed_files(target)
    if holds not in listed:
        kind = "report" if holds == REPORT else holds.partition(".")[0]
        raise OutputError(
            f"{output} is not empty and holds no {kind} of ours; give another folder with -o"
        )
    ours = {MARKER, *listed, *(str(up) for name in listed for up in PurePosixPath(name).parents)}
    foreign = [name for name in present if name not in ours]
    edited = [
        name for name in present if name in listed and file_hash(target / name) != listed[name]
    ]
    if not force:
        for names, what in (
            (foreign, "did not come from reportgen"),
            (edited, "was changed since"),
        ):
            if names:
                others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
                raise OutputError(
                    f"{output} holds a report in which {names[0]}{others} {what}; give another "
                    "folder with -o, or --force to replace the report and keep other files"
                )
    return foreign


def check_room(target: Path, output: Path) -> None:
    """Refuse a disk on which the new report has no room beside what stands in its place.

    How large it will be is not known before it is made: it is taken to be as large as the old one.

    Raises:
        OutputError: if there is too little.
    """
    sizes = [
        (target / name).stat().st_size for name in listed_files(target) if (target / name).is_file()
    ]
    needed = max(_LEAST, sum(-(-size // _BLOCK) * _BLOCK for size in sizes))
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise OutputError(
            f"{output} cannot be written: {free / 1e6:.1f} MB are free on its disk and the report "
            f"needs {needed / 1e6:.1f} MB, for the old one stays until the new one is complete; "
            "make room, or give another folder with -o"
        )


def _files_in(folder: Path) -> list[str]:
    """Every file, link and empty folder below a folder but litter, sorted."""
    if not folder.exists():
        return []
    found = []
    for root, folders, names in os.walk(folder, onerror=fail):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [Path(root) / name for name in (*names, *links) if name not in LITTER]
        if not folders and not names:
            found.append(Path(root))
    return sorted(place.relative_to(folder).as_posix() for place in found if place != folder)


def fail(error: OSError) -> None:
    """Raise what `os.walk` would pass over."""
    raise error


def check_file(path: Path, output: Path, inputs: Sequence[Path] = ()) -> None:
    """Refuse a file that cannot be written, or that would do harm, before anything is done.

    Args:
        path: a file that is no part of a report.
        output: the folder of the report, which holds nothing else.
        inputs: the model and the images, which are not to be touched.

    Raises:
        OutputError: if it is refused.
    """
    with told(path, "give another file"):
        target = path.resolve()
        if target.is_dir():
            reason = "is a folder"
        elif not target.parent.is_dir():
            reason = "lies in a folder that does not exist"
        elif not os.access(target if target.exists() else target.parent, os.W_OK):
            reason = "is where you may not write"
        elif target.is_relative_to(output.resolve()):
            reason = f"lies in the folder of the report, {output}"
        elif any(target.is_relative_to(given.resolve()) for given in inputs):
            reason = "is or lies among the model and the images"
        else:
            return
    raise OutputError(f"{path} {reason}; give another file")


def listed_files(folder: Path) -> dict[str, str]:
    """What the marker of a report lists, SHA-256 by path; empty where there is no marker."""
    try:
        # Not what only has its name, such as a pipe, from which nothing would come.
        text = (folder / MARKER).read_bytes() if (folder / MARKER).is_file() else b""
        return {str(name): str(digest) for name, digest in json.loads(text)["files"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def file_hash(file: Path) -> str:
    """SHA-256 of a file; empty for a link or a pipe, which are never ours."""
    if not stat.S_ISREG(file.lstat().st_mode):
        return ""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def told(output: Path, hint: str = "give another folder with -o") -> Iterator[None]:
    """Tell what the system refuses as one sentence.

    Raises:
        OutputError: for every `OSError`.
    """
    try:
        yield
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "your share of the disk is used up",
            errno.EROFS: "the disk is read-only",
            errno.EACCES: "you may not write there",
            errno.EPERM: "you may not write there",
            errno.EBUSY: "it is in use, or a disk is mounted there",
            errno.EXDEV: "it lies on another disk than the folder around it",
        }.get(error.errno or 0, (error.strerror or str(error)).lower())
        raise OutputError(
            f"cannot write {output} ({reason}), so nothing was changed there; {hint}"
        ) from error
