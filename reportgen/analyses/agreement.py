"""Whether a map of an image points to the places that occlusion found to matter."""

import numpy as np

from reportgen.analyses.study import Outcome, Study
from reportgen.figures.placing import window_means
from reportgen.probe.ranks import rank_correlation
from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Heatmap
from reportgen.report.records import Image


def occlusion_correlation(study: Study, image: Image, picture: FloatArray) -> float | None:
    """Spearman's rank correlation of a map, averaged over each window, with the drop in score.

    None where there is no occlusion map, or where it shows nothing.

    Args:
        study: in which the occlusion section was made before.
        image: that the map is of.
        picture: the map, signed, (height width) of the image as the network saw it.
    """
    occlusion = study.earlier.get("occlusion", Outcome()).panels.get(image.slug)
    if occlusion is None or not occlusion.facts["has_evidence"]:
        return None
    block = occlusion.blocks.get("logit", occlusion.blocks["probability"])
    if not isinstance(block, Heatmap):
        return None
    drops = block.values
    means = window_means(picture, drops.shape, block.window, block.stride)
    known = np.isfinite(drops)
    return rank_correlation(means[known], drops[known])
