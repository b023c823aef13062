"""Whether a report may stand in a folder: nothing that is not ours is ever overwritten.

A report carries a marker, a file that lists what was written with its hashes. Only a folder that
is new, empty or an untouched report is replaced.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from reportgen.errors import OutputError

try:
    import fcntl as fcntl
except ImportError:  # Windows has no such locks; two runs to one folder are not kept apart there.
    fcntl = None  # type: ignore[assignment]

MARKER = ".reportgen"
"Lists every file of a report and its SHA-256."
REPORT = "report.json"
"What every report holds; a site of another kind is known by a file of its own."
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
"Left in any folder that a person looks into; neither kept nor held against it."


def check_output(
    output: Path, inputs: Sequence[Path] = (), *, force: bool = False, holds: str = REPORT
) -> Path:
    """The folder to write, resolved, if a report may stand there.

    Args:
        output: a new or empty folder, or a report that we wrote and nobody changed since.
        inputs: the model and the images, which the folder must not touch.
        force: accept a report whose files were changed, or that holds files of others.
        holds: a file that tells the sites that may be replaced.

    Raises:
        OutputError: if writing there could destroy something.
    """
    with told(output):
        if reason := _objection(output, inputs):
            raise OutputError(f"{output} {reason}; give another folder with -o")
        target = output.resolve()
        # Not while another run puts its report there; where nobody can look, nobody writes.
        is_there = os.access(target.parent, os.R_OK)
        with locked(target.parent) if is_there else nullcontext():
            foreign_files(target, output, force=force, holds=holds)
    return target


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
        ours = "report" if holds == REPORT else holds.partition(".")[0]
        raise OutputError(
            f"{output} is not empty and holds no {ours} of ours; give another folder with -o"
        )
    foreign = [name for name in present if name not in listed and name != MARKER]
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


def _files_in(folder: Path) -> list[str]:
    """Every file and link below a folder but litter, sorted."""
    if not folder.exists():
        return []
    found = []
    for root, folders, names in os.walk(folder, onerror=_raise):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        places = (Path(root) / name for name in (*names, *links) if name not in LITTER)
        found += [place.relative_to(folder).as_posix() for place in places]
    return sorted(found)


def _raise(error: OSError) -> None:
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
        files = json.loads((folder / MARKER).read_bytes())["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def file_hash(file: Path) -> str:
    """SHA-256 of a file; empty for a link, which is never ours."""
    return "" if file.is_symlink() else hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among the runs that write beside each other; waits for its turn."""
    if not fcntl:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            os.close(lock)


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
        }.get(error.errno or 0, (error.strerror or str(error)).lower())
        raise OutputError(
            f"cannot write {output} ({reason}), so nothing was changed there; {hint}"
        ) from error
