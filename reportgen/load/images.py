"""Which files are the images of a build, and which of them can be used."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from reportgen.errors import ImageError
from reportgen.load.ahead import ahead, workers_of
from reportgen.load.candidates import Candidate, Listed, Looked
from reportgen.load.content import content
from reportgen.load.decode import MAX_PIXELS, UnreadableImage
from reportgen.load.image_files import ImageFile, geometry_notes, labelled, slug_of
from reportgen.load.image_set import DamagedImage, Facts, ImageSet
from reportgen.load.listing import listing, natural
from reportgen.load.volumes import FIRST, looked
from reportgen.options import Options
from reportgen.report.records import Preprocessing, SkippedImage

Result = TypeVar("Result")


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


def problems_of(images: ImageSet, indices: Sequence[int]) -> list[str]:
    """Why each of some images cannot be decoded; empty where it can. Each is decoded once."""

    def problem(index: int) -> str:
        try:
            images.picture(index)
        except DamagedImage as error:
            return str(error.__cause__)
        return ""

    return list(ahead(problem, indices, images.workers, 2 * images.workers))


def checked(images: ImageSet, problems: Sequence[str] | None = None) -> ImageSet:
    """The same without the images that cannot be decoded.

    Args:
        images: as they were listed.
        problems: of all of them, where they are known; else each is decoded once.

    Raises:
        ImageError: if none is left.
    """
    listed = images.listed
    if listed is None:
        return images
    indices = range(len(images.files))
    if problems is None:
        problems = problems_of(images, indices)
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
    made = _made(listed, images.max_pixels, images.workers, facts)
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
            look = looked(data, preprocessing, max_pixels)
        except UnreadableImage as reason:
            skipped.append(SkippedImage(candidate.path, str(reason)))
            continue
        looks.append(Looked(candidate, digest, look.width, look.height, look.notes, look.slices))
    where = ", ".join(str(path) for path in paths)
    listed = Listed(
        where, tuple(looks), tuple(skipped), found.notes, found.class_names, preprocessing
    )
    images = _made(listed, max_pixels, workers, {})
    return checked(images) if is_checked else images


def _content_and_hash(candidate: Candidate) -> tuple[bytes | UnreadableImage, str]:
    try:
        data = content(candidate.location)
    except UnreadableImage as reason:
        return reason, ""
    return data, hashlib.sha256(data).hexdigest()


def _made(
    listed: Listed,
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
    preprocessing = listed.preprocessing
    if preprocessing.slices == FIRST:
        preprocessing = replace(preprocessing, slices=listed.looks[0].slices)
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
            notes=(
                *look.notes,
                *geometry_notes(look.width, look.height, preprocessing, look.slices),
            ),
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
        max_pixels=max_pixels,
        class_names=listed.class_names,
        is_stated=any(candidate.label is not None for candidate in candidates),
        listed=listed,
        workers=workers,
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
