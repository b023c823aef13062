"""Makes a report small enough for a site of so many megabytes, by showing fewer feature maps.

What goes first is what is missed least: detail of the maps, then maps of further images on the
pages of layers, then maps of layers that no finding speaks of. All numbers and pages stay.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from reportgen.figures.files import Drawn, Print
from reportgen.figures.mosaic import best_columns, mosaic, stretched, tiles_of
from reportgen.render.pages import pages
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Atlas, Block
from reportgen.report.records import Layer, Report
from reportgen.report.store import stored

MEGA = 1_000_000
SMALLEST_SIDE = 4
"Maps are not averaged to fewer pixels than this a side."


@dataclass(frozen=True)
class Cut:
    """How much of the feature maps is shown; each cut shows less than the one before."""

    pixels: float
    "Share of an atlas's pixels."
    images: int
    "With maps on the page of a layer."
    layers: int
    "With maps on their page."


def fitted(
    report: Report, megabytes: float, printed: Callable[[Print], Drawn] = Print.drawn
) -> tuple[Report, str]:
    """The report with as few cuts as its site needs to fit, and why it does not, where none does.

    Args:
        report: with the contents of its pictures.
        megabytes: of all files of the site together.
        printed: gives the files of a figure for print.

    Returns:
        The report, with one note that says what was cut, and a sentence for the user: empty where
        the site fits.
    """
    pictured = [layer for layer in report.layers if _atlases(layer)]
    images = max((len(_atlases(layer)) for layer in pictured), default=0)
    cuts = list(_cuts(images, len(pictured)))
    # Each cut gives a smaller site than the one before: the first that fits is found by halving.
    first, last = 0, len(cuts) - 1
    while first < last:
        middle = (first + last) // 2
        made = _cut(report, cuts[middle], cuts[0], megabytes)
        if site_bytes(made, printed) <= megabytes * MEGA:
            last = middle
        else:
            first = middle + 1
    made = _cut(report, cuts[first], cuts[0], megabytes)
    if first < len(cuts) - 1:
        return made, ""
    sizes = _sizes(made, printed)
    if sum(sizes.values()) <= megabytes * MEGA:
        return made, ""
    note = _unmet(made, sizes, megabytes)
    return replace(made, notes=(*made.notes, note)), note


def remembered(printed: Callable[[Print], Drawn]) -> Callable[[Print], Drawn]:
    """The same, but no figure is drawn twice: a site is measured before it is written."""
    kept: dict[str, Drawn] = {}

    def drawn(item: Print) -> Drawn:
        if item.stem not in kept:
            kept[item.stem] = printed(item)
        return kept[item.stem]

    return drawn


def site_bytes(report: Report, printed: Callable[[Print], Drawn]) -> int:
    """Bytes of all files of the report's site."""
    return sum(_sizes(report, printed).values())


def _sizes(report: Report, printed: Callable[[Print], Drawn]) -> dict[str, int]:
    return {path: len(content) for path, content in chain(stored(report), pages(report, printed))}


