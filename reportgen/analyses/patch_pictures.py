"""Draws what units see: crops of the images, and beside them the projections of the deconvnet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional

from reportgen.analyses.study import Study
from reportgen.errors import ModelError
from reportgen.figures.mosaic import mosaic, signed_levels
from reportgen.load.bands import shown_bands
from reportgen.probe.deconvnet import projections
from reportgen.probe.evidence import Call, Strongest
from reportgen.probe.strongest import KEPT
from reportgen.report.arrays import Array, ByteArray, Pixels
from reportgen.report.blocks import Atlas
from reportgen.report.records import Layer

SIDE = 72
"Pixels of the longer side of a tile, or a little less where pixels are enlarged as they are."

FEW = 16
"Windows of at most so many pixels a side are enlarged pixel by pixel, as the network saw them."

GREY = 127
"Level of what lies beyond the border of an image, and of zero."

WITHIN = 0.995
"Share of the non-zero values of a projection within its scale: few of them are very large."


@dataclass(frozen=True)
class Patch:
    """One place at which a unit is among its nine strongest."""

    tile: int
    "Place in the atlas: nine a unit, the strongest first."
    unit: int
    image: int
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Shown:
    """A layer whose units are shown, with the tiles that are drawn of them."""

    call: Call
    units: tuple[int, ...]
    problem: str
    "Why there are no projections; empty where there are."
    window: tuple[int, int] = (0, 0)
    "Pixels of the image that a tile covers, down and across."
    is_whole: bool = False
    "Whether that is the whole image, as the receptive field is larger or not known."
    crops: ByteArray = field(default_factory=lambda: np.empty(0, np.uint8))
    "(tiles h w 3)"
    projected: ByteArray = field(default_factory=lambda: np.empty(0, np.uint8))
    limits: Array = field(default_factory=lambda: np.empty(0))
    "End of the scale of each tile of the projections."

    def counts(self, nine: Strongest) -> tuple[int, ...]:
        """Patches of each unit. Where a rectifier is off, nothing was found."""
        found = nine.image[list(self.units)] >= 0
        if self.call.rectifies:
            found &= nine.value[list(self.units)] > 0
        return tuple(int(count) for count in found.sum(1))

    def patches(self, nine: Strongest) -> Iterator[Patch]:
        """The places to draw."""
        for place, (unit, count) in enumerate(zip(self.units, self.counts(nine), strict=True)):
            for k in range(count):
                at = (int(found[unit, k]) for found in (nine.image, nine.row, nine.column))
                yield Patch(KEPT * place + k, unit, *at)

    def corner(self, patch: Patch) -> tuple[int, int]:
        """First pixel of the window of a patch, down and across; negative beyond the border."""
        seen = self.call.receptive_field
        if self.is_whole or seen is None:
            return 0, 0
        return (
            seen.start[0] + patch.row * seen.stride[0],
            seen.start[1] + patch.column * seen.stride[1],
        )

    def blocks(self, layer: Layer) -> Mapping[str, Atlas]:
        """The crops, and the projections where there are any."""
        size = f"{self.window[0]} x {self.window[1]} pixels"
        covered = f"the whole image, {size}" if self.is_whole else f"{size} of an image"
        nothing = np.zeros(len(self.crops), np.float32)
        atlases = {
            "crops": _atlas(
                self.crops,
                f"{layer.slug}-patches",
                (nothing, nothing + 1),
                f"Patches of images on which units of {layer.title} are strongest.",
                f"A tile covers {covered}; nine tiles a unit. Grey lies beyond the border.",
            )
        }
        if not self.problem:
            atlases["projections"] = _atlas(
                self.projected,
                f"{layer.slug}-projections",
                (-self.limits, self.limits),
                f"Projections of these units of {layer.title} to the pixels of these patches.",
                "Mid-grey is zero. Each tile has its own range, beyond which lie the largest "
                f"{1 - WITHIN:.1%} of its values.".replace("%", " %"),
            )
        return atlases


def pictures(study: Study, layers: Sequence[Shown]) -> list[Shown]:
    """The layers with their tiles. Each image that is needed is read once."""
    strongest = study.evidence.strongest
    prepared = study.images.preprocessing
    made = [_empty(shown, (prepared.height, prepared.width)) for shown in layers]
    patches = [list(shown.patches(strongest[shown.call.key])) for shown in made]
    needed = sorted({patch.image for some in patches for patch in some})
    step = study.probe.batch_size
    for start in range(0, len(needed), step):
        group = needed[start : start + step]
        pixels = {index: study.images.pixels(index) for index in group}
        for i, some in enumerate(patches):
            made[i] = _drawn(study, made[i], [p for p in some if p.image in pixels], pixels)
        if study.progress is not None:
            study.progress(min(start + step, len(needed)), len(needed))
    return made


def _empty(shown: Shown, size: tuple[int, int]) -> Shown:
    """A layer with grey tiles."""
    seen = shown.call.receptive_field
    is_whole = seen is None or seen.covers_image or 0 in seen.stride
    window = size if is_whole or seen is None else seen.size
    factor = SIDE / max(window)
    if max(window) <= FEW:
        factor = int(factor)
    height, width = (max(1, round(factor * side)) for side in window)
    count = KEPT * len(shown.units)
    return replace(
        shown,
        window=window,
        is_whole=is_whole,
        crops=np.full((count, height, width, 3), GREY, np.uint8),
        projected=np.full((count, height, width, 3), GREY, np.uint8),
        limits=np.zeros(count, np.float32),
    )


def _drawn(
    study: Study, shown: Shown, patches: Sequence[Patch], pixels: Mapping[int, torch.Tensor]
) -> Shown:
    """Fills the tiles of some patches; says so where there is no way back to the pixels."""
    pixels_of_tile = shown.crops.shape[1:3]
    for patch in patches:
        tile = _cut(
            pixels[patch.image].clamp(0, 1) - 0.5, shown.corner(patch), shown.window, pixels_of_tile
        )
        shown.crops[patch.tile] = signed_levels(tile, 0.5)[0]
    if shown.problem:
        return shown
    step = study.probe.batch_size
    for start in range(0, len(patches), step):
        some = patches[start : start + step]
        images = study.images.normalise(torch.stack([pixels[patch.image] for patch in some]))
        places = [(patch.unit, patch.row, patch.column) for patch in some]
        try:
            found = projections(study.probe, images, shown.call, places)
        except ModelError as error:
            return replace(shown, problem=str(error))
        for patch, projection in zip(some, found, strict=True):
            tile = _cut(projection, shown.corner(patch), shown.window, pixels_of_tile)
            size = np.abs(tile[tile != 0])
            limit = float(np.quantile(size, WITHIN, method="higher")) if size.size else 0.0
            shown.projected[patch.tile] = signed_levels(tile, limit)[0]
            shown.limits[patch.tile] = limit
    return shown


def _cut(
    picture: torch.Tensor,
    corner: tuple[int, int],
    window: tuple[int, int],
    size: tuple[int, int],
) -> Array:
    """A window of a picture (c h w), resampled to (h w 3); zero beyond the border."""
    top, left = corner
    height, width = picture.shape[1:]
    padding = (-left, left + window[1] - width, -top, top + window[0] - height)
    # Negative padding cuts off.
    cut = functional.pad(torch.nan_to_num(picture.float()), padding)[None]
    mode = "nearest" if max(window) <= FEW else "bicubic" if size > window else "area"
    tile = functional.interpolate(cut, size, mode=mode)[0]
    tile = torch.from_numpy(shown_bands(tile.numpy())).expand(3, *size)
    values: Array = tile.permute(1, 2, 0).numpy()
    return values


def _atlas(tiles: ByteArray, stem: str, ends: tuple[Array, Array], alt: str, caption: str) -> Atlas:
    count, height, width = tiles.shape[:3]
    picture = mosaic(tiles, KEPT)
    # White lines would leave a trace in the tiles, as the file is lossy.
    picture[height :: height + 1], picture[:, width :: width + 1] = GREY, GREY
    return Atlas(
        pixels=Pixels.lossy(picture, stem),
        columns=KEPT,
        count=count,
        tile_height=height,
        tile_width=width,
        full_height=height,
        full_width=width,
        low=ends[0],
        high=ends[1],
        labels=(),
        order=(),
        signed=True,
        alt=alt,
        caption=caption,
    )
