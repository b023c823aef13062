"""A gradient of an image as a map of its pixels, and the map as a picture."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F

from reportgen.analyses.methods import Method
from reportgen.figures.mosaic import coarse, signed_levels
from reportgen.report.arrays import ByteArray, FloatArray, Pixels
from reportgen.report.blocks import Photo
from reportgen.report.records import Image

LARGEST = 224
"Pixels of a picture's longer side; larger maps are averaged over areas."
CLIPPED = 99.0
"Percentile of a map's magnitudes at which its colours end, so that one pixel cannot dim the rest."


Look: TypeAlias = Literal["magnitude", "signed", "colour"]
"What is drawn: the largest magnitude over the channels, their signed sum, or the channels."


@dataclass(frozen=True, eq=False)
class Map:
    """What one method found in one image."""

    method: Method
    tensor: torch.Tensor
    "(c h w) float32, signed."

    look: Look

    @property
    def values(self) -> FloatArray:
        """(height width): the signed sum over the channels, or the largest magnitude."""
        return summed(self.tensor) if self.look == "signed" else strongest(self.tensor)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest of the values that are drawn, before any is clipped."""
        drawn = self.tensor.numpy() if self.look == "colour" else self.values
        return float(drawn.min()), float(drawn.max())

    @property
    def problem(self) -> str:
        """Why there is nothing to draw; empty where there is something."""
        if not bool(torch.isfinite(self.tensor).all()):
            return "Some of the gradients are not finite, so there is no map."
        return "" if bool(self.tensor.any()) else "No gradient reaches the image."


def strongest(gradient: torch.Tensor) -> FloatArray:
    """The largest magnitude over the channels [simonyan2013], (height width)."""
    values: FloatArray = gradient.abs().amax(dim=0).numpy()
    return values


def summed(attributions: torch.Tensor) -> FloatArray:
    """The signed sum over the channels, (height width)."""
    values: FloatArray = attributions.sum(dim=0).numpy()
    return values


def shown_of(made: Map) -> FloatArray:
    """What is drawn: (height width), or (height width 3) in colour; at most `LARGEST` a side."""
    values = torch.from_numpy(made.values)[None]
    if made.look == "colour":
        values = made.tensor if len(made.tensor) == 3 else made.tensor.mean(dim=0, keepdim=True)
    height, width = values.shape[1:]
    share = LARGEST / max(height, width)
    if share < 1:
        size = (max(1, round(height * share)), max(1, round(width * share)))
        values = F.interpolate(values[None], size, mode="area")[0]
    drawn: FloatArray = values.movedim(0, 2).numpy()
    return drawn if drawn.shape[2] == 3 else drawn[..., 0]


def limit_of(values: FloatArray) -> float:
    """Where the colours end; where nearly all is zero, at the largest magnitude."""
    sizes = np.abs(values)
    return float(np.percentile(sizes, CLIPPED)) or float(sizes.max())


def picture(image: Image, label: str, made: Map, values: FloatArray, limit: float) -> Photo:
    """The map as grey levels, 0..254, or around 127 where it is signed or in colour.

    65 of these levels are used: noise hardly compresses, and nobody sees the difference.

    Args:
        image: that it is of.
        label: of the class that it explains.
        made: the map.
        values: what is shown of it.
        limit: magnitude at which the levels end.
    """
    if made.look == "magnitude":
        level: ByteArray = np.rint(254 * np.clip(values / limit, 0, 1)).astype(np.uint8)
    else:
        level, _ = signed_levels(values, limit)
    low, high = made.range
    text = f"{made.method.title} for {label}, from {low:.3g} to {high:.3g}, shown up to {limit:.3g}"
    return Photo(
        Pixels.photo(coarse(level), f"{image.slug}-{made.method.name}"),
        f"{image.path}: {text}.",
        f"{text}, the {CLIPPED:.0f}th percentile of the magnitudes.",
    )
