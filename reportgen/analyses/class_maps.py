"""CAM [zhou2016]: maps whose mean over the positions is the score, in networks that end so.

A network that averages its last feature maps and puts one linear layer behind has them, and so has
one whose last layer gives one map a class, and averages that. Which of them it is, is not concluded
from names: the mean is computed and compared with what the network said.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from torch import nn

from reportgen.analyses.cams import as_maps
from reportgen.analyses.stages import Stage, Stages, stage_named
from reportgen.analyses.study import Study
from reportgen.probe.evidence import Call
from reportgen.probe.gradients import Slopes, Spot
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Prediction

TOLERANCE = 1e-4
"Share of the mean size of a map by which its mean may miss the score, for rounding."

Kind: TypeAlias = Literal["linear", "maps"]


@dataclass(frozen=True, eq=False)
class Head:
    """A way in which a network may end that CAM is defined for; `class_map` finds out."""

    kind: Kind
    "`linear`: features are averaged and weighed. `maps`: there is one map a class."
    stage: Stage
    "Whose maps are averaged."
    layer: str
    "Name of the linear layer, or of that which gives the maps."
    weights: FloatArray | None = None
    "(classes units) float64 of the linear layer."
    bias: FloatArray | None = None
    "(classes,) float64"

    def maps(self, values: FloatArray, index: int) -> tuple[FloatArray, float]:
        """The map of a class, (h w), and what its mean lacks to the score.

        Args:
            values: what lies at the stage, (units h w).
            index: of the class.
        """
        if self.weights is None:
            return values[index], 0.0
        summed: FloatArray = np.einsum("u,uhw->hw", self.weights[index], values)
        return summed, 0.0 if self.bias is None else float(self.bias[index])


def heads_of(study: Study, stages: Stages) -> tuple[Head, ...]:
    """The ways in which this network may end, as far as shapes can tell.

    Args:
        study: of the network.
        stages: as chosen automatically, so that the last is what the network goes on with.
    """
    calls, classes = study.evidence.calls, study.evidence.classes
    prepared = study.images.preprocessing
    heads = []
    linear = [call for call in calls if call.output_shape == (classes,) and call.kind == "linear"]
    module = dict(study.loaded.module.named_modules()).get(linear[-1].key.path) if linear else None
    stage = stages.found[-1] if stages.found else None
    if isinstance(module, nn.Linear) and stage and stage.call.units == module.in_features:
        weights, bias = (
            None if tensor is None else tensor.detach().double().cpu().numpy()
            for tensor in (module.weight, module.bias)
        )
        heads.append(Head("linear", stage, str(linear[-1].key), weights, bias))
    maps = [call for call in calls if call.units == classes and _has_maps(call)]
    if maps:
        name = str(maps[-1].key)
        given = stage_named(calls, name, (prepared.height, prepared.width))
        heads.append(Head("maps", given, name))
    return tuple(heads)


def _has_maps(call: Call) -> bool:
    has_grid = call.spatial_axes is not None and len(call.output_shape) == 3
    return has_grid and math.prod(call.output_shape) > call.units


def class_map(
    heads: Sequence[Head],
    slopes: Mapping[Spot, Slopes],
    said: Sequence[Prediction],
    index: int,
) -> tuple[Head, FloatArray] | None:
    """The CAM of a class for one image, and how the network ends; None where CAM is not defined.

    Args:
        heads: to be tried.
        slopes: the values at their stages for this image, gradients aside.
        said: the network's answer: the mean of each of these classes' maps has to be its score.
        index: of the class.

    Returns:
        (h w) float64; mean over positions, plus the bias of a linear layer, is the score.
    """
    for head in heads:
        if head.stage.spot in slopes:
            values = as_maps(slopes[head.stage.spot].values, head.stage)
            if said and all(_is_score(*head.maps(values, one.index), one.logit) for one in said):
                return head, head.maps(values, index)[0]
    return None


def _is_score(values: FloatArray, bias: float, score: float) -> bool:
    size = float(np.abs(values).mean()) + abs(bias)
    return abs(float(values.mean()) + bias - score) <= TOLERANCE * size
