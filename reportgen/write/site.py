"""The files of a site to a folder: in the end it holds all of the new one, or what it held.

They go to a folder beside it, which then changes places with it in one step.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reportgen.write.destination import (
    MARKER,
    REPORT,
    check_room,
    checked,
    foreign_files,
    told,
)
from reportgen.write.exchange import exchange, keep, remove, sync
from reportgen.write.interrupts import Held
from reportgen.write.links import Links
from reportgen.write.locks import turn
from reportgen.write.staging import new_file, settle, staged
from reportgen.written import Written

_NAME = re.compile(r"(?!.*(^|/)\.{1,2}(/|$))[\w.-]+(/[\w.-]+)*", re.ASCII)
_HINT = "give another folder with -o"


@contextmanager
def claimed(
    output: Path, inputs: Sequence[Path] = (), *, force: bool = False, holds: str = REPORT
) -> Iterator["Claim"]:
    """Keep a folder for a site that is yet to be made: no other run may have it meanwhile.

    What would stop the site from being written is found out here, before anything is computed.

    Args:
        output: a new or empty folder, or a report that we wrote and nobody changed since.
        inputs: the model and the images, which the folder must not touch.
        force: replace a report whose files were changed; files that are not ours are kept.
        holds: a file that tells the sites that may be replaced.

    Raises:
        OutputError: if the folder is refused, is in use, cannot be written or has too little room.
    """
    target = checked(output, inputs)
    with staged(target, output, _HINT) as staging:
        claim = Claim(output, target, staging, force, holds)
        with told(output):
            claim.foreign()
            check_room(target, output)
        yield claim


def write_site(
    files: Iterable[tuple[str, bytes]],
    output: Path,
    *,
    force: bool = False,
    inputs: Sequence[Path] = (),
    holds: str = REPORT,
) -> Written:
    """Write the files of a site that takes no time to make: claim its folder, and write it."""
    with claimed(output, inputs, force=force, holds=holds) as claim:
        return claim.write(files)


@dataclass(frozen=True)
class Claim:
    """A folder that is kept for one site."""

    output: Path
    target: Path
    "The same, resolved."
    staging: Path
    force: bool
    holds: str

    def foreign(self) -> list[str]:
        """What stands in the folder and is not ours."""
        return foreign_files(self.target, self.output, force=self.force, holds=self.holds)

    def write(self, files: Iterable[tuple[str, bytes]]) -> Written:
        """Write the files of the site, or leave everything as it was.

        Args:
            files: (path, content), the path relative, ASCII and with forward slashes.

        Raises:
            OutputError: if writing fails.
            ValueError: if a path is unsafe or names two different files, or a link leads nowhere.
        """
        digests, size = self._staged(files)
        with told(self.output):
            marker = f"{json.dumps({'files': digests}, indent=1)}\n".encode()
            new_file(self.staging, f"{MARKER}-new", marker)
            settle(self.staging, {f"{MARKER}-new": hashlib.sha256(marker).hexdigest(), **digests})
            with turn(self.target.parent), Held():
                (self.staging / f"{MARKER}-new").replace(self.staging / MARKER)
                for name in self.foreign():
                    keep(name, self.target, self.staging)
                for folder, _, _ in os.walk(self.staging):
                    sync(Path(folder))
                old = exchange(self.staging, self.target)
                return Written(self.output, len(digests), size).warned(self._cleared(old))

    def _staged(self, files: Iterable[tuple[str, bytes]]) -> tuple[dict[str, str], int]:
        """Write files to the staging folder: their hashes by path in order, and their bytes."""
        known: dict[str, tuple[str, str]] = {}
        links, size = Links(), 0
        for name, content in files:
            digest = hashlib.sha256(content).hexdigest()
            if _is_new(name, digest, known):
                with told(self.output):
                    new_file(self.staging, name, content)
                links.take(name, content)
                size += len(content)
        if broken := next(links.broken(), ""):
            raise ValueError(broken)
        return dict(sorted(known.values())), size

    def _cleared(self, old: Path) -> str:
        """After the exchange: remove the old report, and say so if some of it stays."""
        sync(self.target.parent)
        try:
            if old.exists():
                remove(old, self.target)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            return (
                f"The report is written, but what stood in {self.output} before could not be "
                f"removed at once ({reason}): {old.name} beside it may go."
            )
        return ""


def _is_new(name: str, digest: str, known: dict[str, tuple[str, str]]) -> bool:
    """Whether the file is still to be written; the same file may come twice."""
    if not _NAME.fullmatch(name) or name.startswith(MARKER):
        raise ValueError(f"a report may not hold a file named {name!r}")
    # Some disks do not tell cases apart, so neither do we.
    before = known.get(name.casefold())
    if before not in {None, (name, digest)}:
        raise ValueError(f"two files of the report are named {name!r}")
    known[name.casefold()] = (name, digest)
    return before is None
