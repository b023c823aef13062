"""The label beside each map, the page that it leads to, and its curves."""

import re
from dataclasses import replace

import numpy as np
import pytest

from reportgen.figures.fading import HEIGHT, WIDTH, fading_svg
from reportgen.render.pages import pages
from reportgen.report.blocks import Column, Table
from reportgen.report.records import Panel, Report, Section

CURVES = ("deletion", "random_deletion", "insertion", "random_insertion")


def with_trust(report: Report, kind: str, verdict: str) -> dict[str, str]:
    """The pages of a report whose occlusion maps were tested."""
    facts = {
        "methods": ("occlusion",), "titles": ("Occlusion",), "without": ("Grad-CAM",),
        "verdicts": (verdict,), "kinds": (kind,), "images": (4,), "wins": (3,),
        "advantage": (0.25,), "low": (None,), "high": (None,), "unlearned": (0.1,),
        "fill_agreement": (None,), "steps": 2, "random_maps": 2, "forgotten_images": 2,
        "costly": 40, "threshold": 0.5, "levels": ("all 2 layers",), "first_forgotten": ("conv",),
        "fills": ("mean", "black", "blur"),
    }  # fmt: skip
    table = Table("Caption.", (Column("method"),), (("Occlusion",),))
    arrays = {name: np.array([[1.0, 0.5, 0.0]]) for name in CURVES}
    panel = Panel(facts, arrays, {"areas": table, "likeness": table})
    section = Section("trust", "Trust", "page", panel)
    made = pages(replace(report, sections=(*report.sections, section)))
    return {path: content.decode() for path, content in made if path.endswith(".html")}


@pytest.mark.parametrize("kind", ["good", "doubt", "unlearned", "unknown"])
def test_a_label_stands_beside_the_map_and_leads_to_its_test(report: Report, kind: str) -> None:
    html = with_trust(report, kind, "better <than> chance")
    labels = [page for path, page in html.items() if "images/" in path and 'class="trust' in page]
    assert labels
    for page in labels:
        (label,) = re.findall(rf'<a class="trust {kind}".*?</a>', page, re.DOTALL)
        assert 'href="../trust.html#occlusion"' in label
        assert "Better &lt;than&gt; chance</a>" in label
    page = html["trust.html"]
    assert '<figure class="plot" id="occlusion">' in page
    assert "untested: Grad-CAM." in page and "better on 3 of 4 images." in page


def test_without_the_section_there_is_no_label(html: dict[str, str]) -> None:
    assert "trust.html" not in html
    assert all('class="trust' not in page for page in html.values())


def test_curves_are_drawn_to_scale() -> None:
    drawing = fading_svg("Deletion", [0.8, 0.2, 0.0], [0.4, 0.4, 0.4], 0.8, "A <method>")
    random, own = re.findall(r' d="(M[^"H]*)"', drawing)
    points = [tuple(map(float, pair.split())) for pair in own[1:].split("L")]
    (left, top), (middle, third), (right, bottom) = points
    assert (left, middle, right) == (0, WIDTH / 2, WIDTH)
    assert bottom - top == HEIGHT and bottom - third == HEIGHT / 4
    assert random.count(str(int(bottom - HEIGHT / 2))) == 3
    assert "area 0.30, random 0.40" in drawing
    assert "A &lt;method&gt;" in drawing
