"""What every attribution method offers: a map over the pixels that can be computed for any network.

A section that draws maps of an image lists its methods in `METHODS`; the trust label puts them all
to the same tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

from reportgen.analyses.study import Study
from reportgen.options import Fill
from reportgen.probe.probe import Probe
from reportgen.report.arrays import FloatArray

MapOf: TypeAlias = Callable[[Study, Probe, torch.Tensor, int], FloatArray | None]
"""From a study, the probe of its network or of one like it, a normalised image (c h w) and a class
to (height width): the higher, the more a pixel speaks for the class. None where there is no map."""


@dataclass(frozen=True)
class Method:
    """One attribution method."""

    name: str
    "Stable word, such as `gradcam`: that of its block on the image's page."
    title: str
    "`Grad-CAM`"
    section: str
    "Whose maps it draws."
    map_of: MapOf
    passes: int
    "About how many forward passes of one image a map costs, a backward pass counted as two."
    shown: Callable[[Study, int], FloatArray | None] | None = None
    """From a study and the index of an image to the map that its page shows, (height width), where
    the section made it before: finer than that of `map_of`, or spared to be made again."""
    filled: Callable[[Study, Probe, torch.Tensor, int, Fill], FloatArray | None] | None = None
    "`map_of` with a fill, of a method that hides parts of the image."
