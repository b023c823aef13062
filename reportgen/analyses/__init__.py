"""The sections of a report, one file each, in the order in which they are made and shown."""

from reportgen.analyses import (
    activations,
    answers,
    architecture,
    attention,
    dead_filters,
    gradcam,
    gradient_flow,
    gradients,
    kernels,
    occlusion,
    overview,
    patches,
    redundancy,
    visualisation,
    weights,
)

ANALYSES = (
    overview.ANALYSIS,
    architecture.ANALYSIS,
    activations.ANALYSIS,
    kernels.ANALYSIS,
    patches.ANALYSIS,
    redundancy.ANALYSIS,
    weights.ANALYSIS,
    answers.ANALYSIS,
    occlusion.ANALYSIS,
    gradcam.ANALYSIS,
    gradients.ANALYSIS,
    gradient_flow.ANALYSIS,
    attention.ANALYSIS,
    visualisation.ANALYSIS,
    dead_filters.ANALYSIS,
)
