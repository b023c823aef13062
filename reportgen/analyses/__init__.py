"""The sections of a report, one file each, in the order in which they are made and shown."""

from reportgen.analyses import (
    activations,
    answers,
    architecture,
    dead_filters,
    gradcam,
    kernels,
    occlusion,
    overview,
    visualisation,
    weights,
)

ANALYSES = (
    overview.ANALYSIS,
    architecture.ANALYSIS,
    activations.ANALYSIS,
    kernels.ANALYSIS,
    weights.ANALYSIS,
    answers.ANALYSIS,
    occlusion.ANALYSIS,
    gradcam.ANALYSIS,
    visualisation.ANALYSIS,
    dead_filters.ANALYSIS,
)
