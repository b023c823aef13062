"""How the count of dead units falls as images are added: dead is a statement about N images.

Which images come first is chance, so the curve is the mean over every order in which they could
have come. It follows from the number of images on which each unit fired, and needs no record of
when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.census import Row
from reportgen.report.arrays import Array, FloatArray
from reportgen.report.records import Fact

POINTS = 40
"Numbers of images at which the curve is known; all of them where there are no more."


@dataclass(frozen=True, eq=False)
class DeadCurve:
    """What a panel holds of the curve."""

    facts: Mapping[str, Fact]
    arrays: Mapping[str, Array]


def dead_curve(rows: Sequence[Row], images: int) -> DeadCurve:
    """The curve of every layer that rectifies; empty where fewer than two images were seen.

    Units that gave values that are not finite are left out: nothing is claimed of them.
    """
    rectified = [row for row in rows if row.call.rectifies and row.seen.images == images]
    if images < 2 or not rectified:
        return DeadCurve({"curve_layers": ()}, {})
    counts = points(images)
    fired = [row.seen.fired[~row.states.nonfinite] for row in rectified]
    facts: dict[str, Fact] = {
        "curve_layers": tuple(row.layer.slug for row in rectified),
        "fired_once": tuple(int((layer == 1).sum()) for layer in fired),
    }
    curves = np.stack([expected_dead(layer, images, counts) for layer in fired])
    return DeadCurve(facts, {"curve_images": counts, "curve_dead": curves})


def points(images: int) -> NDArray[np.int64]:
    """Numbers of images from 1 to `images`, about evenly apart in ratio, with half of them."""
    if images <= POINTS:
        return np.arange(1, images + 1)
    spread = np.rint(np.geomspace(1, images, POINTS)).astype(np.int64)
    return np.unique([*spread.tolist(), images // 2])


def expected_dead(
    fired: NDArray[np.int64], images: int, counts: Sequence[int] | Array
) -> FloatArray:
    """Expected number of units that fire on none of n images drawn at random from those seen.

    A unit that fired on f of N images is silent on n of them with the chance C(N - f, n) / C(N, n)
    [hurlbert1971], which is 1 for f = 0 and 0 where n is above N - f.

    Args:
        fired: (units,) images on which each unit fired.
        images: N.
        counts: (points,) each n, from 0 to N.

    Returns:
        (points,) float64
    """
    values, units = np.unique(fired, return_counts=True)
    expected = np.zeros(len(counts))
    for f, many in zip(values.tolist(), units.tolist(), strict=True):
        for at, n in enumerate(np.asarray(counts).tolist()):
            if n <= images - f:
                # In pairs whose difference is zero for f = 0, so that this is exactly one then.
                log = lgamma(images - f + 1) - lgamma(images + 1)
                log += lgamma(images - n + 1) - lgamma(images - f - n + 1)
                expected[at] += many * np.exp(log)
    return expected
