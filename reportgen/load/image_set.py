"""The images of a build, read and decoded anew each time they are asked for."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image

from reportgen.errors import ImageError
from reportgen.load.ahead import ahead
from reportgen.load.candidates import Listed
from reportgen.load.content import content
from reportgen.load.decode import MAX_PIXELS, UnreadableImage
from reportgen.load.image_files import ImageFile, geometry_notes
from reportgen.load.preprocessing import input_pixels, normalise
from reportgen.load.volumes import Picture, read
from reportgen.report.arrays import ByteArray
from reportgen.report.records import Preprocessing, SkippedImage


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
    choice: str = ""
    "The rule by which some were chosen for a page; empty where all have one."
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
        """Image `index` as the network sees it before normalisation: float32 in [0, 1].

        (c h w), with the slices before the height where there are any.
        """
        return input_pixels(self.picture(index), self.preprocessing)

    def picture(self, index: int) -> Picture:
        """The whole upright file of image `index`: in mode `L` or `RGB`, its bands or slices.

        Raises:
            DamagedImage: if it cannot be decoded.
            ImageError: if it is not what it was.
        """
        file, data = self.files[index], b""
        try:
            data = content(file.location)
            picture, notes = read(data, self.preprocessing, self.max_pixels)
        except UnreadableImage as reason:
            if hashlib.sha256(data).hexdigest() == file.sha256:
                raise DamagedImage(f"{file.path} cannot be read: {reason}") from reason
            raise ImageError(
                f"{file.path} changed while the report was made, and can no longer be read: "
                f"{reason}"
            ) from reason
        width, height = picture.size
        if notes or (width, height) != (file.width, file.height):
            self.facts[index] = (width, height, notes)
        return picture

    def thumbnail(self, index: int, longest: int) -> ByteArray:
        """The whole of image `index`, (h w 3) uint8, no side of it over `longest` pixels."""
        picture = self.picture(index).convert("RGB")
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        return np.array(picture)

    def batches(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        """Images `start` to before `stop` (all) in order, as `batches_of` has them."""
        return self.batches_of(range(len(self.files))[start:stop], size)

    def batches_of(self, indices: Sequence[int], size: int) -> Iterator[torch.Tensor]:
        """Some images, normalised, (b c h w) or (b c slices h w) float32.

        The next are decoded while a batch is used. Any number of workers gives the same bytes.
        """
        # Who wants one image at a time wants the first alone, mostly.
        workers = self.workers if size > 1 and len(indices) > 1 else 0
        made = ahead(self.pixels, indices, workers, max(size, 2 * workers))
        while several := list(itertools.islice(made, size)):
            batch = self.normalise(torch.stack(several))
            yield batch.pin_memory() if self.is_pinned else batch

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] to what the network takes."""
        return normalise(pixels, self.preprocessing)

    def settled(self) -> "ImageSet":
        """The same with what decoding told of each file that was decoded."""
        if self.listed is None or not self.facts:
            return self
        files = list(self.files)
        for index, (width, height, notes) in self.facts.items():
            look = self.listed.looks[index]
            geometry = geometry_notes(width, height, self.preprocessing, look.slices)
            files[index] = replace(
                files[index], width=width, height=height, notes=(*notes, *look.notes, *geometry)
            )
        return replace(self, files=tuple(files))
