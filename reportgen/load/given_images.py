"""Images that a Python program holds in its memory, read once and ready for any network."""

import hashlib
import io
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image

from reportgen.errors import ImageError, OptionError
from reportgen.load.bands import shown_bands
from reportgen.load.decode import UnreadableImage, decode, decoded_in_thread
from reportgen.load.image_files import ImageFile, geometry_notes
from reportgen.load.image_set import ImageSet
from reportgen.load.preprocessing import denormalise
from reportgen.load.volumes import Picture, Volume
from reportgen.report.records import Preprocessing

Item: TypeAlias = torch.Tensor | bytes
"""Pixels or normalised values (c h w) or (c slices h w), float32, as the network takes them, or a
picture as PNG."""

TAKEN = (
    "Give paths and folders, a tensor (n c h w), a list of Pillow images or of tensors (c h w), or "
    "a Dataset or DataLoader of these, with or without the index of each one's class; of volumes "
    "and videos a tensor (n c slices h w) or a DataLoader of these."
)
_VOLUMES = " Volumes and videos come in batches (n c slices h w), as a DataLoader makes them."
_AS_PILLOW_SAVES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"})
_FASTEST = 1
"Level of deflate: the file lives as long as the build."


@dataclass(frozen=True, eq=False)
class GivenImages:
    """Images of a program, before it is known what the network wants."""

    items: tuple[Item, ...]
    classes: tuple[int | None, ...]
    "Index of the class of each, where the program says it."
    is_normalised: bool
    "Whether the values of tensors are what the network takes."

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the tensors, which go into the network as they are; None without."""
        sizes = [tuple(item.shape[-2:]) for item in self.items if isinstance(item, torch.Tensor)]
        return (sizes[0][0], sizes[0][1]) if sizes else None

    @property
    def slices(self) -> int | None:
        """Of the tensors, where they are volumes."""
        first = self.items[0]
        return first.shape[1] if isinstance(first, torch.Tensor) and first.ndim == 4 else None

    def prepared(self, preprocessing: Preprocessing) -> ImageSet:
        """The images for one network.

        Raises:
            ImageError: if they are volumes or not, or have channels, as the network does not take.
        """
        if (self.slices is None) != (preprocessing.slices is None):
            raise ImageError(
                "The network takes volumes or videos: give a tensor (n channels slices height "
                "width), or batches of these."
                if self.slices is None
                else "The images are volumes or videos, and the network takes pictures, for it "
                "does not begin with a Conv3d."
            )
        if self.size:
            preprocessing = replace(
                preprocessing, resize=None, interpolation="", slices=self.slices
            )
        items = tuple(self._pixels(item, preprocessing) for item in self.items)
        files = [_file(index, item, preprocessing) for index, item in enumerate(items)]
        return _InMemory(
            files=tuple(
                replace(file, true_index=index)
                for file, index in zip(files, self.classes, strict=True)
            ),
            skipped=(),
            preprocessing=preprocessing,
            given=items,
        )

    def _pixels(self, item: Item, preprocessing: Preprocessing) -> Item:
        if isinstance(item, bytes):
            return item
        if len(item) != preprocessing.channels:
            raise ImageError(
                f"The images have {len(item)} channels, and the network takes "
                f"{preprocessing.channels}."
            )
        return denormalise(item, preprocessing) if self.is_normalised else item


@dataclass(frozen=True, eq=False)
class _InMemory(ImageSet):
    """Images without files."""

    given: tuple[Item, ...] = ()
    "Pixels in [0, 1], or PNG."

    def pixels(self, index: int) -> torch.Tensor:
        item = self.given[index]
        return super().pixels(index) if isinstance(item, bytes) else item

    def picture(self, index: int) -> Picture:
        item = self.given[index]
        if isinstance(item, bytes):
            return decoded_in_thread(item).picture
        if item.ndim == 4:
            return Volume(item.clamp(0, 1).numpy())
        shown = torch.from_numpy(shown_bands(item.numpy()))
        levels = (shown.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def given_images(images: Any, *, is_normalised: bool) -> GivenImages:
    """What a program gave as images, read once.

    Args:
        images: a tensor (n c h w), Pillow images, tensors (c h w), or pairs of one of these with
            the index of its class; also in batches, as a DataLoader gives them. Volumes come in
            batches (n c slices h w) alone: one by one they could not be told from batches.
        is_normalised: whether the values of tensors are what the network takes; else they are
            pixels, 0..1 or 0..255 in bytes.

    Raises:
        ImageError: if there are none.
        OptionError: if they are of another kind.
    """
    with _random_state_kept():
        found = list(_read(images))
    if not found:
        raise ImageError(f"There is no image among those given. {TAKEN}")
    items = tuple(_item(index, image, is_normalised) for index, (image, _) in enumerate(found))
    shapes = {tuple(item.shape) if isinstance(item, torch.Tensor) else None for item in items}
    if len(shapes) > 1:
        raise OptionError(
            "The images are of several sizes or kinds: tensors go into the network as they are, so "
            "give them one size; Pillow images are resized, so give them apart from tensors."
        )
    return GivenImages(items, tuple(truth for _, truth in found), is_normalised)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """A loader that shuffles, and transforms, draw numbers that a training would miss."""
    plain, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(array)


def _read(images: Any) -> Iterator[tuple[Any, int | None]]:
    """Every image with the index of its class, if that is stated."""
    for entry in _entries(images):
        image, truth = entry, None
        if isinstance(entry, (tuple, list)) and len(entry) in (1, 2):
            image, truth = entry if len(entry) == 2 else (entry[0], None)
        if isinstance(image, torch.Tensor) and image.ndim in (4, 5):
            truths = [None] * len(image) if truth is None else _flat(truth)
            if len(truths) != len(image):
                told = f"{len(truths)} classes are stated for {len(image)} images."
                raise OptionError(told + ("" if image.ndim == 5 else _VOLUMES))
            yield from zip(image, map(_index, truths), strict=True)
        else:
            yield image, _index(truth)


def _entries(images: Any) -> Iterable[Any]:
    """What stands in `images`, one after the other."""
    if isinstance(images, (str, bytes, Mapping, Image.Image)):
        raise OptionError(f"Images cannot be read from a {type(images).__name__}. {TAKEN}")
    if isinstance(images, torch.Tensor):
        return [images[None] if images.ndim == 3 else images]
    if isinstance(images, Iterable):
        return images
    if hasattr(images, "__getitem__") and hasattr(images, "__len__"):  # a Dataset
        return (images[index] for index in range(len(images)))
    raise OptionError(f"Images cannot be read from a {type(images).__name__}. {TAKEN}")


def _flat(truth: Any) -> Sequence[Any]:
    """The classes of a batch; a number alone is that of a batch of one."""
    if isinstance(truth, (torch.Tensor, np.ndarray)):
        return list(truth.reshape(-1).tolist())
    return truth if isinstance(truth, Sequence) else [truth]


def _index(truth: Any) -> int | None:
    """The index of a class."""
    if truth is None:
        return None
    if isinstance(truth, (torch.Tensor, np.ndarray)) and truth.shape in ((), (1,)):
        truth = truth.item()
    if isinstance(truth, Integral) and not isinstance(truth, bool):
        return int(truth)
    raise OptionError(
        f"A class is stated as {truth!r}: give its index among the network's outputs."
    )


def _item(index: int, image: Any, is_normalised: bool) -> Item:
    """One image as it is kept."""
    if isinstance(image, Image.Image):
        return _png(index, image)
    if not isinstance(image, torch.Tensor):
        raise OptionError(f"Image {index} is a {type(image).__name__}. {TAKEN}")
    if image.ndim not in (3, 4) or not image.numel():
        raise OptionError(f"Image {index} has the shape {tuple(image.shape)}. {TAKEN}")
    if image.is_complex() or image.dtype == torch.bool:
        raise OptionError(f"Image {index} holds {image.dtype}, which are no pixels.")
    values = image.detach().to("cpu", torch.float32, copy=True)
    if image.dtype == torch.uint8:
        values /= 255
    elif not image.is_floating_point():
        raise OptionError(f"Image {index} holds {image.dtype}: give floats in 0..1, or uint8.")
    low, high = float(values.min()), float(values.max())
    # NaN is outside of every range.
    if not is_normalised and not (low >= 0 and high <= 1):
        raise OptionError(
            f"Image {index} has values from {low:.3g} to {high:.3g}, and pixels lie in 0..1: say "
            "normalised=True if they are what the network takes."
        )
    return values


def _png(index: int, picture: Image.Image) -> bytes:
    """A Pillow image as a file, so that it is read as all files are."""
    if picture.mode in {"I", "F"}:
        raise OptionError(
            f"Image {index} is in Pillow's mode {picture.mode}, which has no defined range: "
            "convert it to 8 or 16 bits."
        )
    if picture.mode in {"I;16L", "I;16N"}:
        picture = picture.convert("I").convert("I;16")  # 8 bits would be the lower ones
    if picture.mode not in _AS_PILLOW_SAVES:
        see_through = "LA" if picture.mode == "La" else "RGBA"
        picture = picture.convert(see_through if picture.has_transparency_data else "RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=_FASTEST)
    return buffer.getvalue()


def _file(index: int, item: Item, preprocessing: Preprocessing) -> ImageFile:
    """What is known of an image, under a number for its name."""
    notes: tuple[str, ...] = ()
    if isinstance(item, bytes):
        try:
            decoded = decode(item)
        except UnreadableImage as reason:
            raise ImageError(f"Image {index} cannot be used: {reason}") from reason
        width, height = decoded.picture.size
        mode = decoded.picture.mode.encode()
        content = b"%s %d %d " % (mode, height, width) + decoded.picture.tobytes()
        notes = (*decoded.notes, *geometry_notes(width, height, preprocessing))
    else:
        height, width = item.shape[-2:]
        shape = " ".join(map(str, item.shape))
        content = f"{shape} ".encode() + item.contiguous().numpy().tobytes()
    name, digest = f"image-{index}", hashlib.sha256(content).hexdigest()
    return ImageFile(Path(name), name, name, digest, width, height, None, notes)
