"""The page on frequencies, strides and width."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from reportgen.render.pages import pages
from reportgen.report.blocks import Column, Link, Table
from reportgen.report.records import Panel, Report, Section
from tests.render.sample_report import SLUGS
from tests.render.walk import Page

WORDS = "Too fine for stride 4: 5 % of what it reads, <b>20 %</b> of what it samples."


def design_of(report: Report, drawn: Sequence[str], layers: Sequence[str], wide: bool) -> Page:
    """The page of a section with these layers."""
    facts = {
        "images": 2, "bands": (0.125, 0.25), "layers": tuple(layers), "drawn": tuple(drawn),
        "forms": ("11 x 11, stride 4",) * len(drawn), "words": (WORDS,) * len(drawn),
        "folds_most": SLUGS[0] if drawn else None, "folds_share": 0.2, "uses_of": 64,
        "uses_least": SLUGS[1] if wide else None, "uses_dimensions": 3.25,
        "strides": (4,) * len(drawn), "strided": len(drawn), "wide": int(wide),
    }  # fmt: skip
    curve = np.geomspace(1, 1e-4, 32)
    curves = np.tile(curve, (len(drawn), 1))
    arrays = {"kernels": curves, "read": curves, "given": np.full_like(curves, np.nan)}
    table = Table("Caption.", (Column("Layer"),), ((Link("here", f"design.html#at-{SLUGS[0]}"),),))
    blocks = {"sampling": table, "frequencies": table} | ({"width": table} if wide else {})
    section = Section("design", "Design", "page", Panel(facts, arrays, blocks))
    made = pages(replace(report, sections=(*report.sections, section)))
    return Page("design.html", dict(made)["design.html"].decode())


def test_each_layer_has_its_picture_words_and_place(report: Report) -> None:
    page = design_of(report, SLUGS[:2], SLUGS[:3], wide=True)
    assert len(set(page.ids)) == len(page.ids)
    assert {"sampling", "frequencies", "width", *(f"at-{slug}" for slug in SLUGS[:2])} <= {
        *page.ids
    }
    drawings = [a for a in page.all("svg") if "chart" in str(a.get("class"))]
    assert len(drawings) == 2 and all("Spectra of" in str(a["aria-label"]) for a in drawings)
    assert "11 × 11, stride 4" in page.text and WORDS in page.text
    assert "folds most: 20 %" in " ".join(page.text.split())
    assert "uses least: 3.2 of 64 dimensions" in " ".join(page.text.split())
    assert "1 more layer without a picture" in page.text
    assert ("dead_filters.html", "") in page.links() and ("about.html", "design") in page.links()


@pytest.mark.parametrize("wide", [True, False])
def test_without_windows_it_says_why_there_is_nothing(report: Report, wide: bool) -> None:
    page = design_of(report, (), (), wide)
    assert ("no convolution or pooling that moves a window" in page.text) == (not wide)
    assert ("width" in page.ids) == wide and "frequencies" not in page.ids
