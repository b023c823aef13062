"""Where everything stands on the site: the menu, the tree of layers, the links between pages."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from reportgen.render.filters import anchor
from reportgen.render.meanings import FindingGroup, grouped
from reportgen.render.order import MenuItem
from reportgen.report.blocks import Atlas, Curves, Table
from reportgen.report.records import Image, Layer, Panel, Parameter, Report, Section
from reportgen.report.tables import table_path

T = TypeVar("T")

PARAMETERS_PER_PAGE = 48
"Small multiples on one page of weights: what 100 kB of HTML hold beside the table of the first."
LAYERS_PER_PAGE = 200
TREE_IN_FULL = 80
"Layers that the tree lists on every page; a larger network shows the group it is in."
TREE_CUT = 8
"Layers before and after the one shown, where even its group is large."
FINDINGS_SHOWN = 60
IMAGES_LISTED = 400


@dataclass(frozen=True)
class Group:
    """Neighbours in the tree of layers that share the first part of their name."""

    name: str
    layers: tuple[Layer, ...]
    is_open: bool
    is_listed: bool
    "False where a large network leaves the group to the page of all layers."
    is_cut: bool
    "True where a large network lists only the neighbours of the layer that is shown."

    def label(self, layer: Layer) -> str:
        """What is left of the layer's title once the group is known."""
        return layer.title.removeprefix(f"{self.name}.")


@dataclass(frozen=True)
class Chunk:
    """One page of a list that is too long for a single one."""

    path: str
    number: int
    paths: tuple[str, ...]
    "Of all the pages of this list."
    first: int
    items: Sequence[object] = field(repr=False)


@dataclass(frozen=True)
class Evidence:
    """One section's part of the page of a layer or an image."""

    section: Section
    panel: Panel | None
    "None where the section failed."


