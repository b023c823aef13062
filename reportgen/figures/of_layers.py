"""What a paper shows of a layer: its strongest feature maps, its kernels, its weights."""

import numpy as np

from reportgen.figures.histograms import Histograms
from reportgen.figures.kernel_grid import KernelGrid
from reportgen.figures.map_grid import MapGrid
from reportgen.figures.mosaic import tiles_of
from reportgen.figures.unit_nines import UnitNines
from reportgen.report.arrays import Array, ByteArray, FloatArray, Pixels
from reportgen.report.blocks import Atlas, Photo
from reportgen.report.places import middle_named, middle_slice
from reportgen.report.records import Image, Layer, Parameter, Report

UNITS = 48
"Maps of a figure at most; it shows as many of the strongest as fit its width."


def chosen(report: Report) -> frozenset[str]:
    """The layers whose figures are made without being asked for: those of one of each stage.

    For maps and units the last layer with maps of each size, and for kernels and weights the first
    and the last convolution of each, and the last linear layer.
    """
    found: dict[tuple[str, object], str] = {}
    for layer in report.layers:
        size = layer.output_shape[-2:] if len(layer.output_shape) == 3 else None
        if size is not None:
            found["maps", size] = layer.slug
        if layer.kind == "conv":
            found.setdefault(("first", None), layer.slug)
            found["conv", size] = layer.slug
        if layer.kind == "linear":
            found["linear", None] = layer.slug
    return frozenset(found.values())


def has_maps(layer: Layer, image: Image) -> bool:
    """Whether the report holds pictures of a layer's maps for an image."""
    block = _atlas(layer, image)
    return block is not None and bool(block.pixels.content)


def _atlas(layer: Layer, image: Image) -> Atlas | None:
    panel = layer.panels.get("activations")
    block = panel.blocks.get(f"image:{image.slug}") if panel else None
    return block if isinstance(block, Atlas) else None


def map_grid(layer: Layer, image: Image) -> MapGrid:
    """The strongest maps of a layer for an image, in full where the report kept them."""
    block = _atlas(layer, image)
    assert block is not None
    order = np.array(block.order or range(block.count))[:UNITS]
    units = tuple(int(block.labels[at]) if block.labels else int(at) for at in order)
    whole = layer.panels["activations"].arrays.get(f"map.{image.slug}")
    if whole is not None and whole.ndim == 4:
        whole = whole[:, middle_slice(whole.shape[1])]
    maps = tile_values(block)[order] if whole is None else whole[list(units)].astype(np.float32)
    full = f"{block.full_height} × {block.full_width}"
    about = f"{layer.units:,} units, {full}{_slice(layer, 'activations')}; one scale for all"
    if whole is None and (block.tile_height, block.tile_width) != (
        block.full_height,
        block.full_width,
    ):
        about += f"; averaged to {block.tile_height} × {block.tile_width}"
    return MapGrid(f"{layer.title}: {image.path}", photo_of(image), units, maps, f"{about}.")


def _slice(layer: Layer, section: str) -> str:
    """Which of several slices pictures of a layer show."""
    slices = layer.panels[section].facts.get("slices")
    return f", {middle_named(slices)}" if isinstance(slices, int) and slices > 1 else ""


def tile_values(block: Atlas) -> FloatArray:
    """(n h w) float32: what the grey levels of an atlas stand for."""
    tiles = _tiles(block).astype(np.float32)
    low, high = (end.astype(np.float32)[:, None, None] for end in (block.low, block.high))
    values: FloatArray = low + tiles / 254 * (high - low)
    return values


def _tiles(block: Atlas) -> ByteArray:
    size = (block.tile_height, block.tile_width)
    return tiles_of(pixels_of(block.pixels), block.count, block.columns, *size)


def pixels_of(pixels: Pixels) -> ByteArray:
    """A picture as (h w) or (h w 3); in RGB without what says which pixels are clear."""
    values = pixels.values()
    return values[..., :3] if values.ndim == 3 else values


def photo_of(image: Image) -> ByteArray | None:
    """(h w 3): an image as the network saw it; None where the report has no picture of it."""
    panel = image.panels.get("answers")
    block = panel.blocks.get("seen") if panel else None
    return rgb(block.pixels) if isinstance(block, Photo) and block.pixels.content else None


def rgb(pixels: Pixels) -> ByteArray:
    """A picture as (h w 3)."""
    values = pixels_of(pixels)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def kernel_grid(layer: Layer, name: str) -> KernelGrid:
    """The kernels of a convolution, as far as the report has a picture of them.

    Args:
        layer: a convolution.
        name: `rgb`, or `channels` for every kernel by itself.
    """
    panel = layer.panels["kernels"]
    block, facts = panel.blocks[name], panel.facts
    assert isinstance(block, Atlas)
    limit = float(block.high.max(initial=0.0))
    tiles = (_tiles(block).astype(np.float32) - 127) / 127 * np.float32(limit)
    rows, columns = _integers(facts["filter_rows"]), _integers(facts["channel_columns"])
    size = f"{facts['height']} × {facts['width']}{_slice(layer, 'kernels')}"
    if name == "rgb":
        weights: Array = tiles.transpose(0, 3, 1, 2)
        title = f"{layer.title}: {len(weights):,} filters of {size}, row by row"
        return KernelGrid(title, weights, tuple(range(len(weights))), (0, 1, 2), limit, True)
    weights = tiles.reshape(len(rows), len(columns), facts["height"], facts["width"])  # type: ignore[arg-type]
    title = f"{layer.title}: {len(rows):,} × {len(columns):,} kernels of {size}"
    return KernelGrid(title, weights, rows, columns, limit)


def has_units(layer: Layer) -> bool:
    """Whether the report holds patches of a layer's units."""
    panel = layer.panels.get("patches")
    block = panel.blocks.get("crops") if panel else None
    return isinstance(block, Atlas) and bool(block.pixels.content)


def unit_nines(layer: Layer) -> UnitNines:
    """The units of a layer whose patches are shown, with their projections and paintings."""
    panel = layer.panels["patches"]
    units = _integers(panel.facts["units"])
    nines = {
        name: _tiles(block).reshape(len(units), -1, block.tile_height, block.tile_width, 3)
        for name in ("crops", "projections")
        if isinstance(block := panel.blocks.get(name), Atlas)
    }
    painted = {}
    pictures = layer.panels.get("visualisation")
    block = pictures.blocks.get("unit") if pictures else None
    if pictures and isinstance(block, Atlas) and block.pixels.content:
        numbers = _integers(pictures.facts["numbers"])[: block.count]
        painted = dict(zip(numbers, _tiles(block), strict=True))
    title = f"{layer.title}: where its units are strongest on {panel.facts['images']} images"
    counts = _integers(panel.facts["patches"])
    return UnitNines(title, units, counts, nines["crops"], nines.get("projections"), painted)


def _integers(fact: object) -> tuple[int, ...]:
    return tuple(int(value) for value in fact) if isinstance(fact, tuple) else ()


def parameters_of(report: Report, layer: Layer) -> tuple[Parameter, ...]:
    """The parameters that belong to a layer; of one that runs more than once, at its first call."""
    if layer.call != 1 or not layer.name:
        return ()
    return tuple(one for one in report.parameters if one.name.rpartition(".")[0] == layer.name)


def histograms(layer: Layer, own: tuple[Parameter, ...]) -> Histograms:
    """The histograms of a layer's parameters."""
    names = tuple(
        f"{one.name.rpartition('.')[2]} ({' × '.join(map(str, one.shape)) or '1'})" for one in own
    )
    return Histograms(layer.title, "value", names, tuple(one.histogram for one in own))
