"""The figures for print that stand beside the pages, each as PDF, SVG and PNG."""

from collections.abc import Iterator

import numpy as np

from reportgen.figures.curves import curves_figure
from reportgen.figures.heatmap import heatmap_figure
from reportgen.report.blocks import Block, Curves, Heatmap
from reportgen.report.records import Image, Layer, Panel, Report

FORMATS = ("pdf", "svg", "png")


def figure_path(subject: str, section: str, block: str, form: str, *, shows: str = "") -> str:
    """Where a figure lies: `figures/chelsea-occlusion-probability.pdf`.

    `shows` is `score` for the classic view of a heatmap, the score that is left, and empty else.
    """
    stem = "-".join(filter(None, (subject, section, block, shows)))
    return f"figures/{stem}.{form}"


def has_score(block: Heatmap) -> bool:
    """Whether the classic view is drawn as well: the score that is left."""
    return block.middles is None and block.maximum is not None


def figure_files(report: Report) -> Iterator[tuple[str, bytes]]:
    """Every heatmap and every set of curves of the report, as (path, content)."""
    for subject, section, panel in _panels(report):
        for name, block in panel.blocks.items():
            for shows, files in _figures(block, panel):
                for form, content in files.items():
                    yield figure_path(subject, section, name, form, shows=shows), content


def _panels(report: Report) -> Iterator[tuple[str, str, Panel]]:
    """(slug of the subject, name of the section, panel); the network has no slug."""
    for section in report.sections:
        if section.panel:
            yield "", section.name, section.panel
    subjects: tuple[Layer | Image, ...] = (*report.layers, *report.images)
    for subject in subjects:
        for name, panel in subject.panels.items():
            yield subject.slug, name, panel


def _figures(block: Block, panel: Panel) -> Iterator[tuple[str, dict[str, bytes]]]:
    if isinstance(block, Curves) and block.layers and block.curves:
        yield "", curves_figure(block, FORMATS)
    elif isinstance(block, Heatmap) and block.for_print:
        yield "", heatmap_figure(block, FORMATS)
        if has_score(block) and block.maximum is not None:
            clean = panel.facts.get(f"baseline_{block.unit}")
            score = float(clean) if isinstance(clean, float | np.floating) else block.maximum
            title = f"{panel.facts.get('label', 'Target')}: {block.unit} with a part hidden"
            yield "score", heatmap_figure(block, FORMATS, clean=score, title=title)
