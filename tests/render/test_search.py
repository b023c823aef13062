import dataclasses
import json
import posixpath
from urllib.parse import parse_qs

import pytest

from reportgen.render.search import Entry, report_entries, search_script
from reportgen.render.site import Site
from reportgen.report.blocks import Column, Table
from reportgen.report.records import Panel, Section
from tests.render.sample_report import HOSTILE, sample_report
from tests.render.walk import Page


def read(script: bytes) -> dict:
    return json.loads(script.decode().removeprefix("window.searchIndex = ").removesuffix(";\n"))


@pytest.fixture(scope="module")
def index(site):
    return read(site["data/search.js"])


def test_every_address_of_the_index_is_there(index, site, html, report):
    ids = {path: Page(path, text).ids for path, text in html.items()}
    units = {f"layers/{layer.slug}.html": layer.units for layer in report.layers}
    checked = 0
    for about, name, href, *more in index["rows"]:
        count, named, sections = [*more, 0, [], []][:3] if len(more) < 3 else more
        path, _, place = href.partition("#")
        assert path in site, name
        if place.startswith("c="):
            assert int(parse_qs(place)["c"][0]) < units[path]
        elif place:
            assert place in ids[path], f"{about}, {name}: {path} has no #{place}"
        assert count in (0, units.get(path, 0))
        for note, numbers in named or []:
            assert note
            assert all(0 <= number < count for number in numbers)
        for section in sections or []:
            assert section in ids[path]
            assert index["titles"][section]
        checked += 1
    assert checked > 50


def test_layers_images_findings_and_classes_are_all_there(index, report):
    rows = index["rows"]
    names = {
        kind: [row[1] for row in rows if row[0].startswith(kind)]
        for kind in ("Layer", "Image", "Class")
    }
    assert names["Layer"] == [layer.title for layer in report.layers]
    assert names["Image"] == [
        image.path for image in sorted(report.images, key=lambda i: not i.is_pictured)
    ]
    guessed = {
        guess.label
        for image in report.images
        if image.is_pictured
        for guess in image.predictions[:3]
    }
    assert guessed <= set(names["Class"])
    texts = [row[1] for row in rows]
    assert all(finding.text in texts for finding in report.findings)


def test_dead_units_are_listed_by_number(index, report):
    by_name = {row[1]: row for row in index["rows"] if row[0].startswith("Layer")}
    dead = [layer for layer in report.layers if layer.dead_units]
    assert dead
    for layer in dead:
        row = by_name[layer.title]
        assert (
            dict(map(tuple, [(note, tuple(n)) for note, n in row[4]]))["dead"] == layer.dead_units
        )
        assert f"{len(layer.dead_units)} of {layer.units} dead" in row[0]


def test_units_are_found_by_the_class_they_speak_for(report):
    table = Table(
        "",
        (Column("Unit"), Column("Speaks for")),
        ((4, "tabby"), (1, "cup"), (2, "tabby"), (0, None)),
    )
    layer = report.layers[0]
    panels = {**layer.panels, "redundancy": Panel({}, {}, {"units": table})}
    changed = dataclasses.replace(
        report, layers=(dataclasses.replace(layer, panels=panels), *report.layers[1:])
    )
    entry = next(
        e
        for e in report_entries(Site(changed))
        if e.href == f"layers/{layer.slug}.html" and e.units
    )
    assert dict(entry.named)["speaks for tabby"] == (4, 2)
    assert dict(entry.named)["speaks for cup"] == (1,)


def test_a_layer_without_maps_offers_no_units(report):
    layer = report.layers[0]
    bare = dataclasses.replace(
        report, layers=(dataclasses.replace(layer, panels={}), *report.layers[1:])
    )
    entry = next(e for e in report_entries(Site(bare)) if e.about.startswith("Layer"))
    assert (entry.units, entry.named) == (0, ())


def test_rows_end_where_nothing_is_left_to_say_and_titles_stand_once():
    kernels = Section("kernels", "Kernels", "layer")
    entries = [
        Entry("Layer", "a", "a.html", 3, (("dead", (0, 2)),), (kernels,)),
        Entry("Layer", "b", "b.html", sections=(kernels,)),
        Entry("Page", HOSTILE + "\udc80", "c.html"),
    ]
    made = read(search_script(entries))
    assert made["rows"][0] == ["Layer", "a", "a.html", 3, [["dead", [0, 2]]], ["kernels"]]
    assert made["rows"][1] == ["Layer", "b", "b.html", 0, [], ["kernels"]]
    assert made["rows"][2] == ["Page", HOSTILE + "\udc80", "c.html"]
    assert made["titles"] == {"kernels": "Kernels"}


def test_the_index_of_a_large_network_stays_small():
    report = sample_report()
    layer = report.layers[1]
    many = tuple(
        dataclasses.replace(layer, slug=f"b{i}.relu", name=f"b{i}.relu") for i in range(700)
    )
    bare = tuple(dataclasses.replace(image, panels={}) for image in report.images)
    big = dataclasses.replace(report, layers=many, images=bare)
    assert len(search_script(report_entries(Site(big)))) < 200_000
    assert posixpath.basename("data/search.js") == "search.js"
