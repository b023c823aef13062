"""Figures on pages lead to their files for print and to their numbers."""

import csv
import io
import re

import numpy as np
import pytest

from reportgen.papers.methods import methods_text
from reportgen.report.store import stored
from tests.papers.latex_reader import entries_in

DATA = re.compile(
    r'data as <a href="(?:\.\./)?([^"]+)" download>(\w+)</a>'
    r'(?: \(<span class="name">([^<]+)</span>\))?'
)


@pytest.fixture(scope="module")
def files(report):
    return dict(stored(report))


def offered(html, page):
    return [tuple(found) for found in DATA.findall(html[page])]


def test_maps_lead_to_the_array_that_they_show(html, files, report):
    found = offered(html, "images/chelsea.html")
    assert {form for _, form, _ in found} == {"NPZ"}
    assert {key for _, _, key in found} >= {"chelsea.array", "chelsea.gradcam"}
    panels = report.images[0].panels
    shown = {
        "chelsea.array": panels["occlusion"].blocks["probability"],
        "chelsea.gradcam": panels["gradcam"].blocks["gradcam"],
    }
    for path, _, key in found:
        values = np.load(io.BytesIO(files[path]))[key]
        if key in shown:
            np.testing.assert_array_equal(values, shown[key].values)


def test_curves_lead_to_a_csv_of_their_values(html, site, report):
    ((path, form, key),) = offered(html, "index.html")
    assert (path, form, key) == ("data/overview.curves.csv", "CSV", "")
    rows = list(csv.reader(io.StringIO(site[path].decode())))
    block = report.sections[0].panel.blocks["curves"]
    assert rows[0] == ["Layer", "Zeros (share)", "Dead filters (share)", *rows[0][3:]]
    assert [row[0] for row in rows[1:]] == list(block.layers)
    for at, curve in enumerate(block.curves, 1):
        read = [float(row[at]) if row[at] else None for row in rows[1:]]
        assert read == pytest.approx(list(curve.values))


def test_figures_that_a_command_makes_name_it(html):
    assert "reportgen figures REPORT --only dead_filters-curve<" in html["dead_filters.html"]
    assert "--only &#39;features.0-kernels-*&#39;<" in html["layers/features.0.html"].replace(
        "'", "&#39;"
    )


def test_how_it_was_made_can_be_copied_and_cited(html, site, report):
    page = html["about.html"]
    text = re.search(r'<pre id="methods-text"><code>(.*?)</code>', page, re.DOTALL)
    assert text and 'data-copy="methods-text"' in page
    assert text[1].startswith("We examined squeezenet1_1 (1,235,496 parameters")
    cited = {
        key
        for keys in re.findall(r"\[([\w; ]+)\]", methods_text(report))
        for key in keys.split("; ")
    }
    assert cited <= set(entries_in(site["data/cite.bib"].decode()))
