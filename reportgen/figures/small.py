"""Photos and heatmaps over photos as single pictures, for where there is no page to lay them over.

In a notebook they are small and lossy; for a logging service they are PNG at their own size.
"""

import io

import numpy as np
from PIL import Image

from reportgen.figures.overlay import overlaid as over_photo
from reportgen.report.arrays import LOSSY_QUALITY, Pixels
from reportgen.report.blocks import Heatmap


def photo(pixels: Pixels) -> Image.Image:
    """The picture in RGB."""
    return Image.fromarray(pixels.values()).convert("RGB")


def overlaid(heatmap: Heatmap) -> Image.Image:
    """The map over the picture that it explains, in RGB.

    Raises:
        ValueError: if there is no such picture.
    """
    if heatmap.over is None:
        raise ValueError("there is no picture to lay the map over")
    return Image.fromarray(over_photo(heatmap, np.asarray(photo(heatmap.over.pixels))))


def small_webp(picture: Image.Image, side: int) -> bytes:
    """The picture with its longest side `side` pixels long, as lossy WebP.

    A tiny one is enlarged with its pixels to be seen.
    """
    times = side / max(picture.size)
    size = (max(1, round(times * picture.width)), max(1, round(times * picture.height)))
    how = Image.Resampling.NEAREST if times > 1 else Image.Resampling.LANCZOS
    buffer = io.BytesIO()
    picture.resize(size, how).save(buffer, "WEBP", quality=LOSSY_QUALITY, method=4)
    return buffer.getvalue()


def png(picture: Image.Image) -> bytes:
    """The picture as it is, as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