def _cuts(images: int, layers: int) -> Iterator[Cut]:
    """All cuts, the mildest first: the report as it is."""
    cut = Cut(1.0, images, layers)
    yield cut
    for share in (0.5, 0.25):
        cut = replace(cut, pixels=share)
        yield cut
    while cut.images > 1:
        cut = replace(cut, images=-(-cut.images // 2))
        yield cut
    while cut.layers > 0:
        cut = replace(cut, layers=cut.layers // 2)
        yield cut


def _cut(report: Report, cut: Cut, whole: Cut, megabytes: float) -> Report:
    if cut == whole:
        return report
    kept = _kept(report, cut.layers)
    layers = tuple(
        _cut_layer(layer, cut, layer.slug in kept, megabytes) if _atlases(layer) else layer
        for layer in report.layers
    )
    said = [f"are averaged to {_share(cut.pixels)} of their pixels"]
    if cut.images < whole.images:
        said.append(f"are shown for {cut.images} of {whole.images} images on the page of a layer")
    if cut.layers < whole.layers:
        said.append(
            f"stand on the pages of {cut.layers} of {whole.layers} layers, "
            "those with findings first"
        )
    note = f"To fit --budget-mb {megabytes:g}, feature maps {_listed(said)}."
    if not cut.layers:
        note = f"To fit --budget-mb {megabytes:g}, no feature map is shown on the page of a layer."
    return replace(report, layers=layers, notes=(*report.notes, note))


def _kept(report: Report, count: int) -> set[str]:
    """Slugs of the layers that keep their maps: with findings, then evenly over the depth."""
    slugs = [layer.slug for layer in report.layers if _atlases(layer)]
    named = {finding.href.partition("#")[0] for finding in report.findings}
    first = [slug for slug in slugs if f"layers/{slug}.html" in named][:count]
    others = [slug for slug in slugs if slug not in first]
    left = count - len(first)
    return {*first, *(others[index * len(others) // left] for index in range(left))}


def _cut_layer(layer: Layer, cut: Cut, is_kept: bool, megabytes: float) -> Layer:
    panel = layer.panels["activations"]
    atlases = _atlases(layer)
    shown = dict(list(atlases.items())[: cut.images if is_kept else 0])
    blocks: dict[str, Block] = {
        name: _smaller(shown[name], cut.pixels) if name in shown else block
        for name, block in panel.blocks.items()
        if name in shown or name not in atlases
    }
    facts = dict(panel.facts)
    facts["pictured"] = tuple(name.removeprefix("image:") for name in shown)
    facts["is_averaged"] = bool(shown) and (facts["is_averaged"] or cut.pixels < 1)
    if len(shown) < len(atlases):
        facts["left_out"] = (
            f"Feature maps of {len(shown) or 'none'} of the {len(atlases)} pictured images are "
            f"shown here, to fit --budget-mb {megabytes:g}."
        )
    made = replace(panel, facts=facts, blocks=blocks)
    return replace(layer, panels={**layer.panels, "activations": made})


def _atlases(layer: Layer) -> dict[str, Atlas]:
    """The feature maps on the page of a layer, by the name of their block."""
    panel = layer.panels.get("activations")
    blocks = panel.blocks.items() if panel else ()
    return {name: block for name, block in blocks if isinstance(block, Atlas)}


def _smaller(block: Atlas, share: float) -> Atlas:
    """The atlas with each map averaged to about this share of its pixels."""
    side = share**0.5
    height, width = (
        max(min(SMALLEST_SIDE, size), int(size * side))
        for size in (block.tile_height, block.tile_width)
    )
    size = (block.tile_height, block.tile_width)
    if (height, width) == size:
        return block
    tiles = np.einsum(
        "yh,nhw,xw->nyx",
        _averaging(block.tile_height, height),
        tiles_of(block.pixels.values(), block.count, block.columns, *size).astype(np.float64),
        _averaging(block.tile_width, width),
        optimize=True,
    )
    coarse, low, high = stretched(tiles, block.low, block.high)
    full_low, full_high = block.ends
    columns = best_columns(block.count, height, width)
    stem = block.pixels.path.removeprefix("img/").rpartition("-")[0]
    return replace(
        block,
        pixels=Pixels.of(mosaic(coarse, columns), stem, gap=True),
        columns=columns,
        tile_height=height,
        tile_width=width,
        low=low,
        high=high,
        full_low=full_low,
        full_high=full_high,
        caption=f"{block.caption} Shown at {height} x {width}, for the size of the report.",
    )


def _averaging(many: int, few: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Rows of weights (few, many): each mean covers its share of the length, cut exactly."""
    ends = np.arange(few + 1) * many / few
    starts = np.arange(many)
    covered = np.minimum(ends[1:, None], starts + 1) - np.maximum(ends[:-1, None], starts)
    weights: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.clip(covered, 0, None)
    return weights * few / many


def _unmet(report: Report, sizes: Mapping[str, int], megabytes: float) -> str:
    """What it would take to fit, said in the options that a user has."""
    size = sum(sizes.values())
    slugs = [re.escape(image.slug) for image in report.images if image.is_pictured]
    # The name as a whole: `a.png` has no share in the files of `activations`.
    own = re.compile(rf"[/.-](?:{'|'.join(slugs)})[.-]") if slugs else None
    each = sum(length for path, length in sizes.items() if own and own.search(path)) / max(
        len(slugs), 1
    )
    rest = size - each * len(slugs)
    room = int((megabytes * MEGA - rest) // each) if each else 0
    advice = f"--max-images {room} would fit" if room > 0 else "fewer --layers would be needed"
    return (
        f"--budget-mb {megabytes:g} cannot be met: without feature maps the site still takes "
        f"{size / MEGA:.2g} MB, about {each / MEGA:.2g} of it for each image with a page; {advice}."
    )


def _share(pixels: float) -> str:
    return {0.5: "half", 0.25: "a quarter"}[pixels]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
