"""What a folder, a list, an archive or a saved data set holds that may be an image."""

import os
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from reportgen.load.content import Location
from reportgen.report.records import Preprocessing, SkippedImage

PLAINLY_OTHER = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".ini", ".log"}
    | {".md", ".rst", ".html", ".py", ".ipynb", ".db", ".npz", ".pth", ".pt"}
    | {".safetensors", ".zip", ".tar", ".gz", ".parquet", ".arrow"}
)
"Endings that nobody takes for images: in a folder such files are counted, not listed."

UNFOLLOWED = "which is followed with --follow-links only."


@dataclass(frozen=True)
class Candidate:
    """A regular file that may be an image."""

    location: Location
    path: str
    "Relative to what was given, with forward slashes; always valid text."
    folder: str | None
    "Name of its folder where it lies exactly one folder below what was given."
    label: str | None = None
    "Its class, by name or index, where a list, a data set or a file beside it states it."
    index: int | None = None
    "Of its class among the `class_names` of a data set, whose `label` is then its name."


@dataclass(frozen=True)
class Part:
    """What one of the places given holds."""

    candidates: tuple[Candidate, ...] = ()
    skipped: Mapping[Hashable, SkippedImage] = field(default_factory=dict)
    "By location, where it is a file of its own."
    notes: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    "By ending, and `hidden`: what is counted and not listed."
    class_names: tuple[str, ...] = ()
    "Names of the classes in their order, where a data set states them; none where splits differ."

    @property
    def is_named(self) -> bool:
        """Whether a data set names classes in it, be it in one order or in several."""
        return bool(self.class_names) or any(found.index is not None for found in self.candidates)


@dataclass(frozen=True)
class Looked:
    """A candidate of which the beginning was looked at."""

    candidate: Candidate
    sha256: str
    width: int
    height: int
    notes: tuple[str, ...]
    slices: int | None = None
    "Of a volume or a video."


@dataclass(frozen=True)
class Listed:
    """What was found in the places given."""

    where: str
    looks: tuple[Looked, ...]
    skipped: tuple[SkippedImage, ...]
    notes: tuple[str, ...]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    "As it was asked for, before the first file said how many slices there are."


def text(name: str) -> str:
    """A file name as valid text: bytes that are not UTF-8 are shown by their hex codes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
