"""What is known of one image file: where it lies, its name, size and class."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reportgen.load.candidates import Candidate
from reportgen.load.content import Location
from reportgen.load.preprocessing import crop_box
from reportgen.load.volumes import slice_notes
from reportgen.report.records import Preprocessing

_ENLARGED = 4.0
"Times a file is enlarged from which its page says so."
_KEPT = 0.25
"Share of a file that the crop keeps below which its page says so."
_UNKNOWN = "-1"
"What some lists have in place of a class."
_RESERVED_SLUG = re.compile(r"index|con|prn|aux|nul|com\d|lpt\d")
"Taken by the list of images, or not allowed as a file name on Windows."


@dataclass(frozen=True)
class ImageFile:
    """One readable image file."""

    location: Location
    path: str
    "Relative to the folder given, with forward slashes."
    slug: str
    "ASCII, unique when case is folded: the name of its page."
    sha256: str
    width: int
    height: int
    "In pixels, upright."
    true_class: str | None
    "Name of its class, stated with it, or that of its folder where there is one folder a class."
    notes: tuple[str, ...]
    true_index: int | None = None
    "Index of its class, where a program, a list or a data set states it; with a name, in the set."

    @property
    def is_labelled(self) -> bool:
        """Whether its class is stated in either way."""
        return self.true_class is not None or self.true_index is not None


def labelled(
    candidates: Sequence[Candidate], files: tuple[ImageFile, ...]
) -> tuple[tuple[ImageFile, ...], tuple[str, ...]]:
    """The files with the class that is stated, else that their folder names.

    Classes that are all whole numbers are indices, -1 is none, but names that a data set gives its
    classes are names whatever they are. Folders are classes where nothing is stated and all images
    lie in one folder a class.
    """
    unnamed = [
        found.label
        for found in candidates
        if found.index is None and found.label is not None and found.label != _UNKNOWN
    ]
    is_index = all(re.fullmatch(r"[0-9]{1,9}(\.0)?", label) for label in unnamed)
    if unnamed or any(found.index is not None for found in candidates):
        return tuple(map(_stated, files, candidates, [is_index] * len(files))), ()
    folders = [candidate.folder for candidate in candidates]
    if len(set(folders) - {None}) < 2:
        return files, ()
    outside = folders.count(None)
    if outside:
        return files, (
            f"Folder names are not taken as classes: {outside} of {len(files)} images "
            "do not lie exactly one folder below the one given.",
        )
    return tuple(
        replace(file, true_class=folder) for file, folder in zip(files, folders, strict=True)
    ), ()


def _stated(file: ImageFile, found: Candidate, is_index: bool) -> ImageFile:
    """The file with the class that is stated with it, if any."""
    if found.index is not None:
        return replace(file, true_class=found.label, true_index=found.index)
    if found.label is None or found.label == _UNKNOWN:
        return file
    if is_index:
        return replace(file, true_index=int(float(found.label)))
    return replace(file, true_class=found.label)


def geometry_notes(
    width: int, height: int, preprocessing: Preprocessing, slices: int | None = None
) -> Iterator[str]:
    """What the resize and the crop do to this file, where that is much, and which slices are left.

    Args:
        width: of the upright file.
        height: of it.
        preprocessing: what it goes through.
        slices: that it has, if any.
    """
    yield from slice_notes(slices, preprocessing)
    left, top, right, bottom = crop_box(width, height, preprocessing)
    enlarged = max(
        preprocessing.width / (right - left),
        preprocessing.height / (bottom - top),
    )
    if enlarged >= _ENLARGED:
        yield (
            f"The file has only {width} x {height} pixels; "
            f"the network sees it enlarged {enlarged:.1f} times."
        )
    kept = (right - left) * (bottom - top) / (width * height)
    if kept < _KEPT:
        yield f"The centre crop keeps only {kept:.2%} of the picture."


def slug_of(path: str, taken: set[str]) -> str:
    """A file name of our own for `path`: `cat/IMG 1.png` is `cat-img-1`; added to `taken`."""
    plain = unicodedata.normalize("NFKD", path.rpartition(".")[0] or path)
    words = re.findall("[a-z0-9]+", plain.encode("ascii", "ignore").decode().lower())
    stem = "-".join(words)[-60:].strip("-") or "image"
    if _RESERVED_SLUG.fullmatch(stem):
        stem = f"image-{stem}"
    slug, count = stem, 1
    while slug in taken:
        count += 1
        slug = f"{stem}-{count}"
    taken.add(slug)
    return slug
