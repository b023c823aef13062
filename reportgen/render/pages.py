"""A report to the files of its site: every page, the style and the script, the tables as CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from jinja2 import Environment

from reportgen.figures.files import Drawn, Print
from reportgen.papers.bibliography import bibtex
from reportgen.papers.methods import methods_text
from reportgen.render import drawings
from reportgen.render.environment import environment, icon, script, stylesheet
from reportgen.render.layer_data import layer_script
from reportgen.render.site import FINDINGS_SHOWN, IMAGES_LISTED, Site
from reportgen.render.tables import csv_files
from reportgen.report.blocks import MapStrip
from reportgen.report.records import Report, Section
from reportgen.report.tables import table_path

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """One page: where it lies, what it is called, which entry of the menu it belongs to."""

    path: str
    title: str
    key: str
    template: str
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
    yield from csv_files(report)
    yield "data/cite.bib", bibtex(report).encode("utf-8", "backslashreplace")
    yield from drawings.files(report, printed)


def _rendered(made: Environment, site: Site, page: Page) -> bytes:
    context = {
        "report": site.report,
        "site": site,
        "page": page,
        "to": partial(site.href, page=page.path),
        "csv": table_path,
        "layer": None,
        "colour_filters": drawings.colour_filters(),
        "colours": drawings.COLOURS,
        "drawings": drawings,
    }
    text = made.get_template(page.template).render(context | dict(page.context))
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return text.encode("utf-8", "backslashreplace")


def _pages(site: Site) -> Iterator[Page]:
    report = site.report
    yield Page("index.html", report.title, "index", "index.html.jinja", _overview(site))
    for section in report.sections:
        if section.place == "page":
            yield from _section_pages(site, section)
    references = dict.fromkeys(text for section in report.sections for text in section.references)
    about = {"references": tuple(references), "methods": methods_text(report)}
    yield Page("about.html", "How to read this report", "about", "about.html.jinja", about)
    yield from _layer_pages(site)
    yield from _image_pages(site)


def _overview(site: Site) -> dict[str, object]:
    defined = [layer for layer in site.report.layers if layer.dead_filters is not None]
    dead = sum(layer.dead_filters or 0 for layer in defined)
    labelled = sum(image.true_index is not None for image in site.report.images)
    return {
        "dead": {"count": dead, "units": sum(layer.units for layer in defined)},
        "labelled": labelled,
        "findings_shown": FINDINGS_SHOWN,
    }


def _section_pages(site: Site, section: Section) -> Iterator[Page]:
    # Only the weights grow beyond a page: one picture for every parameter.
    chunks = site.parameter_chunks if section.name == "weights" else (None,)
    for chunk in chunks:
        path = f"{section.name}.html" if chunk is None else chunk.path
        context = {"section": section, "chunk": chunk}
        yield Page(path, section.title, section.name, "page.html.jinja", context)


def _layer_pages(site: Site) -> Iterator[Page]:
    pictured = site.pictured[0] if site.pictured else None
    strip = None
    if pictured is not None and "answers" in pictured.panels:
        strip = pictured.panels["answers"].blocks.get("depth")
    maps = strip.maps if isinstance(strip, MapStrip) else ()
    thumbs = {slug: pixels for slug, pixels, _, _ in maps}
    for chunk in site.layer_chunks:
        context = {"chunk": chunk, "thumbs": thumbs, "thumbs_of": pictured}
        yield Page(chunk.path, "Layers", "layers", "layers_index.html.jinja", context)
    layers = site.report.layers
    for position, (before, layer, after) in enumerate(_neighbours(layers), 1):
        context = {"layer": layer, "previous": before, "next": after, "position": position}
        path = f"layers/{layer.slug}.html"
        yield Page(path, layer.title or layer.type, "layers", "layer.html.jinja", context)


def _image_pages(site: Site) -> Iterator[Page]:
    others = [image for image in site.report.images if not image.is_pictured]
    context: dict[str, object] = {"others": others, "images_listed": IMAGES_LISTED}
    yield Page("images/index.html", "Images", "images", "images_index.html.jinja", context)
    for position, (before, image, after) in enumerate(_neighbours(site.pictured), 1):
        context = {
            "image": image,
            "image_index": site.report.images.index(image),
            "previous": before,
            "next": after,
            "position": position,
        }
        yield Page(f"images/{image.slug}.html", image.path, "images", "image.html.jinja", context)


def _neighbours(items: Sequence[T]) -> Iterator[tuple[T | None, T, T | None]]:
    for index, item in enumerate(items):
        before = items[index - 1] if index else None
        yield before, item, items[index + 1] if index + 1 < len(items) else None
