"""What a paper shows of an image: attribution maps beside and over the photo."""

from reportgen.figures.files import without_picture
from reportgen.figures.of_layers import pixels_of, rgb
from reportgen.figures.pixel_maps import Look, PixelMap, PixelMaps
from reportgen.figures.side_by_side import SideBySide
from reportgen.report.blocks import Heatmap, Photo
from reportgen.report.records import Image, Panel

TITLES: dict[str, tuple[str, Look]] = {
    "gradient": ("Gradient", "magnitude"),
    "smoothgrad": ("SmoothGrad", "magnitude"),
    "integrated_gradients": ("Integrated gradients", "signed"),
    "guided_backprop": ("Guided backpropagation", "colour"),
}
"How the section on gradients draws its maps."


def side_by_side(image: Image, block: Heatmap) -> SideBySide:
    """A map that covers a picture, beside and over it."""
    assert block.over is not None
    return SideBySide(
        f"{image.path}: {block.title}", rgb(block.over.pixels), without_picture(block)
    )


def pixel_maps(image: Image, panel: Panel) -> PixelMaps:
    """The maps of the section on gradients."""
    facts = panel.facts
    names, limits = facts["maps"], facts["limit"]
    assert isinstance(names, tuple) and isinstance(limits, tuple)
    seen = image.panels["answers"].blocks["seen"]
    assert isinstance(seen, Photo)
    maps = []
    for name, limit in zip(names, (float(limit) for limit in limits), strict=True):
        block = panel.blocks[str(name)]
        assert isinstance(block, Photo)
        title, look = TITLES[str(name)]
        levels = pixels_of(block.pixels)
        if look != "colour" and levels.ndim == 3:
            levels = levels[..., 0]  # lossy pictures have no grey
        maps.append(PixelMap(str(name), title, look, levels, limit))
    title = f"{image.path}: slopes of the {facts['score']} of {facts['label']}"
    return PixelMaps(title, rgb(seen.pixels), tuple(maps), f"slope of the {facts['score']}")
