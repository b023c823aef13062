"""The sections of a report, one file each, in the order in which they are made and shown."""

from reportgen.analyses import (
    activations,
    architecture,
    dead_filters,
    kernels,
    occlusion,
    overview,
    predictions,
    weights,
)

ANALYSES = (
    overview.ANALYSIS,
    architecture.ANALYSIS,
    activations.ANALYSIS,
    kernels.ANALYSIS,
    weights.ANALYSIS,
    predictions.ANALYSIS,
    occlusion.ANALYSIS,
    dead_filters.ANALYSIS,
)
