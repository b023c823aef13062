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
    trust,
    visualisation,
    weights,
)

ANALYSES = (
    overview.ANALYSIS,
    architecture.ANALYSIS,
    activations.ANALYSIS,
    patches.ANALYSIS,
    visualisation.ANALYSIS,
    kernels.ANALYSIS,
    redundancy.ANALYSIS,
    gradient_flow.ANALYSIS,
    weights.ANALYSIS,
    answers.ANALYSIS,
    occlusion.ANALYSIS,
    gradcam.ANALYSIS,
    gradients.ANALYSIS,
    attention.ANALYSIS,
    trust.ANALYSIS,
    dead_filters.ANALYSIS,
)
