"""What the search of a site finds: every place that has a name and an address.

The index is a script that a page loads when its search is first opened: pages opened from a disk
may not fetch.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reportgen.compare.answers import in_words
from reportgen.compare.records import Comparison
from reportgen.render.filters import anchor, certainty, plural, shape
from reportgen.render.order import MenuItem
from reportgen.render.site import IMAGES_LISTED, Site
from reportgen.report.blocks import Table
from reportgen.report.records import Finding, Image, Layer, Section

SEVERITIES = {"error": "Error", "warning": "Warning", "info": "Remark"}


@dataclass(frozen=True)
class Entry:
    """One place; what a query names beyond it is looked for among its units and sections."""

    about: str
    "Begins with what it is: `Layer · Conv2d, 64 × 55 × 55`."
    name: str
    href: str
    "Relative to the site's root."
    units: int = 0
    "`#c=0` and so on lead to this many of its units."
    named: tuple[tuple[str, tuple[int, ...]], ...] = ()
    "What is said of some of its units, and of which: `dead`, `speaks for tabby`."
    sections: tuple[Section, ...] = ()


def search_script(entries: Iterable[Entry]) -> bytes:
    """`data/search.js`. Titles of sections stand in it once, at the end."""
    titles: dict[str, str] = {}
    rows = []
    for entry in entries:
        names = [section.name for section in entry.sections]
        titles |= {section.name: section.title for section in entry.sections}
        row = [entry.about, entry.name, entry.href, entry.units, entry.named, names]
        while not row[-1]:
            row.pop()
        rows.append(row)
    index = {"rows": rows, "titles": titles}
    text = json.dumps(index, separators=(",", ":"), ensure_ascii=False)
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return f"window.searchIndex = {text};\n".encode("utf-8", "backslashreplace")


def report_entries(site: Site) -> Iterator[Entry]:
    """Layers, images, classes, findings, sections, parameters: in the order of the site."""
    report = site.report
    # The parameters of a deep network stand on several pages.
    placed = (replace(f, href=site.href(f.href, "index.html")) for f in report.findings)
    yield from _findings(placed)
    yield from _sections(site)
    for layer in report.layers:
        yield _layer(site, layer)
    for image in site.pictured:
        yield _image(site, image)
    for image in [image for image in report.images if not image.is_pictured][:IMAGES_LISTED]:
        yield Entry(f"Image without a page{_answer(image)}", image.path, "images/index.html#others")
    for image in site.pictured:
        yield from _classes(image)
    for layer in report.layers:
        if "visualisation" in layer.panels:
            facts = layer.panels["visualisation"].facts
            for kind, name in _pairs(facts["kinds"], facts["names"]):
                if kind == "class":
                    href = f"layers/{layer.slug}.html#visualisation"
                    yield Entry("Class · painted by gradient ascent", name, href)
    if any(section.name == "weights" for section in report.sections):
        for parameter in report.parameters:
            href = site.href(f"weights.html#{anchor(parameter.name)}", "index.html")
            yield Entry(f"Parameter · {shape(parameter.shape)}", parameter.name, href)


def comparison_entries(made: Comparison, menu: Sequence[MenuItem]) -> Iterator[Entry]:
    """Findings, pages, layers and images of a comparison."""
    yield from _findings(made.findings)
    for item in menu:
        yield Entry("Page", item.title, item.href)
    for layer in made.layers:
        href = f"layers/{layer.slug}.html" if layer.has_page else "layers.html"
        yield Entry(f"Layer · {layer.type}, {plural(layer.units_b, 'unit')}", layer.title, href)
    for image in made.images:
        href = f"images/{image.slug}.html" if image.has_page else "images.html"
        both = (
            (made.subjects[0].task, image.answer_a, image.said_a),
            (made.subjects[-1].task, image.answer_b, image.said_b),
        )
        words = dict.fromkeys(in_words(task, answer, said) for task, answer, said in both)
        yield Entry(f"Image · {', then '.join(words)}", image.path, href)


def _findings(findings: Iterable[Finding]) -> Iterator[Entry]:
    for finding in findings:
        kind = finding.kind.replace("-", " ").replace("_", " ")
        yield Entry(f"{SEVERITIES[finding.severity]} · {kind}", finding.text, finding.href)


def _sections(site: Site) -> Iterator[Entry]:
    for item in site.menu:
        yield Entry("Page", item.title, item.href)
    for title in ("Findings", "Images", "Network", "Reproduce"):
        yield Entry("Section of the overview", title, f"index.html#{title.lower()}")
    for title in ("Limits", "Methods", "Rules", "Glossary", "References"):
        yield Entry("Section of the about page", title, f"about.html#{title.lower()}")
    for section in site.report.sections:
        if section.place == "index":
            yield Entry("Section of the overview", section.title, f"index.html#{section.name}")
    # A section of layers or images is found by itself on the first page that has it.
    for folder, subjects in (("layers", site.report.layers), ("images", site.pictured)):
        seen: set[str] = set()
        for subject in subjects:
            for section in (evidence.section for evidence in site.evidence(subject)):
                if section.name not in seen:
                    seen.add(section.name)
                    about = f"Section of pages of {folder}; this is the first"
                    href = f"{folder}/{subject.slug}.html#{section.name}"
                    yield Entry(about, section.title, href)


def _layer(site: Site, layer: Layer) -> Entry:
    about = f"Layer · {layer.type}, {shape(layer.output_shape)}"
    if layer.dead_filters:
        about += f", {layer.dead_filters} of {layer.units} dead"
    has_units = "activations" in layer.panels
    return Entry(
        about,
        layer.title or layer.type,
        f"layers/{layer.slug}.html",
        layer.units if has_units else 0,
        tuple(_named(layer)) if has_units else (),
        tuple(item.section for item in site.evidence(layer)),
    )


def _named(layer: Layer) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What other sections say of single units of a layer."""
    if layer.dead_units:
        yield "dead", layer.dead_units
    cards = layer.panels["patches"].facts["units"] if "patches" in layer.panels else ()
    if isinstance(cards, tuple) and cards:
        yield "shown with its strongest patches", tuple(int(unit) for unit in cards)
    if "visualisation" in layer.panels:
        facts = layer.panels["visualisation"].facts
        pairs = _pairs(facts["kinds"], facts["names"])
        yield "painted by gradient ascent", tuple(int(n) for kind, n in pairs if kind == "unit")
    table = layer.panels["redundancy"].blocks.get("units") if "redundancy" in layer.panels else None
    if isinstance(table, Table):
        names = [column.name for column in table.columns]
        if "Speaks for" in names:
            at = names.index("Speaks for")
            spoken: dict[str, list[int]] = {}
            for row in table.rows:
                if row[at] is not None:
                    spoken.setdefault(str(row[at]), []).append(int(str(row[0])))
            for label, units in spoken.items():
                yield f"speaks for {label}", tuple(units)


def _image(site: Site, image: Image) -> Entry:
    return Entry(
        f"Image{_answer(image)}",
        image.path,
        f"images/{image.slug}.html",
        sections=tuple(item.section for item in site.evidence(image)),
    )


def _answer(image: Image) -> str:
    best = f" · answer {image.predictions[0].label}" if image.predictions else " · no finite answer"
    return best + (f", true class {image.true_class}" if image.true_class is not None else "")


def _classes(image: Image) -> Iterator[Entry]:
    """The best three classes of an image, and its true one."""
    href = f"images/{image.slug}.html" + ("#answers" if "answers" in image.panels else "")
    for guess in image.predictions[:3]:
        kind = "Output" if guess.probability is None else "Class"
        about = f"{kind} · {certainty(guess)} for {image.path}"
        yield Entry(about, guess.label, href)
    if image.true_class is not None:
        yield Entry(f"Class · the true one of {image.path}", image.true_class, href)


def _pairs(kinds: object, names: object) -> list[tuple[str, str]]:
    """Two facts that are lists of words, side by side."""
    assert isinstance(kinds, tuple) and isinstance(names, tuple)
    return [(str(kind), str(name)) for kind, name in zip(kinds, names, strict=True)]
