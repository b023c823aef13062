"""Single files beside a report: each is new and whole, or as it was."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.write.destination import told
from reportgen.write.exchange import link, sync
from reportgen.write.interrupts import Held
from reportgen.write.locks import close
from reportgen.write.staging import new_file, settle, staged, write_all
from reportgen.written import Written

_HINT = "give another file"


def write_file(
    path: Path,
    content: bytes,
    *,
    append: bool = False,
    parents: bool = False,
    hint: str = _HINT,
) -> None:
    """Write a file that is no part of a report: in one step, or after what stands in it.

    Args:
        path: of the file.
        content: of the file.
        append: add to it.
        parents: make the folders that lead to it.
        hint: what the user can do where it cannot be written.

    Raises:
        OutputError: if it cannot be written.
    """
    with told(path, hint):
        target = path.resolve()  # what a link leads to
        if not parents and not target.parent.is_dir():
            raise OutputError(f"{path} lies in a folder that does not exist; {hint}")
        if target.exists() and (append or not target.is_file()):  # such as a pipe
            _append(target, content)
        else:
            write_together({target: content}, hint)


def write_single(written: Written, path: Path, content: bytes) -> Written:
    """Write the report in one file as well.

    Returns:
        What was written, the file among it.

    Raises:
        OutputError: if it cannot be written; the folder then stands without it.
    """
    write_file(path, content)
    return written.with_single(path, len(content))


def write_together(files: Mapping[Path, bytes | None], hint: str = _HINT) -> None:
    """Write files of one folder, or leave all of them as they were.

    Args:
        files: content by path; None for one that must not be there.
        hint: what the user can do where they cannot be written.

    Raises:
        OutputError: if they cannot be written.
    """
    first = next(iter(files))
    with told(first, hint):
        target = first.resolve()
    with staged(target, first, hint) as staging, told(first, hint):
        digests = {}
        for path, content in files.items():
            if content is not None:
                new_file(staging, f"new/{path.name}", content)
                digests[f"new/{path.name}"] = hashlib.sha256(content).hexdigest()
        settle(staging, digests)
        (staging / "old").mkdir()
        with Held():
            _replace([path.name for path in files], staging, target.parent)
            sync(target.parent)


def _replace(names: Iterable[str], staging: Path, folder: Path) -> None:
    """Put the new files in place, or all the old ones back."""
    done = []
    try:
        for name in names:
            place, new, old = folder / name, staging / "new" / name, staging / "old" / name
            if place.exists():
                link(place, old)
            if new.exists():
                new.replace(place)
            else:
                place.unlink(missing_ok=True)
            done.append((place, old))
    except OSError:
        _put_back(done)
        raise


def _put_back(done: Iterable[tuple[Path, Path]]) -> None:
    for place, old in done:
        try:
            if old.exists():
                old.replace(place)
            else:
                place.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{place} was replaced while what belongs to it could not be, and cannot be put "
                "back; run it again, or give another file"
            ) from error


def _append(target: Path, content: bytes) -> None:
    """Add to what stands in a file, or to a pipe; of a part, nothing stays in a file."""
    with Held():
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND)
        try:
            before = os.fstat(descriptor)
            is_file = stat.S_ISREG(before.st_mode)
            try:
                write_all(descriptor, content)
                if is_file:
                    os.fsync(descriptor)
            except OSError:
                if is_file:
                    os.ftruncate(descriptor, before.st_size)
                raise
        finally:
            close(descriptor)
