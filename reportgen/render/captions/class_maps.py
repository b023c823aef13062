"""Class activation maps: where the evidence for a class lies, and in how few positions."""

from reportgen.render.captions.grids import Grid, grid_of
from reportgen.render.captions.phrases import capital, part_of
from reportgen.render.filters import number
from reportgen.report.blocks import Heatmap
from reportgen.report.records import Image

LEAST = 0.01
"Positive values that come to less than this are no evidence, as the analysis has it."


def caption(block: Heatmap, label: str, score: str, positive: float) -> str:
    """Where the evidence for `label` is strongest, how much of the map holds half of it.

    Args:
        block: the map, signed.
        label: the class that it is for.
        score: `logit` or `probability`.
        positive: what its positive values come to.
    """
    grid = grid_of(block)
    if not grid.size:
        return "No value of this map is finite, so there is nothing to see."
    best, place = grid.peak
    if best <= 0:
        lowest = number(grid.lowest[0], 3)
        least = "all are zero" if grid.lowest[0] == 0 else f"the lowest is {lowest}"
        return f"No positive evidence for {label}: no value is above zero, {least}."
    if positive < LEAST:
        text = f"No positive evidence for {label}: what is above zero comes to "
        return f"{text}{number(positive, 2)} in {score}."
    if grid.is_flat:
        where = f"{number(best, 3)} at {part_of(grid.size, grid.size, 'position')}"
        return f"The map shows no place: {where}."
    text = f"Evidence for {label} is strongest at the {place}, {number(best, 3)} in {score}; "
    return f"{text}{_half(grid)}.{_against(grid)}"


def _half(grid: Grid) -> str:
    few = grid.fewest_for_half()
    return f"half of it lies in {part_of(few, grid.size, 'position')}"


def _against(grid: Grid) -> str:
    below = int((grid.values < 0).sum())
    if not below:
        return ""
    verb = "is" if below == 1 else "are"
    part = part_of(below, grid.size, "position")
    return f" {capital(part)} {verb} below zero, down to {number(grid.lowest[0], 3)}."


def note(block: Heatmap, positive: float) -> str:
    """The same in a few words, for a small picture among others."""
    grid = grid_of(block)
    if not grid.size:
        return "no finite value"
    if grid.peak[0] <= 0 or positive < LEAST:
        return "no positive evidence"
    if grid.is_flat:
        return f"{number(grid.peak[0], 3)} everywhere, no place stands out"
    few = part_of(grid.fewest_for_half(), grid.size, "position")
    return f"peak {grid.peak[1]}, {number(grid.peak[0], 3)}; half in {few}"


def rivals(first: Heatmap, other: Heatmap, label: str, other_label: str) -> str:
    """Whether the evidence for two classes peaks at one place; empty where one has none."""
    one, two = grid_of(first), grid_of(other)
    if any(not grid.size or grid.is_flat or grid.peak[0] <= 0 for grid in (one, two)):
        return ""
    if one.peak[1] == two.peak[1]:
        return f"Both peak at the {one.peak[1]}."
    text = f"The evidence for {label} peaks at the {one.peak[1]}, "
    return f"{text}that for {other_label} at the {two.peak[1]}."


def alt(image: Image, named: str, source: str, block: Heatmap, positive: float) -> str:
    """`Grad-CAM of features.12 for chelsea.png, class tabby 55 %; peak upper left, 2.31`.

    Args:
        image: that it is of.
        named: the class, as `phrases.named_class` has it.
        source: the method and the layer: `Grad-CAM of features.12`.
        block: the map.
        positive: what its positive values come to.
    """
    words = note(block, positive).partition(";")[0]
    return f"{source} for {image.path}, {named}; {words}"
