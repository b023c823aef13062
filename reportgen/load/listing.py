"""Which files a build is given: the walk through folders, in an order that people expect."""

import os
import re
import stat
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reportgen.errors import OptionError
from reportgen.load.archives import archived, is_archive
from reportgen.load.candidates import PLAINLY_OTHER, UNFOLLOWED, Candidate, Part, text
from reportgen.load.content import opened
from reportgen.load.decode import UnreadableImage
from reportgen.load.lists import TABLES, listed
from reportgen.load.saved_datasets import is_dataset, is_table, saved
from reportgen.report.records import SkippedImage

_LIST = "@"
"What the name of a list of files begins with."


@dataclass(frozen=True)
class Listing:
    """The files to try, in natural order, and what is left out."""

    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedImage, ...]
    notes: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    "Names of the classes in their order, where one data set states them."


def listing(paths: Sequence[Path], *, follow_links: bool = False) -> Listing:
    """The files in `paths`, in the order of their names, wherever they lie.

    A folder gives all below it, a list what it names, an archive or a data set what it holds. Links
    are followed to files inside the folder only, and never to folders, so that no walk is endless
    and nothing from elsewhere gets into a report unasked.

    Args:
        paths: files, folders, lists (`@files.txt`, CSV), archives (ZIP, tar) and saved data sets.
        follow_links: whether to follow them all the same; each folder is read once, by whichever
            way it is reached first, so that no walk is endless then either.

    Raises:
        OptionError: if a path does not exist, or a list or a data set cannot be understood.
    """
    candidates: dict[Hashable, Candidate] = {}
    skipped: dict[Hashable, SkippedImage] = {}
    left_out: Counter[str] = Counter()
    notes: list[str] = []
    names: set[tuple[str, ...]] = set()
    for root, name in zip(paths, _names(paths), strict=True):
        part = _part(root, follow_links)
        for found in part.candidates:
            path = "/".join(filter(None, (name, found.path))) or text(root.name)
            place = found.location
            key: Hashable = _absolute(place) if isinstance(place, Path) else place
            candidates.setdefault(key, replace(found, path=path))
        for at, entry in part.skipped.items():
            path = "/".join(filter(None, (name, entry.path))) or text(root.name)
            skipped[at if isinstance(at, Path) else (root, at)] = replace(entry, path=path)
        left_out += part.left_out
        notes += part.notes
        if part.is_named:
            names.add(part.class_names)
    return Listing(
        tuple(sorted(candidates.values(), key=lambda candidate: natural(candidate.path))),
        tuple(sorted(skipped.values(), key=lambda entry: natural(entry.path))),
        (*_said(left_out), *notes),
        names.pop() if len(names) == 1 else (),
    )


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The same paths as files and folders: `@files.txt` is the list `files.txt`."""
    return [_list(path) or path for path in paths]


def shown_names(paths: Sequence[Path]) -> list[str]:
    """What the paths are called in a report, the same however they are spelled.

    One folder is `images`, one archive `images.zip`: its own name stands nowhere else in the
    report, and may be that of its owner.
    """
    return sorted((name or _stand_in(paths[0]) for name in _names(paths)), key=natural)


def _stand_in(path: Path) -> str:
    """What one folder, list, archive or data set is called, whatever its name."""
    if _list(path) is not None:
        return f"{_LIST}images.txt"
    is_folder = stat.S_ISDIR(_mode(path) or stat.S_IFDIR)
    endings = "" if is_folder else re.search(r"(\.tar)?\.[^.]*$", path.name.lower())
    return f"images{endings[0] if endings else ''}"


def _list(path: Path) -> Path | None:
    """The list that `@files.txt` names; None for a path that is there as it is, or is no list."""
    is_list = str(path).startswith(_LIST) and _mode(path) is None
    return Path(str(path)[len(_LIST) :]) if is_list else None


def _part(root: Path, follow_links: bool) -> Part:
    """What lies in one of the paths.

    Raises:
        OptionError: if it does not exist, or cannot be understood.
    """
    mode = _mode(_list(root) or root)
    if mode is None:
        raise OptionError(f"There is no file or folder {root}: check the path of the images.")
    kind = _kind(root, follow_links)
    if kind == "list":
        return listed(_list(root) or root, follow_links=follow_links)
    if kind == "archive":
        return archived(root)
    if kind == "data set":
        return saved(root, follow_links=follow_links)
    left_out: Counter[str] = Counter()
    candidates: list[Candidate] = []
    skipped: dict[Hashable, SkippedImage] = {}
    walk = _walk(root, left_out, follow_links) if kind == "folder" else [(root, "")]
    for location, problem in walk:
        parts = location.relative_to(root).parts
        path = "/".join(map(text, parts))
        # A file that is gone by now is a candidate too: reading it says what is wrong.
        if problem or not stat.S_ISREG(_mode(location) or stat.S_IFREG):
            reason = problem or "This is not a regular file."
            skipped[_absolute(location)] = SkippedImage(path, reason)
        else:
            folder = text(parts[0]) if len(parts) == 2 else None
            candidates.append(Candidate(location, path, folder))
    return Part(tuple(candidates), skipped, left_out=left_out)


def _kind(root: Path, follow_links: bool = False) -> str:
    """What a path is: `folder`, `file`, `list`, `archive` or `data set`."""
    mode = _mode(root)
    if _list(root) is not None:
        return "list"
    if mode is not None and stat.S_ISDIR(mode):
        return "data set" if is_dataset(root, follow_links=follow_links) else "folder"
    if mode is None or not stat.S_ISREG(mode):
        return "file"
    if root.suffix.lower() in TABLES:
        return "list"
    try:
        with opened(root) as file:
            head = file.read(512)
    except (OSError, UnreadableImage):  # which is said when it is read
        return "file"
    return "archive" if is_archive(head) else "data set" if is_table(head) else "file"


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
                yield location, f"This is a link to a folder, {UNFOLLOWED}"
        for location in (Path(folder, name) for name in names if not name.startswith(".")):
            is_link = location.is_symlink()
            if location.suffix.lower() in PLAINLY_OTHER:
                left_out[location.suffix.lower()] += 1
            elif is_link and _mode(location) is None:
                yield location, "This is a link that leads nowhere."
            elif is_link and not follow_links and not _real(location).is_relative_to(inside):
                yield location, f"This is a link out of the folder, {UNFOLLOWED}"
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
    """What stands before the relative paths: for one folder nothing, else what tells them apart.

    A list, an archive and a data set are as a folder.
    """
    if len(paths) == 1 and _kind(paths[0]) != "file":
        return [""]
    ends = [_absolute(path).parts[1:] for path in paths]
    depth = 1
    # Whole paths tell all places apart.
    while len({end[-depth:] for end in ends}) < len(set(ends)):
        depth += 1
    return ["/".join(end[-depth:]) for end in ends]


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
