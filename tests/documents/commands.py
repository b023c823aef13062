"""The commands that the documents show, word by word."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "sample_models/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


@dataclass(frozen=True)
class Shown:
    """One command of a page."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def shown(page: Path) -> Iterator[Shown]:
    """Every command in the code of a page that begins with `reportgen` or `make`."""
    for code in _code(page.read_text(encoding="utf-8")):
        for line in re.sub(r"\\\n\s*", "", code).splitlines():
            # A loop of the shell has its commands between `do` and `done`.
            is_synopsis = "[OPTIONS]" in line
            if re.match(r"\s*(\$ )?(reportgen|make) [a-z-]", line) and not is_synopsis:
                words = shlex.split(line.strip().removeprefix("$ "), comments=True)
                # What the shell does with the output is its own affair.
                words = words[: words.index(">")] if ">" in words else words
                yield Shown(page.relative_to(ROOT).as_posix(), tuple(words))


def _code(text: str) -> Iterator[str]:
    """What stands in blocks of the shell and between backticks."""
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "code_block" or (
            token.type == "fence" and token.info.strip() in {"", "sh", "bash", "console"}
        ):
            yield token.content
        for part in token.children or ():
            # A name alone, such as `reportgen build`, is no command to type.
            if part.type == "code_inline" and len(part.content.split()) > 2:
                yield part.content


def commands() -> list[Shown]:
    return list(dict.fromkeys(one for page in PAGES for one in shown(page)))
