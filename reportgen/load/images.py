"""Image files to the pixels that a network takes."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from PIL import Image

from reportgen.errors import ImageError
from reportgen.load.ahead import ahead, workers_of
from reportgen.load.candidates import Candidate, Listed, Looked
from reportgen.load.content import content
from reportgen.load.decode import MAX_PIXELS, UnreadableImage, decoded_in_thread, looked_at
from reportgen.load.image_files import ImageFile, geometry_notes, labelled, slug_of
from reportgen.load.listing import listing, natural
from reportgen.load.preprocessing import input_pixels, normalise
from reportgen.options import Options
from reportgen.report.arrays import ByteArray
from reportgen.report.records import Preprocessing, SkippedImage

Result = TypeVar("Result")


class DamagedImage(ImageError):
    """A file that is as it was when it was listed, and cannot be decoded."""


Facts: TypeAlias = tuple[int, int, tuple[str, ...]]
"Width and height of the upright picture, and what was done to make it, known once it is decoded."


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
    listed: Listed | None = None
    "What `checked` begins with; None where there are no files."
    workers: int = 0
    "Threads that decode ahead; with 0 nothing is decoded before it is asked for."
    is_pinned: bool = False
    "Whether batches lie where a GPU copies them from while it computes."
    facts: dict[int, Facts] = field(default_factory=dict)
    "By index: what decoding a file told beyond its beginning. It grows as images are read."

    def pixels(self, index: int) -> torch.Tensor:
        """Image `index` as the network sees it before normalisation: (c h w) float32 in [0, 1]."""
        return input_pixels(self.picture(index), self.preprocessing)

    def picture(self, index: int) -> Image.Image:
        """The whole upright file of image `index`, in mode `L` or `RGB`.

        Raises:
            DamagedImage: if it cannot be decoded.
            ImageError: if it is not what it was.
        """
        file, data = self.files[index], b""
        try:
            data = content(file.location)
            decoded = decoded_in_thread(data, self.max_pixels)
        except UnreadableImage as reason:
            if hashlib.sha256(data).hexdigest() == file.sha256:
                raise DamagedImage(f"{file.path} cannot be read: {reason}") from reason
            raise ImageError(
                f"{file.path} changed while the report was made, and can no longer be read: "
                f"{reason}"
            ) from reason
        width, height = decoded.picture.size
        if decoded.notes or (width, height) != (file.width, file.height):
            self.facts[index] = (width, height, decoded.notes)
        return decoded.picture

    def thumbnail(self, index: int, longest: int) -> ByteArray:
        """The whole of image `index`, (h w 3) uint8, no side of it over `longest` pixels."""
        picture = self.picture(index).convert("RGB")
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return np.array(picture)

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        """Images `start` to before `stop` (all) in order, normalised, (b c h w) float32.

        The next are decoded while a batch is used. Any number of workers gives the same bytes.
        """
        last = len(self.files) if stop is None else min(stop, len(self.files))
        # Who wants one image at a time wants the first alone, mostly.
        workers = self.workers if size > 1 and last - start > 1 else 0
        made = ahead(self.pixels, range(start, last), workers, max(size, 2 * workers))
        for first in range(start, last, size):
            several = list(itertools.islice(made, min(size, last - first)))
            batch = self.normalise(torch.stack(several))
            yield batch.pin_memory() if self.is_pinned else batch

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] to what the network takes; (... c h w)."""
        return normalise(pixels, self.preprocessing)

    def settled(self) -> "ImageSet":
        """The same with what decoding told of each file that was decoded."""
        if self.listed is None or not self.facts:
            return self
        files = list(self.files)
        for index, (width, height, notes) in self.facts.items():
            warned = self.listed.looks[index].notes
            geometry = geometry_notes(width, height, self.preprocessing)
            files[index] = replace(
                files[index], width=width, height=height, notes=(*notes, *warned, *geometry)
            )
        return replace(self, files=tuple(files))


def images_of(options: Options, preprocessing: Preprocessing) -> ImageSet:
    """The images of a build, of which some may turn out to be damaged: see `over_whole_images`."""
    return image_set(
        options.images,
        preprocessing,
        max_pixels=options.max_pixels,
        follow_links=options.follow_links,
        workers=workers_of(options),
        is_checked=False,
    )


