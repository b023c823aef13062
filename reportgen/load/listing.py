"""Which files a build is given: the walk through folders, in an order that people expect."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen.errors import OptionError
from reportgen.report.records import SkippedImage

PLAINLY_OTHER = frozenset(
    ".txt .csv .tsv .json .jsonl .md .rst .xml .yaml .yml .toml .ini .log .html .py .ipynb .db "
    ".npy .npz .pth .pt .safetensors .zip .tar .gz".split()
)
"Endings of files that nobody takes for images: in a folder they are counted, not listed one by one."


@dataclass(frozen=True)
class Candidate:
    """A regular file that may be an image."""

    location: Path
    path: str
    "Relative to the folder given, with forward slashes; always valid text."
    folder: str | None
    "Name of its folder where it lies exactly one folder below the one given."


@dataclass(frozen=True)
class Listing:
    """The files to try, in natural order, and what is left out."""

    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedImage, ...]
    notes: tuple[str, ...]


def listing(paths: Sequence[Path]) -> Listing:
    """The files in `paths`: files as given, folders with all below them.

    Links are followed to files inside the folder only, and never to folders, so that no walk is
    endless and nothing from elsewhere gets into a report unasked.

    Raises:
        OptionError: if a path does not exist.
    """
    candidates: dict[str, Candidate] = {}
    skipped: dict[str, SkippedImage] = {}
    left_out: Counter[str] = Counter()
    for root, name in zip(paths, _names(paths), strict=True):
        if not root.exists():
            raise OptionError(f"There is no file or folder {root}: check the path of the images.")
        if not root.is_dir():
            entries: Iterator[tuple[Path, str]] = iter([(root, "")])
        else:
            entries = _walk(root, left_out)
        for location, problem in entries:
            relative = location.relative_to(root)
            path = "/".join(_text(part) for part in (name, *relative.parts) if part)
            key = os.path.abspath(location)
            if problem or not _is_regular(location):
                skipped[key] = SkippedImage(path, problem or "This is not a regular file.")
            else:
                folder = _text(relative.parts[0]) if len(relative.parts) == 2 else None
                candidates.setdefault(key, Candidate(location, path, folder))
    return Listing(
        tuple(sorted(candidates.values(), key=lambda candidate: natural(candidate.path))),
        tuple(sorted(skipped.values(), key=lambda entry: natural(entry.path))),
        _said(left_out),
    )


def _walk(root: Path, left_out: Counter[str]) -> Iterator[tuple[Path, str]]:
    """Every entry below `root` with what is wrong with it, "" for nothing; counts what is `left_out`."""
    inside = Path(os.path.realpath(root))
    unopened: list[str] = []
    for folder, subfolders, names in os.walk(root, onerror=lambda e: unopened.append(e.filename)):
        left_out["hidden"] += sum(name.startswith(".") for name in (*subfolders, *names))
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for location in (Path(folder, name) for name in subfolders):
            if location.is_symlink():
                yield location, "This is a link to a folder, which is not followed."
        for location in (Path(folder, name) for name in names if not name.startswith(".")):
            if location.suffix.lower() in PLAINLY_OTHER:
                left_out[location.suffix.lower()] += 1
            elif location.is_symlink() and not location.exists():
                yield location, "This is a link that leads nowhere."
            elif location.is_symlink() and not _real(location).is_relative_to(inside):
                yield location, "This is a link out of the folder, which is not followed."
            else:
                yield location, ""
    for name in unopened:
        yield Path(name), "The folder cannot be opened."


def _real(location: Path) -> Path:
    return Path(os.path.realpath(location))


def _is_regular(location: Path) -> bool:
    """Whether reading it comes to an end: not a pipe or a device. A file that is gone counts as regular."""
    try:
        return stat.S_ISREG(location.stat().st_mode)
    except OSError:
        return True


def _names(paths: Sequence[Path]) -> list[str]:
    """What stands before the relative path: nothing for a single folder, else the shortest distinct ends."""
    if len(paths) == 1 and paths[0].is_dir():
        return [""]
    ends = [Path(os.path.abspath(path)).parts[1:] for path in paths]
    for depth in range(1, max(map(len, ends), default=1) + 1):
        names = ["/".join(end[-depth:]) for end in ends]
        if len(set(names)) == len(set(ends)):
            break
    return names


def _text(name: str) -> str:
    """A file name as valid text: bytes that are not UTF-8 are shown as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _said(left_out: Counter[str]) -> tuple[str, ...]:
    """One sentence for what was counted and not listed."""
    hidden = left_out["hidden"]
    others = {ending: count for ending, count in sorted(left_out.items()) if ending != "hidden"}
    parts = [f"{count} {ending}" for ending, count in others.items()]
    if hidden:
        parts.append(f"{hidden} hidden")
    if not parts:
        return ()
    total = hidden + sum(others.values())
    verb = (
        "entry that is plainly not an image was"
        if total == 1
        else "entries that are plainly not images were"
    )
    return (f"{total} {verb} left out of the folder ({', '.join(parts)}).",)


def natural(path: str) -> tuple[list[list[str | int]], str]:
    """Sorting key in which `img2` stands before `img10`, folder by folder."""
    return [
        [
            int(piece) if piece.isdecimal() else piece
            for piece in re.split("([0-9]+)", part.casefold())
        ]
        for part in path.split("/")
    ], path