class Site:
    """A report seen as pages."""

    def __init__(self, report: Report) -> None:
        self.report = report

    @cached_property
    def menu(self) -> tuple[MenuItem, ...]:
        """Overview, layers, images, the sections with a page of their own, about."""
        own = tuple(
            MenuItem(section.title, f"{section.name}.html", section.name)
            for section in self.report.sections
            if section.place == "page"
        )
        return (
            MenuItem("Overview", "index.html", "index"),
            MenuItem("Layers", "layers/index.html", "layers"),
            MenuItem("Images", "images/index.html", "images"),
            *own,
            MenuItem("About", "about.html", "about"),
        )

    @cached_property
    def finding_groups(self) -> tuple[FindingGroup, ...]:
        """What the overview lists, the most serious first."""
        return grouped(self.report.findings[:FINDINGS_SHOWN])

    @cached_property
    def example(self) -> str:
        """A layer whose units have addresses, for the hint of the search; else empty."""
        layers = (layer for layer in self.report.layers if "activations" in layer.panels)
        return next((layer.title for layer in layers), "")

    @cached_property
    def pictured(self) -> tuple[Image, ...]:
        """Images that have a page."""
        return tuple(image for image in self.report.images if image.is_pictured)

    @cached_property
    def image_by_slug(self) -> Mapping[str, Image]:
        """Every image by the name of its page."""
        return {image.slug: image for image in self.report.images}

    @cached_property
    def layer_by_slug(self) -> Mapping[str, Layer]:
        """Every layer by the name of its page."""
        return {layer.slug: layer for layer in self.report.layers}

    @cached_property
    def parameter_chunks(self) -> tuple[Chunk, ...]:
        """The parameters, page by page."""
        return chunks("weights.html", self.report.parameters, PARAMETERS_PER_PAGE)

    @cached_property
    def layer_chunks(self) -> tuple[Chunk, ...]:
        """The layers, page by page."""
        return chunks("layers/index.html", self.report.layers, LAYERS_PER_PAGE)

    @cached_property
    def _page_of_parameter(self) -> Mapping[str, str]:
        return {
            anchor(parameter.name): chunk.path
            for chunk in self.parameter_chunks
            for parameter in chunk.items
            if isinstance(parameter, Parameter)
        }

    @cached_property
    def _pages_with_maps(self) -> frozenset[str]:
        layers = (layer for layer in self.report.layers if "activations" in layer.panels)
        return frozenset(f"layers/{layer.slug}.html" for layer in layers)

    def href(self, target: str, page: str) -> str:
        """`target`, which is relative to the site's root, as seen from `page`.

        A channel of a layer whose maps are not shown is no place: what is left is the layer's page.
        """
        path, mark, place = target.partition("#")
        if place.startswith("c=") and path not in self._pages_with_maps:
            mark = place = ""
        if path == "weights.html":
            path = self._page_of_parameter.get(place, path)
        # Pages stand at the root or one folder down. `relpath` is a tenth of the work.
        folder = posixpath.dirname(page)
        if not folder:
            return path + mark + place
        inside = path.removeprefix(f"{folder}/")
        return (inside if inside != path else f"../{path}") + mark + place

    def titles(self, slugs: Sequence[str]) -> tuple[str, ...]:
        """What the layers of these pages are called."""
        return tuple(self.layer_by_slug[slug].title for slug in slugs)

    def place_of(self, layer: Layer) -> str:
        """Where a layer stands among all layers."""
        chunk = next(chunk for chunk in self.layer_chunks if layer in chunk.items)
        return f"{chunk.path}#{layer.slug}"

    def atlas_range(self, layer: Layer) -> tuple[float, float]:
        """Lowest and highest value over all pictured images of a layer: the shared scale."""
        maps = [b for b in layer.panels["activations"].blocks.values() if isinstance(b, Atlas)]
        low = min((float(block.low.min()) for block in maps), default=0.0)
        return low, max((float(block.high.max()) for block in maps), default=0.0)

    def tree(self, current: Layer | None) -> tuple[Group, ...]:
        """The layers in execution order, neighbours grouped by the first part of their name."""
        is_small = len(self.report.layers) <= TREE_IN_FULL
        groups = []
        for name, members in groupby(self.report.layers, lambda layer: layer.name.split(".")[0]):
            layers = tuple(members)
            is_open = current in layers
            is_cut = is_open and not is_small and len(layers) > 2 * TREE_CUT + 1
            if is_cut:
                middle = layers.index(current) if current is not None else 0
                layers = layers[max(0, middle - TREE_CUT) : middle + TREE_CUT + 1]
            groups.append(Group(name, layers, is_open, is_small or is_open, is_cut))
        return tuple(groups)

    def evidence(self, subject: Layer | Image) -> tuple[Evidence, ...]:
        """What each section says of a layer or an image; failed ones keep their place."""
        place = "layer" if isinstance(subject, Layer) else "image"
        return tuple(
            Evidence(section, subject.panels.get(section.name))
            for section in self.report.sections
            if section.place == place
            and (section.name in subject.panels or section.problem or section.absent)
        )

    def tables(self) -> Iterator[tuple[str, Table | Curves]]:
        """Every table and every set of curves with the path of its CSV."""
        for section, subject, panel in self._panels():
            for name, block in panel.blocks.items():
                if isinstance(block, Table | Curves):
                    table = block if isinstance(block, Table) else None
                    yield table_path(section, subject, name, table), block

    def atlases(self, layer: Layer) -> dict[str, Atlas]:
        """The atlases of a layer's page, by `section.block`."""
        return {
            f"{section}.{name}": block
            for section, panel in layer.panels.items()
            for name, block in panel.blocks.items()
            if isinstance(block, Atlas)
        }

    def is_coloured(self, layer: Layer) -> bool:
        """Whether the page of a layer holds pictures, which take the filters that colour them."""
        panel = layer.panels.get("activations")
        return bool(self.atlases(layer) or (panel and panel.facts.get("pictured")))

    def _panels(self) -> Iterator[tuple[str, str, Panel]]:
        for section in self.report.sections:
            if section.panel is not None:
                yield section.name, "", section.panel
        subjects: tuple[Layer | Image, ...] = (*self.report.layers, *self.report.images)
        for subject in subjects:
            for name, panel in subject.panels.items():
                yield name, subject.slug, panel


def chunks(path: str, items: Sequence[object], size: int) -> tuple[Chunk, ...]:
    """`items` in pages of at most `size`: `weights.html`, `weights-2.html` ..."""
    starts = range(0, max(len(items), 1), size)
    stem = path.removesuffix(".html")
    paths = tuple(path if n == 0 else f"{stem}-{n + 1}.html" for n in range(len(starts)))
    return tuple(
        Chunk(paths[n], n + 1, paths, start, items[start : start + size])
        for n, start in enumerate(starts)
    )
