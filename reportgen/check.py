"""Whether a report is still whole: its files as they were written, its links leading somewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reportgen.errors import OptionError
from reportgen.write.destination import MARKER, file_hash, listed_files


@dataclass(frozen=True)
class Checked:
    """What was looked at, and what is wrong with it."""

    files: int
    links: int
    "Those that lead elsewhere in the report or to one beside it, each counted once a page."
    problems: tuple[str, ...]


def check(folder: Path) -> Checked:
    """Compare the files of a report with their hashes, and follow the links of its pages.

    Raises:
        OptionError: if the folder holds no report.
    """
    listed = listed_files(folder)
    if not listed:
        raise OptionError(f"{folder} holds no report: it has no {MARKER} that lists its files.")
    problems = [
        f"{name}: {problem}"
        for name, digest in sorted(listed.items())
        if (problem := _damage(folder / name, digest))
    ]
    links, read = 0, cache(_page)
    for name in sorted(listed):
        if name.endswith(".html") and (folder / name).is_file():
            for link in sorted(read(folder / name).links):
                links += 1
                if problem := _breakage(link, folder / name, read):
                    problems.append(f"{name}: {link} {problem}")
    return Checked(len(listed), links, tuple(problems))


def _damage(file: Path, digest: str) -> str:
    """What is wrong with a file; empty where nothing is."""
    try:
        return "" if file_hash(file) == digest else "was changed since it was written"
    except OSError as error:
        return f"cannot be read ({(error.strerror or str(error)).lower()})"


def _breakage(link: str, page: Path, read: Callable[[Path], "_Page"]) -> str:
    """Why a link of a page leads nowhere; empty where it does lead somewhere."""
    parts = urlsplit(link)
    target = page.parent / unquote(parts.path) if parts.path else page
    if not target.is_file():
        return "leads to no file"
    # `#c=778&i=chelsea` is a view, which a script sets up.
    place = unquote(parts.fragment)
    if place and "=" not in place and target.suffix == ".html":
        return "" if place in read(target).places else f"leads to no place in {target.name}"
    return ""


class _Page(HTMLParser):
    """The links of a page, and the places in it that a link may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a tag leads and what it is called."""
        for name, value in attrs:
            if value and name == "id":
                self.places.add(value)
            elif value and name in {"href", "src"} and _is_local(value):
                self.links.add(value)


def _page(file: Path) -> _Page:
    try:
        return _Page(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # which is told of the file itself
        return _Page("")


def _is_local(link: str) -> bool:
    parts = urlsplit(link)
    return not (parts.scheme or parts.netloc)
