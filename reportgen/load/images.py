"""Image files to the pixels that a network takes."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from reportgen.errors import ImageError
from reportgen.load.candidates import Candidate
from reportgen.load.content import Location, content
from reportgen.load.decode import MAX_PIXELS, UnreadableImage, decode
from reportgen.load.listing import listing, natural
from reportgen.load.preprocessing import crop_box, input_pixels, normalise
from reportgen.options import Options
from reportgen.report.arrays import ByteArray
from reportgen.report.records import Preprocessing, SkippedImage

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
    "Index of its class, where a program, a list or a data set states it."

    @property
    def is_labelled(self) -> bool:
        """Whether its class is stated in either way."""
        return self.true_class is not None or self.true_index is not None


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of a build, decoded anew each time so that memory stays flat."""

    files: tuple[ImageFile, ...]
    skipped: tuple[SkippedImage, ...]
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()
    "What was left out unlisted, and how the folders were understood, one sentence each."
    max_pixels: int = MAX_PIXELS
    "Pixels that a file may have."
    class_names: tuple[str, ...] = ()
    "Names of the classes in their order, where a data set states them."
    is_stated: bool = False
    "Whether classes are stated, and not taken from the names of folders."

    def pixels(self, index: int) -> torch.Tensor:
        """Image `index` as the network sees it before normalisation: (c h w) float32 in [0, 1]."""
        return input_pixels(self.picture(index), self.preprocessing)

    def picture(self, index: int) -> Image.Image:
        """The whole upright file of image `index`, in mode `L` or `RGB`."""
        file = self.files[index]
        try:
            return decode(content(file.location), self.max_pixels).picture
        except UnreadableImage as reason:
            raise ImageError(
                f"{file.path} changed while the report was made, and can no longer be read: "
                f"{reason}"
            ) from reason

    def thumbnail(self, index: int, longest: int) -> ByteArray:
        """The whole of image `index`, (h w 3) uint8, no side of it over `longest` pixels."""
        picture = self.picture(index).convert("RGB")
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return np.array(picture)

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        """Images `start` to before `stop` (all) in order, normalised, (b c h w) float32."""
        last = len(self.files) if stop is None else min(stop, len(self.files))
        for first in range(start, last, size):
            indices = range(first, min(first + size, last))
            yield self.normalise(torch.stack([self.pixels(index) for index in indices]))

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] to what the network takes; (... c h w)."""
        return normalise(pixels, self.preprocessing)


def images_of(options: Options, preprocessing: Preprocessing) -> ImageSet:
    """The images of a build, as `image_set` reads them."""
    return image_set(
        options.images,
        preprocessing,
        max_pixels=options.max_pixels,
        follow_links=options.follow_links,
    )


def image_set(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    max_pixels: int = MAX_PIXELS,
    follow_links: bool = False,
) -> ImageSet:
    """The images in `paths`, sorted; unreadable ones are listed with a reason.

    Every file is decoded once here, so that what is skipped is known before the network runs.

    Args:
        paths: files, folders, lists, archives and saved data sets, as `listing` takes them.
        preprocessing: what they go through.
        max_pixels: of a file; larger ones are skipped.
        follow_links: whether links may lead out of a folder, and to folders.

    Raises:
        ImageError: if no image can be read.
        OptionError: if a path does not exist.
    """
    listed = listing(paths, follow_links=follow_links)
    skipped = list(listed.skipped)
    read: list[tuple[Candidate, ImageFile]] = []
    slugs: set[str] = set()
    for candidate in listed.candidates:
        try:
            data = content(candidate.location)
            decoded = decode(data, max_pixels)
        except UnreadableImage as reason:
            skipped.append(SkippedImage(candidate.path, str(reason)))
            continue
        width, height = decoded.picture.size
        file = ImageFile(
            location=candidate.location,
            path=candidate.path,
            slug=_slug(candidate.path, slugs),
            sha256=hashlib.sha256(data).hexdigest(),
            width=width,
            height=height,
            true_class=None,
            notes=(*decoded.notes, *geometry_notes(width, height, preprocessing)),
        )
        read.append((candidate, file))
    if not read:
        raise ImageError(_nothing(paths, skipped))
    files, notes = _labelled(read)
    skipped.sort(key=lambda entry: natural(entry.path))
    return ImageSet(
        files,
        tuple(skipped),
        preprocessing,
        (*listed.notes, *notes),
        max_pixels,
        listed.class_names,
        any(candidate.label is not None for candidate, _ in read),
    )


def _labelled(
    read: Sequence[tuple[Candidate, ImageFile]],
) -> tuple[tuple[ImageFile, ...], tuple[str, ...]]:
    """The files with the class that is stated, else that their folder names.

    Classes that are all whole numbers are indices, -1 is none. Folders are classes where nothing is
    stated and all images lie in one folder a class.
    """
    files = tuple(file for _, file in read)
    labels = [None if found.label == _UNKNOWN else found.label for found, _ in read]
    stated = [label for label in labels if label is not None]
    if stated and all(re.fullmatch(r"[0-9]{1,9}(\.0)?", label) for label in stated):
        return tuple(
            replace(file, true_index=None if label is None else int(float(label)))
            for file, label in zip(files, labels, strict=True)
        ), ()
    if stated:
        return tuple(
            replace(file, true_class=label) for file, label in zip(files, labels, strict=True)
        ), ()
    folders = [candidate.folder for candidate, _ in read]
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


def geometry_notes(width: int, height: int, preprocessing: Preprocessing) -> Iterator[str]:
    """What the resize and the crop do to this file, where that is much."""
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


def _slug(path: str, taken: set[str]) -> str:
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


def _nothing(paths: Sequence[Path], skipped: Sequence[SkippedImage]) -> str:
    """Why there is nothing to report on."""
    where = ", ".join(str(path) for path in paths)
    if not skipped:
        return f"There is no image in {where}."
    first = skipped[0]
    count = "the only file" if len(skipped) == 1 else f"none of the {len(skipped)} files"
    can = "cannot be used" if len(skipped) == 1 else "can be used"
    return f"No image in {where}: {count} {can}; {first.path}: {first.reason}"
