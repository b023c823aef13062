"""One layer's activations for one image as a picture: maps side by side, or one bar per unit."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from reportgen.analyses.findings import counted
from reportgen.figures.mosaic import best_columns, levels, mosaic, stretched
from reportgen.probe.evidence import Call, CallKey, LayerEvidence, MapPicture, VectorPicture
from reportgen.report.arrays import ByteArray, FloatArray, Pixels
from reportgen.report.blocks import Atlas, Strip
from reportgen.report.records import Image, Layer

MOST_TILES = 1024
MOST_NAMED = 32
"Tiles of a picture that are listed, the most active first."

STRONGEST = 12
"Units named beside a strip."

ALL_PIXELS = 7_500_000
"Shared by all pictures of maps in a report: about 4 MB, for maps hardly compress."

DEEP_PIXELS = 1_000_000
"The same where a network is deep, for there the numbers alone take most of a report."

PIXELS = (16_384, 262_144)
"Least and most pixels of one picture, whatever the number of pictures."

SMALLEST_SIDE = 7
"Maps are not averaged to fewer pixels than this a side."


def pixels_each(sizes: Sequence[int], room: int = ALL_PIXELS) -> int:
    """Most pixels of one atlas, where all atlases of these sizes share `room`.

    What the small ones do not need is left to the large ones.
    """
    least, most = PIXELS
    left = room
    for larger, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        if size * larger > left:
            return min(most, max(least, left // larger))
        left -= size
    return most


def pictured_calls(
    costs: Mapping[CallKey, int],
    tiers: Sequence[Collection[CallKey]],
    room: int = ALL_PIXELS,
) -> frozenset[CallKey]:
    """The calls whose maps are shown: all, or as many as `room` holds at their smallest.

    Args:
        costs: pixels of all pictures of a call, in the order of execution.
        tiers: calls to choose from, the most wanted first; of each, some evenly over the depth.
        room: pixels that they share.
    """
    if sum(costs.values()) <= room:
        return frozenset(costs)
    chosen: set[CallKey] = set()
    left = room
    for tier in (*tiers, costs):
        keys = [key for key in costs if key in tier and key not in chosen]
        for step in range(1, len(keys) + 1):
            some = keys[step // 2 :: step]
            if sum(costs[key] for key in some) <= left:
                chosen.update(some)
                left -= sum(costs[key] for key in some)
                break
    return frozenset(chosen)


def least_pixels(picture: MapPicture) -> int:
    """Pixels of a picture that is averaged as far as it may be."""
    return min(PIXELS[0], shown_pixels(picture))


def shown_pixels(picture: MapPicture) -> int:
    """Pixels of all the maps of a picture that get a tile, before any averaging."""
    units, height, width = picture.tiles.shape
    shown: int = min(units, MOST_TILES) * height * width
    return shown


def averaged(tiles: ByteArray, pixels: int) -> FloatArray | None:
    """Tiles (n h w) averaged over areas, so that all together have at most about `pixels`.

    None where they have no more as they are.
    """
    n, height, width = tiles.shape
    scale = math.sqrt(pixels / (n * height * width))
    if scale >= 1:
        return None
    least = min(SMALLEST_SIDE, height), min(SMALLEST_SIDE, width)
    size = max(least[0], int(height * scale)), max(least[1], int(width * scale))
    means: FloatArray = F.adaptive_avg_pool2d(torch.from_numpy(tiles).double(), size).numpy()
    return means


def most_varied(seen: LayerEvidence) -> tuple[int, ...]:
    """The units that get a tile, in their own order: all, or the 1024 whose values vary most."""
    spread = np.nan_to_num(seen.variance)
    return tuple(sorted(int(u) for u in np.argsort(-spread, kind="stable")[:MOST_TILES]))


def atlas(
    call: Call,
    layer: Layer,
    image: Image,
    picture: MapPicture,
    units: tuple[int, ...],
    pixels: int,
) -> Atlas:
    """The maps of `units` side by side, each on its own scale; the strongest have the highest peak.

    Args:
        call: the layer's call.
        layer: its record.
        image: the image.
        picture: the activation.
        units: those that are shown.
        pixels: of the whole picture, about; larger maps are averaged.
    """
    tiles = picture.tiles[list(units)]
    low, high = full_low, full_high = picture.low[list(units)], picture.high[list(units)]
    means = averaged(tiles, pixels)
    if means is not None:
        tiles, low, high = stretched(means, low, high)
    count, height, width = tiles.shape
    columns = best_columns(count, height, width)
    full = call.grid or (height, width)
    strength = np.nan_to_num(full_high, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    order = np.argsort(-strength, kind="stable")
    caption = f"{counted(count, 'feature map')} of {layer.title} for {image.path}"
    if count < len(picture.tiles):
        caption += f", those of {len(picture.tiles):,} that vary most"
    caption += f", {full[0]} x {full[1]}"
    caption += "." if full == (height, width) else f" averaged to {height} x {width}."
    best = int(order[0])
    return Atlas(
        pixels=Pixels.of(mosaic(tiles, columns), f"{layer.slug}-{image.slug}", gap=True),
        columns=columns,
        count=count,
        tile_height=height,
        tile_width=width,
        full_height=full[0],
        full_width=full[1],
        low=low,
        high=high,
        labels=() if count == len(picture.tiles) else tuple(str(unit) for unit in units),
        order=tuple(int(index) for index in order[:MOST_NAMED]),
        signed=False,
        alt=(
            f"{counted(count, 'feature map')} of {layer.title} for {image.path}; the strongest is "
            f"channel {units[best]} with a peak of {full_high[best]:.3g}."
        ),
        caption=caption,
        full_low=None if means is None else full_low,
        full_high=None if means is None else full_high,
    )


def strip(layer: Layer, image: Image, picture: VectorPicture) -> Strip:
    """One value per unit as a row of grey levels, on one scale."""
    values = picture.values
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:STRONGEST]
    top = tuple((int(unit), float(values[unit])) for unit in order)
    row, low, high = levels(values[None, None, :])
    return Strip(
        pixels=Pixels.of(row[0], f"{layer.slug}-{image.slug}"),
        values=values,
        top=top,
        alt=(
            f"{counted(len(values), 'unit')} of {layer.title} for {image.path}; the largest is "
            f"unit {top[0][0]} with {top[0][1]:.3g}."
        ),
        caption=f"One bar per unit, from {low[0]:.3g} (dark) to {high[0]:.3g} (bright).",
    )
