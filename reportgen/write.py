"""Files to a folder, all or nothing: what stood there stays until the new report is complete.

The files go to a folder beside the target, which then changes places with it in one step.
"""

import ctypes
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from reportgen.destination import (
    LITTER,
    MARKER,
    REPORT,
    check_output,
    fcntl,
    file_hash,
    foreign_files,
    listed_files,
    locked,
    told,
)
from reportgen.errors import OutputError
from reportgen.written import Written as Written

_NAME = re.compile(r"(?!.*(^|/)\.{1,2}(/|$))[\w.-]+(/[\w.-]+)*", re.ASCII)
_EXCHANGE = 2
"RENAME_EXCHANGE of Linux's renameat2."

_WAITING = 8
"Files that are waited for at a time until they are on the disk."


def write_site(
    files: Iterable[tuple[str, bytes]],
    output: Path,
    *,
    force: bool = False,
    inputs: Sequence[Path] = (),
    holds: str = REPORT,
) -> Written:
    """Write the files of a report to the folder `output`, or leave everything as it was.

    Args:
        files: (path, content), the path relative, ASCII and with forward slashes.
        output: a new or empty folder, or a report that we wrote and nobody changed since.
        force: replace a report whose files were changed; files that are not ours are kept.
        inputs: the model and the images, which the folder must not touch.
        holds: a file that tells the sites that may be replaced.

    Raises:
        OutputError: if the folder is refused or writing fails.
        ValueError: if a path is unsafe or names two different files.
    """
    target = check_output(output, inputs, force=force, holds=holds)
    known: dict[str, tuple[str, str]] = {}
    size = 0
    with _parents(target, output), _staging(target, output) as staging:
        for name, content in files:
            digest = hashlib.sha256(content).hexdigest()
            if _is_new(name, digest, known):
                with told(output):
                    _write(staging, name, content)
                size += len(content)
        with told(output), locked(target.parent):
            (staging / MARKER).unlink()
            marker = json.dumps({"files": dict(sorted(known.values()))}, indent=1)
            _write(staging, MARKER, f"{marker}\n".encode())
            _settle([staging / MARKER, *(staging / name for name, _ in known.values())])
            for name in foreign_files(target, output, force=force, holds=holds):
                _keep(target, staging, name)
            for folder, _, _ in os.walk(staging):
                _sync(Path(folder))
            _exchange(staging, target)
            _sync(target.parent)
    return Written(output, len(known), size)


def write_file(path: Path, content: bytes, *, append: bool = False) -> None:
    """Write a file that is no part of a report: in one step, or after what stands in it.

    Raises:
        OutputError: if it cannot be written.
    """
    target = path.resolve()  # what a link leads to
    if append or (target.exists() and not target.is_file()):  # such as a pipe
        with told(path, "give another file"), target.open("ab") as file:
            file.write(content)
    else:
        write_together({target: content})


