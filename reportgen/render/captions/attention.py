"""Maps of attention: which patches get most of it, and over how many it is spread."""

from reportgen.render.captions.grids import grid_of
from reportgen.render.captions.phrases import part_of
from reportgen.render.filters import percent
from reportgen.report.blocks import Heatmap
from reportgen.report.records import Image


def caption(block: Heatmap) -> str:
    """The largest share and its place, and how few patches hold half of what all get."""
    grid = grid_of(block)
    if not grid.size:
        return "No share is finite, so there is nothing to see."
    best, place = grid.peak
    if best <= 0:
        return "No patch gets any of it: all goes to tokens that stand for no place."
    if grid.is_flat:
        many = part_of(grid.size, grid.size, "patch", "patches")
        return f"No place stands out: {many} get {percent(best)} each."
    few = part_of(grid.fewest_for_half(), grid.size, "patch", "patches")
    text = f"The patch with the largest share, {percent(best)}, lies at the {place}; half of what "
    return f"{text}all patches get goes to {few}."


def note(block: Heatmap) -> str:
    """The same in a few words, for a small picture among others."""
    grid = grid_of(block)
    if not grid.size or grid.peak[0] <= 0:
        return "no share"
    if grid.is_flat:
        return f"{percent(grid.peak[0])} everywhere"
    return f"peak {grid.peak[1]}, {percent(grid.peak[0])}"


def alt(image: Image, title: str, block: Heatmap) -> str:
    """`Attention rollout for chelsea.png over 14 × 14 patches; peak upper left, 3.1 %`."""
    rows, columns = block.values.shape
    return f"{title} for {image.path} over {rows} × {columns} patches; {note(block)}"
