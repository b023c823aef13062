"""A report to the files of its site: every page, the style and the script, the tables as CSV."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from jinja2 import Environment

from reportgen.figures.files import Drawn, Print
from reportgen.papers.bibliography import bibtex, own_entry
from reportgen.papers.methods import methods_text
from reportgen.render import captions, drawings
from reportgen.render.environment import environment, icon, script, stylesheet
from reportgen.render.layer_data import layer_script
from reportgen.render.order import Place, Stand, in_menu, in_order
from reportgen.render.search import report_entries, search_script
from reportgen.render.site import FINDINGS_SHOWN, IMAGES_LISTED, Chunk, Site
from reportgen.render.tables import csv_files
from reportgen.render.values import image_values, layer_values, levels_each, values_path
from reportgen.report.blocks import MapStrip
from reportgen.report.records import Layer, Report, Section
from reportgen.report.tables import MANY_LAYERS, table_path


@dataclass(frozen=True)
class Page:
    """One page: where it lies, what it is called, which entry of the menu it belongs to."""

    path: str
    title: str
    key: str
    template: str
    stand: Stand
    context: Mapping[str, object] = field(default_factory=dict)


def pages(
    report: Report, printed: Callable[[Print], Drawn] = Print.drawn
) -> Iterator[tuple[str, bytes]]:
    """Every file of the site but what the store writes, as (path, content).

    A pure function of the report: the same report gives the same bytes. The figures for print come
    last, so that the workers of a press have time for them.

    Args:
        report: what the site shows.
        printed: gives the files of a figure for print; `Press.drawn` where there is a press.
    """
    site = Site(report)
    made = environment()
    # Pages of GitHub drops files that start with an underscore unless it finds this one.
    yield ".nojekyll", b""
    yield "assets/report.css", stylesheet()
    yield "assets/report.js", script()
    yield "assets/icon.svg", icon()
    for page in _pages(site):
        yield page.path, _rendered(made, site, page)
    for layer in report.layers:
        yield f"data/{layer.slug}.js", layer_script(site, layer)
    yield from _values(site)
    yield "data/search.js", search_script(report_entries(site))
    yield from csv_files(report)
    yield "data/cite.bib", bibtex(report).encode("utf-8", "backslashreplace")
    yield from drawings.files(report, printed)


def _values(site: Site) -> Iterator[tuple[str, bytes]]:
    most = levels_each(site.report)
    for layer in site.report.layers:
        yield values_path(layer), layer_values(layer, most)
    for image in site.pictured:
        yield values_path(image), image_values(image, is_deep=len(site.report.layers) > MANY_LAYERS)


def _rendered(made: Environment, site: Site, page: Page) -> bytes:
    layer = page.context.get("layer")
    is_coloured = not isinstance(layer, Layer) or site.is_coloured(layer)
    context = {
        "report": site.report,
        "site": site,
        "page": page,
        "to": partial(site.href, page=page.path),
        "csv": table_path,
        "layer": None,
        "values_path": values_path,
        "colour_filters": drawings.colour_filters() if is_coloured else "",
        "colours": drawings.COLOURS,
        "drawings": drawings,
        "captions": captions,
    }
    text = made.get_template(page.template).render(context | dict(page.context))
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return text.encode("utf-8", "backslashreplace")


def _pages(site: Site) -> Iterator[Page]:
    report = site.report
    yield _listed(site, report.title, "index", "index.html.jinja", _overview(site))
    for section in report.sections:
        if section.place == "page":
            yield from _section_pages(site, section)
    references = dict.fromkeys(text for section in report.sections for text in section.references)
    about = {"references": tuple(references), "methods": methods_text(report)}
    yield _listed(site, "How to read this report", "about", "about.html.jinja", about)
    yield from _layer_pages(site)
    yield from _image_pages(site)


def _listed(
    site: Site,
    title: str,
    key: str,
    template: str,
    context: Mapping[str, object],
    chunk: Chunk | None = None,
) -> Page:
    """A page of the menu, or one of the pages of a list that is too long for a single one."""
    if chunk is None:
        path = next(item.href for item in site.menu if item.key == key)
        return Page(path, title, key, template, in_menu(site.menu, key), context)
    stand = in_menu(site.menu, key, chunk.paths, chunk.number - 1)
    return Page(chunk.path, title, key, template, stand, context)


def _overview(site: Site) -> dict[str, object]:
    defined = [layer for layer in site.report.layers if layer.dead_filters is not None]
    dead = sum(layer.dead_filters or 0 for layer in defined)
    labelled = sum(image.true_index is not None for image in site.report.images)
    return {
        "dead": {"count": dead, "units": sum(layer.units for layer in defined)},
        "labelled": labelled,
        "findings_shown": FINDINGS_SHOWN,
        "cite": own_entry(site.report).source().strip(),
    }


def _section_pages(site: Site, section: Section) -> Iterator[Page]:
    # Only the weights grow beyond a page: one picture for every parameter.
    chunks = site.parameter_chunks if section.name == "weights" else (None,)
    for chunk in chunks:
        context = {"section": section, "chunk": chunk}
        yield _listed(site, section.title, section.name, "page.html.jinja", context, chunk)


def _layer_pages(site: Site) -> Iterator[Page]:
    pictured = site.pictured[0] if site.pictured else None
    strip = None
    if pictured is not None and "answers" in pictured.panels:
        strip = pictured.panels["answers"].blocks.get("depth")
    maps = strip.maps if isinstance(strip, MapStrip) else ()
    thumbs = {slug: pixels for slug, pixels, _, _ in maps}
    for chunk in site.layer_chunks:
        context = {"chunk": chunk, "thumbs": thumbs, "thumbs_of": pictured}
        yield _listed(site, "Layers", "layers", "layers_index.html.jinja", context, chunk)
    layers = site.report.layers
    places = [Place(f"layers/{item.slug}.html", item.title or item.type) for item in layers]
    for at, (place, stand) in enumerate(zip(places, in_order(places), strict=True)):
        context = {"layer": layers[at], "position": at + 1}
        yield Page(place.path, place.title, "layers", "layer.html.jinja", stand, context)


def _image_pages(site: Site) -> Iterator[Page]:
    others = [image for image in site.report.images if not image.is_pictured]
    context: dict[str, object] = {"others": others, "images_listed": IMAGES_LISTED}
    yield _listed(site, "Images", "images", "images_index.html.jinja", context)
    places = [Place(f"images/{image.slug}.html", image.path) for image in site.pictured]
    for image, place, stand in zip(site.pictured, places, in_order(places), strict=True):
        context = {"image": image, "image_index": site.report.images.index(image)}
        yield Page(place.path, place.title, "images", "image.html.jinja", stand, context)
