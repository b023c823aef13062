"""Does a map owe anything to training? It is made again by networks that forgot their weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from reportgen.analyses.methods import Method
from reportgen.analyses.study import Study
from reportgen.errors import ModelError
from reportgen.options import Fill
from reportgen.probe.probe import Probe
from reportgen.probe.randomise import randomised, weighted_modules
from reportgen.probe.ranks import rank_correlation
from reportgen.report.arrays import FloatArray

FILLS: tuple[Fill, ...] = ("mean", "black", "blur")


@dataclass(frozen=True)
class Level:
    """Layers that are initialised again: all from one on, up to the score."""

    paths: tuple[str, ...]
    name: str
    "`last layer`, `last 13 layers`, `all 26 layers`."


@dataclass(frozen=True, eq=False)
class Subject:
    """An image with the class that is explained, and its maps by the trained network."""

    image: torch.Tensor
    "Normalised (c h w)."
    target: int
    maps: Mapping[str, FloatArray]
    "(height width) by the name of the method."


def levels_of(study: Study) -> tuple[Level, ...]:
    """The last layer with weights, the later half of them, all of them."""
    paths = weighted_modules(study.probe, study.evidence.calls)
    counts = sorted({1, -(-len(paths) // 2), len(paths)}) if paths else []
    return tuple(Level(paths[-n:], _level_name(n, len(paths))) for n in counts)


def _level_name(count: int, of: int) -> str:
    if count == of:
        return f"all {of} layers" if of > 1 else "the only layer"
    return "last layer" if count == 1 else f"last {count} layers"


def map_or_none(
    method: Method, study: Study, probe: Probe, image: torch.Tensor, target: int
) -> FloatArray | None:
    """The map (height width) of a method; None where there is none, or it is not finite."""
    try:
        return finite(method.map_of(study, probe, image, target))
    except ModelError:
        return None


def finite(values: FloatArray | None) -> FloatArray | None:
    """The map, unless there is none or it is not finite."""
    return values if values is not None and bool(np.isfinite(values).all()) else None


def likeness(
    study: Study,
    methods: Sequence[Method],
    levels: Sequence[Level],
    subjects: Sequence[Subject],
    told: Callable[[], None],
) -> tuple[FloatArray, FloatArray]:
    """What is left of the maps when the network forgets its weights, layer by layer [adebayo2018].

    The network is initialised again from the score down, more of it at each level.

    Args:
        study: of the network.
        methods: to be tested.
        levels: of forgetting.
        subjects: images with the maps of the trained network.
        told: called after each level.

    Returns:
        Spearman's rank correlation with the map of the trained network, and that of the absolute
        values, as (methods levels), mean over the subjects with a map. A map with one value
        everywhere correlates with nothing: 0. NaN where a method has no finite map.
    """
    signed, absolute = (np.full((len(methods), len(levels)), np.nan) for _ in range(2))
    for i, level in enumerate(levels):
        copy = randomised(study.probe, level.paths, study.options.seed)
        with copy.borrow():
            for m, method in enumerate(methods):
                pairs = [
                    (subject.maps[method.name], values)
                    for subject in subjects
                    if method.name in subject.maps
                    and (values := map_or_none(method, study, copy, subject.image, subject.target))
                    is not None
                ]
                if pairs:
                    signed[m, i] = np.mean([_correlation(one, other) for one, other in pairs])
                    absolute[m, i] = np.mean(
                        [_correlation(np.abs(one), np.abs(other)) for one, other in pairs]
                    )
        told()
    return signed, absolute


def fill_agreement(study: Study, method: Method, subjects: Sequence[Subject]) -> float | None:
    """Mean rank correlation between the maps with each two of `FILLS`; None without a fill."""
    if method.filled is None or not subjects:
        return None
    found = []
    for subject in subjects:
        made = [
            finite(method.filled(study, study.probe, subject.image, subject.target, fill))
            for fill in FILLS
        ]
        maps = [values for values in made if values is not None]
        found += [_correlation(one, other) for one, other in combinations(maps, 2)]
    return float(np.mean(found)) if found else None


def _correlation(first: FloatArray, second: FloatArray) -> float:
    return rank_correlation(first, second) or 0.0
