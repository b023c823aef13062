"""A folder beside the target in which the new is made, and which goes at the end, whatever comes.

It is locked while its run lives, so that the next run can tell what a killed one left.
"""

import glob
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from errno import EIO
from pathlib import Path

from reportgen.errors import OutputError
from reportgen.write.destination import MARKER, told
from reportgen.write.exchange import ASIDE, remove
from reportgen.write.interrupts import Held
from reportgen.write.locks import close, is_ours, opened, turn

_WAITING = 8
"Files that are waited for at a time until they are on the disk."
_RANDOM = "?" * 8
"What `tempfile` adds to a name."


@contextmanager
def staged(target: Path, output: Path, hint: str) -> Iterator[Path]:
    """A new folder beside the target, for as long as the block lasts.

    Args:
        target: what is to be replaced; no other run may be about to.
        output: its name for the user.
        hint: what the user can do where it cannot be.

    Raises:
        OutputError: if it cannot be made, or another run is at it.
    """
    folder, lock = None, None
    with Held() as held, _parents(target, output, hint):
        try:
            with held.lifted(), told(output, hint), turn(target.parent), Held():
                _clear(target, output, hint)
                folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
                lock = opened(folder)
                is_ours(lock)
                folder.chmod(0o755)
                new_file(folder, MARKER, b"{}\n")
            with held.lifted():
                yield folder
        finally:
            if folder:
                with suppress(OSError):  # it is gone, or the next run clears it
                    remove(folder, target)
            close(lock)


@contextmanager
def _parents(target: Path, output: Path, hint: str) -> Iterator[None]:
    """The folders that lead to the target; new ones go again if nothing comes to stand in them."""
    made: list[Path] = []
    try:
        with told(output, hint):
            made += [parent for parent in target.parents if not parent.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def _prefix(target: Path) -> str:
    return f".{target.name}.reportgen-"


def _clear(target: Path, output: Path, hint: str) -> None:
    """Remove what runs that were killed left beside the target; live ones hold a lock.

    Raises:
        OutputError: if one lives.
    """
    ours = f"{glob.escape(_prefix(target))}{_RANDOM}"
    for aside in target.parent.glob(f"{ours}{ASIDE}"):
        if target.exists():
            remove(aside, target)
        else:
            aside.rename(target)
    for folder in target.parent.glob(ours):
        lock = opened(folder)
        try:
            is_dead = is_ours(lock)
            if is_dead is False:
                raise OutputError(
                    f"{output} is in use by another run of reportgen; wait for it, or {hint}"
                )
            if is_dead:
                with suppress(OSError):  # something in it is not ours
                    remove(folder, target)
        finally:
            close(lock)


def new_file(folder: Path, name: str, content: bytes) -> None:
    """Write a file that is not there yet; it may still stand in the disk's cache."""
    place = folder / name
    for parent in reversed(place.relative_to(folder).parents[:-1]):
        if not (folder / parent).is_dir():
            (folder / parent).mkdir()
            (folder / parent).chmod(0o755)  # whatever the umask: a web server must read it
    with Held():
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)  # a full disk may show only here
    place.chmod(0o644)


def write_all(descriptor: int, content: bytes) -> None:
    """Write, in several steps where the system takes only a part."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def settle(folder: Path, digests: Mapping[str, str]) -> None:
    """Wait until files are on the disk as they were meant to be; several at a time.

    Args:
        folder: where they stand.
        digests: SHA-256 of each by its path.
    """
    with ThreadPoolExecutor(_WAITING) as threads:
        for _ in threads.map(lambda name: _settle(folder / name, digests[name]), digests):
            pass


def _settle(place: Path, digest: str) -> None:
    descriptor = os.open(place, os.O_RDWR)  # some systems refuse to sync with O_RDONLY
    try:
        os.fsync(descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    finally:
        os.close(descriptor)
    if found != digest:
        raise OSError(EIO, "The disk gives back something else than was written")
