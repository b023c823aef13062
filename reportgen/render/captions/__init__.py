"""What there is to see in each figure, in sentences made of its own numbers.

One module a kind of figure. Every function takes data of the report and gives plain text: a
caption, or the words that stand in for the picture where it is read aloud.
"""

from reportgen.render.captions import (
    attention,
    class_maps,
    compared,
    depth,
    dwindling,
    fading,
    feature_maps,
    gradients,
    histograms,
    kernels,
    occlusion,
    photos,
    phrases,
    series,
    spectra,
    units,
    weights,
)

__all__ = [
    "attention",
    "class_maps",
    "compared",
    "depth",
    "dwindling",
    "fading",
    "feature_maps",
    "gradients",
    "histograms",
    "kernels",
    "occlusion",
    "photos",
    "phrases",
    "series",
    "spectra",
    "units",
    "weights",
]
