"""The class that each unit of a layer speaks for, and the one it speaks against."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from reportgen.analyses.heads import Head, weights_of
from reportgen.analyses.study import Study
from reportgen.analyses.units import FEWEST_IMAGES, unit_layers
from reportgen.probe.evidence import Call, CallKey
from reportgen.report.arrays import Array, FloatArray

CHANCE = 0.05
"Share of units for which chance alone gives a larger correlation with any class at all."


@dataclass(frozen=True, eq=False)
class Speaks:
    """What the units of one layer say about the classes, or why nothing is said."""

    by: Literal["weight", "correlation", ""] = ""
    table: FloatArray | None = None
    "(units classes) weights of the head, or correlations; NaN where there is none."
    least: float = 0.0
    "Correlations that are not larger are what chance gives."
    problem: str = ""


def speaks(study: Study, head: Head | None) -> Mapping[CallKey, Speaks]:
    """By layer: the weights of the head where it adds up the units, else correlations.

    Layers whose units are looked at one by one are there, and all that the head reads.
    """
    evidence = study.evidence
    weights = weights_of(head, evidence.calls) if head else {}
    wanted = {call.key for call in unit_layers(study)}
    found: dict[CallKey, Speaks] = {}
    for call in evidence.calls:
        if call.key in weights and call.kind not in ("pool", "other"):
            found[call.key] = Speaks("weight", weights[call.key].T)
        elif call.key in wanted:
            found[call.key] = _correlated(study, call)
    return found


def _correlated(study: Study, call: Call) -> Speaks:
    evidence = study.evidence
    images = len(evidence.answers)
    table = evidence.class_correlations.get(call.key)
    if images < FEWEST_IMAGES:
        text = f"{images} images are" if images > 1 else "One image is"
        return Speaks(
            problem=f"{text} too few for a correlation with classes; {FEWEST_IMAGES} or more are "
            "needed."
        )
    if table is None:
        return Speaks(problem="Correlations with classes were not computed for this layer.")
    least = by_chance(images, evidence.classes)
    return Speaks("correlation", table, least=least)


def by_chance(images: int, classes: int) -> float:
    """The correlation that a unit unrelated to all classes exceeds with one in 20 cases.

    Fisher's z of an unrelated pair is normal with variance 1 / (images - 3) [fisher1921]; the
    share of 5 % is divided among both signs of all classes.
    """
    quantile = NormalDist().inv_cdf(1 - CHANCE / (2 * classes))
    return math.tanh(quantile / math.sqrt(images - 3))


def largest(table: FloatArray) -> tuple[Array, FloatArray]:
    """The class of the largest value of each row (units classes), -1 where none, and that value."""
    values = np.where(np.isfinite(table), table, -np.inf)
    first = values.argmax(axis=1)
    highest = values[np.arange(len(values)), first]
    is_known = highest > -np.inf
    return np.where(is_known, first, -1), np.where(is_known, highest, np.nan)
