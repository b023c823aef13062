"""The sections of a report, one file each, in the order in which they are made and shown."""

from reportgen.analyses import (
    activations,
    answers,
    architecture,
    attention,
    dead_filters,
    gradcam,
    kernels,
    occlusion,
    overview,
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
    attention.ANALYSIS,
    dead_filters.ANALYSIS,
)
