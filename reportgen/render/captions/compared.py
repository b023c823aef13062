"""Maps of one image in two networks: what hiding a place costs the one more than the other."""

from reportgen.compare.records import Film, ImageChange, MapChange
from reportgen.render.captions import class_maps, occlusion
from reportgen.render.captions.grids import grid_of
from reportgen.render.captions.occlusion import SMALLEST
from reportgen.render.captions.phrases import amount, at_most
from reportgen.report.blocks import Heatmap


def caption(made: MapChange, block: Heatmap) -> str:
    """What to see in the map of one network."""
    if made.method == "occlusion":
        return occlusion.caption(block, made.label)
    return class_maps.caption(block, made.label, _score(block), grid_of(block).positive)


def difference(block: Heatmap, first: str, second: str) -> str:
    """Where hiding a place costs the second network more than the first, and where less.

    Args:
        block: drops of the second minus drops of the first.
        first: what the first is called.
        second: what the second is called.
    """
    grid = grid_of(block)
    if not grid.size:
        return "No difference is finite, so there is nothing to see."
    (high, up), (low, down) = grid.peak, grid.lowest
    largest = max(high, -low)
    if largest == 0:
        return "Nothing to see: the two maps are the same."
    if largest < SMALLEST:
        return f"Nothing to see: they differ by {at_most(largest, block.unit)}."
    if up == down and min(high, -low) >= SMALLEST:
        more, less = amount(high, block.unit), amount(-low, block.unit)
        text = f"Hiding the {up} costs {second} up to {more} more than {first} at one position"
        return f"{text}, up to {less} less at another."
    parts = []
    if high >= SMALLEST:
        parts.append(f"Hiding the {up} costs {second} up to {amount(high, block.unit)} more")
    if -low >= SMALLEST:
        start = f"hiding the {down}" if parts else f"Hiding the {down} costs {second}"
        parts.append(f"{start} up to {amount(-low, block.unit)} less")
    return f"{'; '.join(parts)} than {first}."


def alt(image: ImageChange, made: MapChange, block: Heatmap, whose: str) -> str:
    """`Occlusion map of chelsea.png, report B, class tabby: the probability falls most, ...`.

    Args:
        image: that it is of.
        made: which map.
        block: the map.
        whose: the letter of the report; `B less A` for the difference.
    """
    head = f"{made.title} map of {image.path}, report {whose}, class {made.label}"
    if " " in whose:
        grid = grid_of(block)
        if not grid.size:
            return f"{head}: no finite value"
        (high, up), (low, down) = grid.peak, grid.lowest
        return (
            f"{head}: from {amount(low, block.unit)}, {down}, to {amount(high, block.unit)}, {up}"
        )
    if made.method == "occlusion":
        return f"{head}: {occlusion.note(block)}"
    return f"{head}: {class_maps.note(block, grid_of(block).positive)}"


def frame_alt(film: Film, at: int, whose: str) -> str:
    """One picture of the film strip in one line."""
    block = film.frames[at]
    return (
        f"Occlusion map of {film.path}, report {whose}, class {film.label}: {occlusion.note(block)}"
    )


def frame_note(film: Film, at: int) -> str:
    """The same in a few words, beside the picture."""
    return occlusion.note(film.frames[at]).removeprefix("the probability ")


def _score(block: Heatmap) -> str:
    """`logit` of `Grad-CAM, logit`."""
    return block.unit.rpartition(", ")[2]
