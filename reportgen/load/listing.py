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
    {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log"}
    | {".md", ".rst", ".html", ".py", ".ipynb", ".db", ".npy", ".npz", ".pth", ".pt"}
    | {".safetensors", ".zip", ".tar", ".gz"}
)
"Endings that nobody takes for images: in a folder such files are counted, not listed."

_UNFOLLOWED = "which is followed with --follow-links only."


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


def listing(paths: Sequence[Path], *, follow_links: bool = False) -> Listing:
    """The files in `paths`: files as given, folders with all below them.

    Links are followed to files inside the folder only, and never to folders, so that no walk is
    endless and nothing from elsewhere gets into a report unasked.

    Args:
        paths: files and folders.
        follow_links: whether to follow them all the same; each folder is read once, by whichever
            way it is reached first, so that no walk is endless then either.

    Raises:
        OptionError: if a path does not exist.
    """
    candidates: dict[Path, Candidate] = {}
    skipped: dict[Path, SkippedImage] = {}
    left_out: Counter[str] = Counter()
    for root, name in zip(paths, _names(paths), strict=True):
        mode = _mode(root)
        if mode is None:
            raise OptionError(f"There is no file or folder {root}: check the path of the images.")
        walk = _walk(root, left_out, follow_links) if stat.S_ISDIR(mode) else [(root, "")]
        for location, problem in walk:
            relative = location.relative_to(root)
            path = "/".join(_text(part) for part in (name, *relative.parts) if part) or root.name
            key = _absolute(location)
            # A file that is gone by now is a candidate too: reading it says what is wrong.
            if problem or not stat.S_ISREG(_mode(location) or stat.S_IFREG):
                skipped[key] = SkippedImage(path, problem or "This is not a regular file.")
            else:
                folder = _text(relative.parts[0]) if len(relative.parts) == 2 else None
                candidates.setdefault(key, Candidate(location, path, folder))
    return Listing(
        tuple(sorted(candidates.values(), key=lambda candidate: natural(candidate.path))),
        tuple(sorted(skipped.values(), key=lambda entry: natural(entry.path))),
        _said(left_out),
    )


def shown_names(paths: Sequence[Path]) -> list[str]:
    """What the paths are called in a report, the same however they are spelled.

    One folder is `images`: its own name stands nowhere else in the report, and may be that of its
    owner.
    """
    return sorted((name or "images" for name in _names(paths)), key=natural)


def _walk(root: Path, left_out: Counter[str], follow_links: bool) -> Iterator[tuple[Path, str]]:
    """Every entry below `root` with what is wrong with it, if anything; counts the `left_out`."""
    inside = _real(root)
    read: set[Path] = set()
    unopened: list[str] = []
    for folder, subfolders, names in os.walk(
        root, onerror=lambda e: unopened.append(e.filename), followlinks=follow_links
    ):
        if follow_links:
            read.add(_real(Path(folder)))
        left_out["hidden"] += sum(name.startswith(".") for name in (*subfolders, *names))
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        # Links last, so that a folder is read where it lies.
        subfolders.sort(key=lambda name: (Path(folder, name).is_symlink(), name))
        for location in (Path(folder, name) for name in tuple(subfolders)):
            if follow_links and _real(location) in read:
                subfolders.remove(location.name)
                yield location, "This folder is read already, by another way."
            elif follow_links:
                read.add(_real(location))
            elif location.is_symlink():
                yield location, f"This is a link to a folder, {_UNFOLLOWED}"
        for location in (Path(folder, name) for name in names if not name.startswith(".")):
            is_link = location.is_symlink()
            if location.suffix.lower() in PLAINLY_OTHER:
                left_out[location.suffix.lower()] += 1
            elif is_link and _mode(location) is None:
                yield location, "This is a link that leads nowhere."
            elif is_link and not follow_links and not _real(location).is_relative_to(inside):
                yield location, f"This is a link out of the folder, {_UNFOLLOWED}"
            else:
                yield location, ""
    for name in unopened:
        yield Path(name), "The folder cannot be opened."


def _real(location: Path) -> Path:
    """`location` with its links followed; a loop of links is no error here."""
    return Path(os.path.realpath(location))


def _absolute(location: Path) -> Path:
    """`location` without `..`, its links not followed."""
    return Path(os.path.normpath(location.absolute()))


def _mode(location: Path) -> int | None:
    """What kind of file it is, links followed; None where there is none that may be looked at."""
    try:
        return location.stat().st_mode
    except (OSError, ValueError):
        return None


def _names(paths: Sequence[Path]) -> list[str]:
    """What stands before the relative paths: for one folder nothing, else what tells them apart."""
    if len(paths) == 1 and stat.S_ISDIR(_mode(paths[0]) or 0):
        return [""]
    ends = [_absolute(path).parts[1:] for path in paths]
    depth = 1
    # Whole paths tell all places apart.
    while len({end[-depth:] for end in ends}) < len(set(ends)):
        depth += 1
    return ["/".join(end[-depth:]) for end in ends]


def _text(name: str) -> str:
    """A file name as valid text: bytes that are not UTF-8 are shown by their hex codes."""
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
