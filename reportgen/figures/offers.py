"""Every figure that a paper could want of a report: its name, what it shows, and how it is made."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from reportgen.figures import of_images, of_layers, of_network
from reportgen.figures.files import Print, prints, stem
from reportgen.figures.plate import Plate
from reportgen.report.blocks import Curves, Heatmap
from reportgen.report.records import Image, Layer, Panel, Report

T = TypeVar("T")

FOLDER = "figures/"
"Of figures beside the pages; those for a paper stand in a folder that the user names."


@dataclass(frozen=True, eq=False)
class Offer:
    """A figure that can be made."""

    name: str
    "Of its files, without the format."
    shows: str
    "In words, for who has to choose."
    make: Callable[[], Print]
    is_common: bool = True
    "Whether it is made where none is asked for by name; of layers, those of one of each stage are."


def offers(report: Report) -> Iterator[Offer]:
    """Every figure of a report: of the network, of its layers, of the images."""
    titles = {layer.slug: layer.title for layer in report.layers}
    for section in report.sections:
        if section.panel:
            yield from _printed("", section.name, section.panel, section.title)
            plate = of_network.plate(section.name, section.panel, titles)
            if plate:
                yield _offer(("", section.name, plate[0]), section.title, plate[1])
    for name, block, shows in of_network.depth_curves(report):
        yield _offer(("", name, "curves"), shows, partial(_same, block))
    chosen = of_layers.chosen(report)
    photos = {image.slug: image for image in report.images if image.is_pictured}
    for layer in report.layers:
        is_chosen = layer.slug in chosen
        for name, panel in layer.panels.items():
            yield from _printed(layer.slug, name, panel, f"{layer.title}: {name}", is_chosen)
        yield from _of_layer(report, layer, photos, is_chosen)
    for image in photos.values():
        for name, panel in image.panels.items():
            yield from _printed(image.slug, name, panel, image.path)
            yield from _of_image(image, name, panel)


def _of_layer(
    report: Report, layer: Layer, photos: Mapping[str, Image], is_chosen: bool
) -> Iterator[Offer]:
    panel = layer.panels.get("activations")
    first = next((slug for slug in photos if panel and f"image:{slug}" in panel.blocks), "")
    for slug, image in photos.items():
        if of_layers.has_maps(layer, image):
            yield _offer(
                (layer.slug, "activations", slug),
                f"{layer.title}: strongest feature maps for {image.path}",
                partial(of_layers.map_grid, layer, image),
                # One image is enough to show what a layer does; others are made when asked for.
                is_chosen and slug == first,
            )
    if of_layers.has_units(layer):
        yield _offer(
            (layer.slug, "patches", "units"),
            f"{layer.title}: what its units look for",
            partial(of_layers.unit_nines, layer),
        )
    kernels = layer.panels.get("kernels")
    for name in kernels.blocks if kernels else ():
        yield _offer(
            (layer.slug, "kernels", name),
            f"{layer.title}: kernels" + (" as colours" if name == "rgb" else ""),
            partial(of_layers.kernel_grid, layer, name),
            is_chosen,
        )
    if own := of_layers.parameters_of(report, layer):
        yield _offer(
            (layer.slug, "weights", "histograms"),
            f"{layer.title}: histograms of its parameters",
            partial(of_layers.histograms, layer, own),
            is_chosen,
        )


def _of_image(image: Image, section: str, panel: Panel) -> Iterator[Offer]:
    for name, block in panel.blocks.items():
        if isinstance(block, Heatmap) and block.over and block.over.pixels.content:
            yield _offer(
                (image.slug, section, name, "side_by_side"),
                f"{image.path}: {block.title}, beside and over the photo",
                partial(of_images.side_by_side, image, block),
                block.for_print or name == "rollout",
            )
    if section == "gradients" and panel.facts.get("maps") and "answers" in image.panels:
        yield _offer(
            (image.slug, section, "maps"),
            f"{image.path}: gradient maps side by side",
            partial(of_images.pixel_maps, image, panel),
        )


def _printed(
    subject: str, section: str, panel: Panel, shows: str, is_common: bool = True
) -> Iterator[Offer]:
    """The figures that stand beside the pages as well."""
    for item in prints(subject, section, panel):
        title = item.title or (item.block.title if isinstance(item.block, Heatmap) else "curves")
        name = item.stem.removeprefix(FOLDER)
        yield Offer(name, f"{shows}: {title}", partial(_same, item), is_common)


def _offer(
    parts: tuple[str, ...],
    shows: str,
    block: Callable[[], Plate | Curves],
    is_common: bool = True,
) -> Offer:
    place = stem(*parts)
    return Offer(place.removeprefix(FOLDER), shows, lambda: Print(place, block()), is_common)


def _same(value: T) -> T:
    return value
