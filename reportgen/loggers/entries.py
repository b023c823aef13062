"""What is logged of a report: numbers, histograms and pictures under stable names."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from reportgen.figures.small import overlaid, photo, png
from reportgen.gates.names import OWN
from reportgen.report.blocks import Atlas, Heatmap, Histogram, Photo
from reportgen.report.records import Image, Layer, Report

PREFIX = "reportgen"
"Of every name, so that they stand apart from those of the training."


@dataclass(frozen=True)
class Scalar:
    """One number."""

    name: str
    value: float


@dataclass(frozen=True)
class Distribution:
    """Counts in equal bins."""

    name: str
    histogram: Histogram

    @property
    def edges(self) -> list[float]:
        """Ends of the bins, one more than there are."""
        bins, low, high = len(self.histogram.counts), self.histogram.low, self.histogram.high
        return [low + (high - low) * place / bins for place in range(bins + 1)]


@dataclass(frozen=True)
class Picture:
    """One picture as PNG."""

    name: str
    content: bytes
    height: int
    width: int
    caption: str


Entry: TypeAlias = Scalar | Distribution | Picture


def entries(report: Report) -> Iterator[Entry]:
    """Everything that is logged of a report, in its order."""
    for name, value in _numbers(report):
        if value is not None and math.isfinite(value):
            yield Scalar(f"{PREFIX}/{name}", float(value))
    for parameter in report.parameters:
        yield from _histogram(f"parameters/{parameter.name}", parameter.histogram)
    for layer in report.layers:
        yield from _of_layer(layer)
    for image in report.images:
        yield from _of_image(image)


def _numbers(report: Report) -> Iterator[tuple[str, float | None]]:
    for name, number in OWN.items():
        if "[" not in name:
            ((_, value),) = number.read(report, "")
            yield f"summary/{name}", value
    for layer in report.layers:
        dead = None if layer.dead_filters is None else layer.dead_filters / layer.units
        own = {"dead": dead, "zeros": layer.zero_fraction, "mean": layer.mean, "std": layer.std}
        yield from ((f"layers/{layer.title}/{name}", value) for name, value in own.items())
    for parameter in report.parameters:
        for name in ("mean", "std", "norm"):
            yield f"parameters/{parameter.name}/{name}", getattr(parameter, name)
        yield f"parameters/{parameter.name}/zeros", parameter.zero_fraction


def _histogram(name: str, histogram: Histogram) -> Iterator[Distribution]:
    if any(histogram.counts) and math.isfinite(histogram.high - histogram.low):
        yield Distribution(f"{PREFIX}/{name}", histogram)


def _of_layer(layer: Layer) -> Iterator[Entry]:
    """Histogram and kernels, and the feature maps of the first image that is pictured."""
    start = f"layers/{layer.title}"
    blocks = layer.panels["activations"].blocks if "activations" in layer.panels else {}
    if isinstance(histogram := blocks.get("histogram"), Histogram):
        yield from _histogram(f"{start}/activations", histogram)
    maps = next((block for block in blocks.values() if isinstance(block, Atlas)), None)
    kernels = layer.panels["kernels"].blocks if "kernels" in layer.panels else {}
    for name, block in (("maps", maps), ("kernels", next(iter(kernels.values()), None))):
        if isinstance(block, Atlas):
            yield from _photo(f"{start}/{name}", Photo(block.pixels, block.alt, block.caption))


def _of_image(image: Image) -> Iterator[Entry]:
    """What the network saw, and every heatmap over it."""
    start = f"images/{image.slug}"
    for section, panel in image.panels.items():
        for name, block in panel.blocks.items():
            if isinstance(block, Heatmap) and block.over and block.over.pixels.content:
                picture = overlaid(block)
                path = f"{PREFIX}/{start}/{section}/{name}"
                yield Picture(path, png(picture), picture.height, picture.width, block.alt)
            elif isinstance(block, Photo) and (section, name) == ("answers", "seen"):
                yield from _photo(f"{start}/seen", block)


def _photo(name: str, block: Photo) -> Iterator[Picture]:
    """A picture with the values that it is kept with; none where it was left on the disk."""
    pixels = block.pixels
    if pixels.content:
        content = pixels.content if pixels.path.endswith(".png") else png(photo(pixels))
        yield Picture(f"{PREFIX}/{name}", content, pixels.height, pixels.width, block.alt)
