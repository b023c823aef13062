"""The figures for print that stand beside the pages, each as PDF, SVG and PNG."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from reportgen.figures.plate import Plate
from reportgen.report.arrays import Array
from reportgen.report.blocks import Curves, Heatmap
from reportgen.report.records import Image, Layer, Panel, Report

FORMATS = ("pdf", "svg", "png")

COLUMN = 3.25
"Inches of one column of a paper."

Drawn: TypeAlias = Mapping[str, bytes]
"The files of one figure by format."


@dataclass(frozen=True, eq=False)
class Print:
    """A figure for print that is still to be drawn; small enough to be sent to a process."""

    stem: str
    "Its place without the format; no other figure of a report has it."
    block: Curves | Heatmap | Plate
    clean: float | None = None
    "Of the classic view of a heatmap: the clean score."
    title: str = ""
    formats: tuple[str, ...] = FORMATS
    width: float | None = None
    "In inches, for a paper; None for a figure beside a page, which is as wide as suits its kind."

    def drawn(self) -> Drawn:
        """Its files, drawn here and now."""
        # matplotlib takes a second to import, which a process that draws nothing need not spend.
        from reportgen.figures.curves import curves_figure
        from reportgen.figures.heatmap import heatmap_figure

        if isinstance(self.block, Curves):
            return curves_figure(self.block, self.formats, width=self.width)
        if isinstance(self.block, Heatmap):
            return heatmap_figure(
                self.block, self.formats, clean=self.clean, title=self.title, width=self.width
            )
        return self.block.figure(self.formats, self.width or COLUMN)

    def data(self) -> Mapping[str, Array]:
        """The numbers that it shows, as named arrays."""
        if isinstance(self.block, Curves):
            nan = float("nan")
            columns = {
                f"{curve.name} ({curve.unit})" if curve.unit else curve.name: np.array(
                    [nan if value is None else value for value in curve.values]
                )
                for curve in self.block.curves
            }
            return {"layer": np.array(self.block.layers), **columns}
        if isinstance(self.block, Heatmap):
            values = self.block.values
            marks = {} if self.block.marks is None else {"marks": self.block.marks}
            return {"values": values if self.clean is None else self.clean - values, **marks}
        return self.block.data()


def figure_path(subject: str, section: str, block: str, form: str, *, shows: str = "") -> str:
    """Where a figure lies: `figures/chelsea-occlusion-probability.pdf`.

    `shows` is `score` for the classic view of a heatmap, the score that is left, and empty else.
    """
    return f"{stem(subject, section, block, shows)}.{form}"


def stem(*parts: str) -> str:
    """Where the files of a figure lie, without their format."""
    return f"figures/{'-'.join(filter(None, parts))}"


def has_score(block: Heatmap) -> bool:
    """Whether the classic view is drawn as well: the score that is left."""
    return block.middles is None and block.maximum is not None


def figure_files(
    report: Report, drawn: Callable[[Print], Drawn] = Print.drawn
) -> Iterator[tuple[str, bytes]]:
    """Every heatmap and every set of curves of the report, as (path, content).

    Args:
        report: what the figures show.
        drawn: gives the files of a figure, such as `Press.drawn`, which may have them already.
    """
    for item in figures_of(report):
        for form, content in drawn(item).items():
            yield f"{item.stem}.{form}", content


def figures_of(report: Report) -> Iterator[Print]:
    """Every figure of a report, in the order of its sections, layers and images."""
    for section in report.sections:
        if section.panel:
            yield from prints("", section.name, section.panel)
    subjects: tuple[Layer | Image, ...] = (*report.layers, *report.images)
    for subject in subjects:
        for name, panel in subject.panels.items():
            yield from prints(subject.slug, name, panel)


def prints(subject: str, section: str, panel: Panel) -> Iterator[Print]:
    """The figures of one panel.

    Args:
        subject: slug of the layer or image; empty for the network.
        section: its name.
        panel: what the section says of that subject.
    """
    for name, block in panel.blocks.items():
        if isinstance(block, Curves) and block.layers and block.curves:
            yield Print(stem(subject, section, name), block)
        elif isinstance(block, Heatmap) and block.for_print:
            small = without_picture(block)
            yield Print(stem(subject, section, name), small)
            if has_score(block) and block.maximum is not None:
                clean = panel.facts.get(f"baseline_{block.unit}")
                score = float(clean) if isinstance(clean, float | np.floating) else block.maximum
                title = f"{panel.facts.get('label', 'Target')}: {block.unit} with a part hidden"
                yield Print(stem(subject, section, name, "score"), small, score, title)


def without_picture(block: Heatmap) -> Heatmap:
    """The map without the bytes of the picture it covers, of which a figure needs the size."""
    if block.over is None:
        return block
    pixels = replace(block.over.pixels, content=b"")
    return replace(block, over=replace(block.over, pixels=pixels))
