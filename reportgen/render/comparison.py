"""A comparison to the files of its site: pages, tables as CSV, and maps over their pictures."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial

from markupsafe import Markup

from reportgen.compare.answers import outcome
from reportgen.compare.records import Comparison, ImageChange, LayerChange, LayerSeries
from reportgen.compare.store import FILE, stored
from reportgen.compare.tables import tables
from reportgen.figures.heatmap import overlay_png
from reportgen.figures.series import series_svg
from reportgen.render import captions, drawings
from reportgen.render.environment import environment, icon, script, stylesheet
from reportgen.render.meanings import FindingGroup, grouped
from reportgen.render.order import MenuItem, Place, in_menu, in_order
from reportgen.render.pages import Page
from reportgen.render.search import comparison_entries, search_script
from reportgen.report.blocks import Curve, Curves, Heatmap, Table
from reportgen.report.tables import table_csv

MULTIPLES_SHOWN = 16
"Layers with a plot of their own on the page of the timeline; the CSV has all."
POINTS_SHOWN = 200
"The same in dots of one quantity: fewer layers where there are many reports."
CARDS_SHOWN = 12
"Images with their maps on the overview."


class ComparisonSite:
    """A comparison seen as pages."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    @cached_property
    def menu(self) -> tuple[MenuItem, ...]:
        """Overview, timeline where there is one, layers, images, about."""
        line = MenuItem("Timeline", "timeline.html", "timeline")
        return (
            MenuItem("Overview", "index.html", "index"),
            *([line] if self.comparison.timeline else []),
            MenuItem("Layers", "layers.html", "layers"),
            MenuItem("Images", "images.html", "images"),
            MenuItem("About", "about.html", "about"),
        )

    example = ""
    "Units have no address here, so that the search gives no example of one."

    @cached_property
    def finding_groups(self) -> tuple[FindingGroup, ...]:
        """What the overview lists, the most serious first."""
        return grouped(self.comparison.findings)

    @cached_property
    def layers(self) -> tuple[LayerChange, ...]:
        """Layers with a page."""
        return tuple(layer for layer in self.comparison.layers if layer.has_page)

    @cached_property
    def images(self) -> tuple[ImageChange, ...]:
        """Images with a page."""
        return tuple(image for image in self.comparison.images if image.has_page)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Those of the overview pages, by name."""
        return tables(self.comparison)

    def titles(self, slugs: Sequence[str]) -> tuple[str, ...]:
        """What the layers of these pages are called."""
        known = {layer.slug: layer.title for layer in self.comparison.layers}
        return tuple(known[slug] for slug in slugs)

    def multiples(self, key: str) -> tuple[int, tuple[LayerSeries, ...], float]:
        """Layers over time by `dead_share`, `zero_share` or `weight_norm`, where it is defined.

        Returns:
            How many there are, those that changed most in their own order, the largest value.
        """
        line = self.comparison.timeline
        found = []
        for layer in line.layers if line else ():
            values = [value for value in getattr(layer, key) if value is not None]
            if values:
                found.append((max(values) - min(values), max(values), layer))
        room = POINTS_SHOWN // len(self.comparison.subjects)
        room = max(4, min(MULTIPLES_SHOWN, room))
        least = sorted((change for change, _, _ in found), reverse=True)[:room]
        shown = [layer for change, _, layer in found if change >= least[-1]][:room]
        return len(found), tuple(shown), max((most for _, most, _ in found), default=0.0)

    def curves(self) -> Curves:
        """How far each layer moved, by depth."""
        layers = self.comparison.layers
        a, b = self.comparison.subjects[0].letter, self.comparison.subjects[-1].letter
        curves = (
            Curve(
                "Weights moved",
                "share",
                tuple(layer.weight_change for layer in layers),
                f"‖{b} − {a}‖ / ‖{a}‖ of each weight; layers of one shape only.",
            ),
            Curve(
                "Activations moved",
                "std",
                tuple(layer.distance for layer in layers),
                "Distance between the histograms of both, in standard deviations.",
            ),
            Curve(
                "Units that died",
                "",
                tuple(_if_rectified(layer, len(layer.died)) for layer in layers),
                f"Alive in {a}, dead in {b}; layers of one width only.",
            ),
            Curve(
                "Units that came to life",
                "",
                tuple(_if_rectified(layer, len(layer.born)) for layer in layers),
                f"Dead in {a}, alive in {b}; layers of one width only.",
            ),
        )
        drawn = tuple(curve for curve in curves if any(value for value in curve.values))
        return Curves(tuple(layer.slug for layer in layers), drawn, "Changes by depth.")


def comparison_pages(comparison: Comparison) -> Iterator[tuple[str, bytes]]:
    """Every file of the site, `compare.json` among them, as (path, content).

    A pure function of the comparison: the same one gives the same bytes.
    """
    site = ComparisonSite(comparison)
    made = environment()
    yield FILE, stored(comparison)
    # Pages of GitHub drops files that start with an underscore unless it finds this one.
    yield ".nojekyll", b""
    yield "assets/report.css", stylesheet()
    yield "assets/report.js", script()
    yield "assets/icon.svg", icon()
    for page in _pages(site):
        context = {
            "report": comparison,
            "site": site,
            "page": page,
            "to": partial(_seen_from, page.path),
            "colour_filters": drawings.colour_filters(),
            "drawings": drawings,
            "captions": captions,
            "outcome_of": partial(outcome, comparison),
            "series": _series,
        }
        text = made.get_template(page.template).render(context | dict(page.context))
        # A file name that is not UTF-8 reaches us as lone surrogates.
        yield page.path, text.encode("utf-8", "backslashreplace")
    yield "data/search.js", search_script(comparison_entries(comparison, site.menu))
    for name, table in site.tables.items():
        yield f"data/{name}.csv", table_csv(table)
    for layer in site.layers:
        if layer.table is not None:
            yield f"data/layers.{layer.slug}.csv", table_csv(layer.table)
    yield from _pictures(comparison)


def _pages(site: ComparisonSite) -> Iterator[Page]:
    comparison = site.comparison
    cards: dict[str, object] = {"cards_shown": CARDS_SHOWN}
    titles = {"index": comparison.title, "about": "How to read this comparison"}
    for item in site.menu:
        yield Page(
            item.href,
            titles.get(item.key, item.title),
            item.key,
            f"compare/{item.key}.html.jinja",
            in_menu(site.menu, item.key),
            cards | {"line": comparison.timeline},
        )
    places = [Place(f"layers/{item.slug}.html", item.title or item.type) for item in site.layers]
    for layer, place, stand in zip(site.layers, places, in_order(places), strict=True):
        context = {"layer": layer}
        yield Page(place.path, place.title, "layers", "compare/layer.html.jinja", stand, context)
    places = [Place(f"images/{image.slug}.html", image.path) for image in site.images]
    for image, place, stand in zip(site.images, places, in_order(places), strict=True):
        own = {"image": image}
        yield Page(place.path, place.title, "images", "compare/image.html.jinja", stand, own)


def _seen_from(page: str, target: str) -> str:
    """`target`, relative to the site's root, as seen from a page at most one folder down."""
    folder = posixpath.dirname(page)
    if not folder:
        return target
    inside = target.removeprefix(f"{folder}/")
    return inside if inside != target else f"../{target}"


