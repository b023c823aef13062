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
    trust,
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
    trust.ANALYSIS,
    dead_filters.ANALYSIS,
)