def write_single(written: Written, path: Path, content: bytes) -> Written:
    """Write the report in one file as well.

    Returns:
        What was written, the file among it.

    Raises:
        OutputError: if it cannot be written; the folder then stands without it.
    """
    write_file(path, content)
    return written.with_single(path, len(content))


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files of one folder, none of which takes its place before all are complete.

    Raises:
        OutputError: if they cannot be written.
    """
    first = next(iter(files))
    folder = first.resolve().parent
    with (
        told(first, "give another file"),
        tempfile.TemporaryDirectory(prefix=_prefix(first), dir=folder) as staging,
    ):
        for path, content in files.items():
            _write(Path(staging), path.name, content)
        _settle([Path(staging, path.name) for path in files])
        for path in files:
            Path(staging, path.name).replace(folder / path.name)
        _sync(folder)


def _is_new(name: str, digest: str, known: dict[str, tuple[str, str]]) -> bool:
    """Whether the file is still to be written; the same file may come twice."""
    if not _NAME.fullmatch(name) or name == MARKER:
        raise ValueError(f"a report may not hold a file named {name!r}")
    # Some disks do not tell cases apart, so neither do we.
    before = known.get(name.casefold())
    if before not in {None, (name, digest)}:
        raise ValueError(f"two files of the report are named {name!r}")
    known[name.casefold()] = (name, digest)
    return before is None


@contextmanager
def _parents(target: Path, output: Path) -> Iterator[None]:
    """The folders that lead to the target; new ones go again if nothing comes to stand in them."""
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        with told(output):
            target.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


@contextmanager
def _staging(target: Path, output: Path) -> Iterator[Path]:
    """A new folder beside the target; what is in its place at the end is removed."""
    staging, ours, lock = None, 0, None
    try:
        with told(output):
            with locked(target.parent):
                _clear_abandoned(target)
                staging = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
                ours = staging.stat().st_ino
            lock = os.open(staging, os.O_RDONLY)
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX)
            staging.chmod(0o755)
            _write(staging, MARKER, b"{}\n")
        yield staging
    finally:
        with suppress(OSError):
            if lock is not None:
                os.close(lock)
        with suppress(OSError):
            # After the exchange, the old report stands here: remove no more than is known of it.
            if staging and staging.stat().st_ino == ours:
                shutil.rmtree(staging)
            elif staging:
                _remove(staging, target)


def _prefix(target: Path) -> str:
    return f".{target.name}.reportgen-"


def _clear_abandoned(target: Path) -> None:
    """Remove what runs that were killed left beside the target; live ones hold a lock."""
    if not fcntl:
        return
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (folder / MARKER).is_file():
                    shutil.rmtree(folder)
            finally:
                os.close(lock)


def _write(folder: Path, name: str, content: bytes) -> None:
    """A new file, which may still stand in the disk's cache."""
    place = folder / name
    for parent in reversed(place.relative_to(folder).parents[:-1]):
        if not (folder / parent).is_dir():
            (folder / parent).mkdir()
            (folder / parent).chmod(0o755)  # whatever the umask: a web server must read it
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)  # a full disk may show only here
    place.chmod(0o644)


def _settle(places: Sequence[Path]) -> None:
    """Wait until files are on the disk; several at a time, for disks do them together."""
    with ThreadPoolExecutor(_WAITING) as threads:
        for _ in threads.map(_settle_one, places):
            pass


def _settle_one(place: Path) -> None:
    descriptor = os.open(place, os.O_RDWR)  # some systems refuse with O_RDONLY
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keep(old: Path, new: Path, name: str) -> None:
    """Bring a file that is not ours over to the new report."""
    if (new / name).exists():
        raise OutputError(
            f"{old / name} did not come from reportgen and the new report has a file of that name; "
            "move it away or give another folder with -o"
        )
    (new / name).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old / name, new / name, follow_symlinks=False)
    except OSError:  # some disks have no links
        shutil.copy2(old / name, new / name, follow_symlinks=False)


def _exchange(staging: Path, target: Path) -> None:
    """Put the new folder in the place of the old one, which then stands where the new one was."""
    if not target.exists() or not any(target.iterdir()):
        staging.replace(target)
        return
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if swap and swap(-100, os.fsencode(staging), -100, os.fsencode(target), _EXCHANGE) == 0:
        return
    # Not Linux, or a disk that cannot: for a moment there is no report.
    aside = staging.with_name(f"{staging.name}-old")
    target.rename(aside)
    try:
        staging.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    aside.rename(staging)


def _remove(old: Path, new: Path) -> None:
    """Delete the old report: what it lists, litter, and what was brought over to the new one."""
    listed = {*listed_files(old), MARKER}
    for root, folders, names in os.walk(old, topdown=False):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        for place in (Path(root) / name for name in (*names, *links)):
            name = place.relative_to(old).as_posix()
            if name in listed or place.name in LITTER or _is_same(place, new / name):
                place.unlink()
        for name in set(folders) - set(links):
            (Path(root) / name).rmdir()
    old.rmdir()


def _is_same(one: Path, other: Path) -> bool:
    if one.is_symlink():
        return other.is_symlink() and one.readlink() == other.readlink()
    return other.is_file() and (one.samefile(other) or file_hash(one) == file_hash(other))


def _sync(folder: Path) -> None:
    with suppress(OSError):  # some disks cannot, and the files are there already
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