def checked(images: ImageSet) -> ImageSet:
    """The same without the images that cannot be decoded, each of which is decoded once.

    Raises:
        ImageError: if none is left.
    """
    listed = images.listed
    if listed is None:
        return images

    def problem(index: int) -> str:
        try:
            images.picture(index)
        except DamagedImage as error:
            return str(error.__cause__)
        return ""

    indices = range(len(images.files))
    problems = list(ahead(problem, indices, images.workers, 2 * images.workers))
    skipped = [SkippedImage(f.path, p) for f, p in zip(images.files, problems, strict=True) if p]
    if not skipped:
        return images.settled()
    kept = [index for index in indices if not problems[index]]
    listed = replace(
        listed,
        looks=tuple(listed.looks[index] for index in kept),
        skipped=(*listed.skipped, *skipped),
    )
    facts = {at: images.facts[index] for at, index in enumerate(kept) if index in images.facts}
    made = _made(listed, images.preprocessing, images.max_pixels, images.workers, facts)
    return replace(made, is_pinned=images.is_pinned).settled()


def over_whole_images(
    images: ImageSet, run: Callable[[ImageSet], Result]
) -> tuple[ImageSet, Result]:
    """What running over all images gives, and the images with what decoding them told.

    Each file is decoded once, on the way into the network. Only where one is damaged behind a good
    beginning all are checked first, and the run begins again without it.
    """
    try:
        result = run(images)
    except DamagedImage:
        images = checked(images)
        result = run(images)
    return images.settled(), result


def image_set(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    max_pixels: int = MAX_PIXELS,
    follow_links: bool = False,
    workers: int = 0,
    is_checked: bool = True,
) -> ImageSet:
    """The images in `paths`, sorted; unreadable ones are listed with a reason.

    Args:
        paths: files, folders, lists, archives and saved data sets, as `listing` takes them.
        preprocessing: what they go through.
        max_pixels: of a file; larger ones are skipped.
        follow_links: whether links may lead out of a folder, and to folders.
        workers: threads that read and decode ahead.
        is_checked: whether each is decoded once here, so that every damaged one is known; else
            those are that their beginning tells.

    Raises:
        ImageError: if no image can be read.
        OptionError: if a path does not exist.
    """
    found = listing(paths, follow_links=follow_links)
    skipped = list(found.skipped)
    looks: list[Looked] = []
    contents = ahead(_content_and_hash, found.candidates, workers, 2 * workers)
    for candidate, (data, digest) in zip(found.candidates, contents, strict=True):
        try:
            if isinstance(data, UnreadableImage):
                raise data
            look = looked_at(data, max_pixels)
        except UnreadableImage as reason:
            skipped.append(SkippedImage(candidate.path, str(reason)))
            continue
        looks.append(Looked(candidate, digest, look.width, look.height, look.notes))
    where = ", ".join(str(path) for path in paths)
    listed = Listed(where, tuple(looks), tuple(skipped), found.notes, found.class_names)
    images = _made(listed, preprocessing, max_pixels, workers, {})
    return checked(images) if is_checked else images


def _content_and_hash(candidate: Candidate) -> tuple[bytes | UnreadableImage, str]:
    try:
        data = content(candidate.location)
    except UnreadableImage as reason:
        return reason, ""
    return data, hashlib.sha256(data).hexdigest()


def _made(
    listed: Listed,
    preprocessing: Preprocessing,
    max_pixels: int,
    workers: int,
    facts: dict[int, Facts],
) -> ImageSet:
    """The images of what was listed.

    Raises:
        ImageError: if there is none.
    """
    if not listed.looks:
        raise ImageError(_nothing(listed.where, listed.skipped))
    slugs: set[str] = set()
    unlabelled = tuple(
        ImageFile(
            location=look.candidate.location,
            path=look.candidate.path,
            slug=slug_of(look.candidate.path, slugs),
            sha256=look.sha256,
            width=look.width,
            height=look.height,
            true_class=None,
            notes=(*look.notes, *geometry_notes(look.width, look.height, preprocessing)),
        )
        for look in listed.looks
    )
    candidates = [look.candidate for look in listed.looks]
    files, notes = labelled(candidates, unlabelled)
    return ImageSet(
        files,
        tuple(sorted(listed.skipped, key=lambda entry: natural(entry.path))),
        preprocessing,
        (*listed.notes, *notes),
        max_pixels,
        listed.class_names,
        any(candidate.label is not None for candidate in candidates),
        listed,
        workers,
        facts=facts,
    )


def _nothing(where: str, skipped: Sequence[SkippedImage]) -> str:
    """Why there is nothing to report on."""
    if not skipped:
        return f"There is no image in {where}."
    first = skipped[0]
    count = "the only file" if len(skipped) == 1 else f"none of the {len(skipped)} files"
    can = "cannot be used" if len(skipped) == 1 else "can be used"
    return f"No image in {where}: {count} {can}; {first.path}: {first.reason}"
