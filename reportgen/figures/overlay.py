"""A heatmap over its photo as one picture, in the colours that the pages give it by filters."""

import io

import numpy as np
from PIL import Image

from reportgen.figures.colormaps import DIVERGING, MAGMA
from reportgen.figures.heatmap import overlay_png
from reportgen.report.arrays import GAP, Array, ByteArray
from reportgen.report.blocks import Heatmap

OPACITY = 0.85
"Of the strongest places of a map over its photo, as on the pages."


def overlaid(heatmap: Heatmap, photo: Array) -> ByteArray:
    """What is strong covers the photo, what is weak lets it through; gaps show the photo alone.

    Args:
        heatmap: with the picture that it explains.
        photo: (h w 3), of any size.

    Returns:
        (h w 3)

    Raises:
        ValueError: if the map has no picture.
    """
    levels = np.asarray(Image.open(io.BytesIO(overlay_png(heatmap))))
    grey = np.arange(256)
    strength = np.sqrt(np.abs(grey - 127) / 127) if heatmap.signed else grey / 254
    opacity = np.rint(255 * np.minimum(strength, 1))
    opacity[GAP] = 0
    colours = (DIVERGING if heatmap.signed else MAGMA).palette()
    veil = np.column_stack([colours, opacity.astype(np.uint8)])[levels]
    height, width = photo.shape[:2]
    enlarged = Image.fromarray(veil).resize((width, height), Image.Resampling.BILINEAR)
    cover = np.asarray(enlarged).astype(np.float64)
    share = OPACITY * cover[..., 3:] / 255
    mixed: ByteArray = np.rint(share * cover[..., :3] + (1 - share) * photo).astype(np.uint8)
    return mixed