def _if_rectified(layer: LayerChange, count: int) -> float | None:
    known = layer.dead_a is not None and layer.dead_b is not None
    return float(count) if known and layer.units_a == layer.units_b else None


def _series(
    title: str,
    unit: str,
    names: Sequence[str],
    values: Sequence[float | None],
    highest: float | None = None,
    width: int = 190,
    about: str = "",
) -> Markup:
    """A small plot over the checkpoints."""
    return Markup(series_svg(title, unit, names, values, highest=highest, width=width, about=about))


def _maps(comparison: Comparison) -> Iterator[tuple[str, str, str, Heatmap]]:
    """Every map that is drawn, with its subject, section and name."""
    for image in comparison.images:
        for made in image.maps:
            for name, block in (
                ("a", made.map_a),
                ("b", made.map_b),
                ("difference", made.difference),
            ):
                if block is not None:
                    yield image.slug, made.method, name, block
    film = comparison.timeline.film if comparison.timeline else None
    for index, frame in enumerate(film.frames if film else ()):
        yield "film", "occlusion", str(index), frame


def _pictures(comparison: Comparison) -> Iterator[tuple[str, bytes]]:
    shown = [image.photo.pixels for image in comparison.images if image.maps and image.photo]
    for subject, section, name, block in _maps(comparison):
        if block.over is not None:
            shown.append(block.over.pixels)
            yield drawings.heat(subject, section, name, block).overlay, overlay_png(block)
    for pixels in shown:
        yield pixels.path, pixels.content
