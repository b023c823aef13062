"""The comparison in flat numbers, which scripts and gates read by name."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from reportgen.compare.records import (
    Comparison,
    ImageChange,
    Outcome,
    ParameterChange,
    Subject,
)
from reportgen.compare.weights import is_weight

_OF_WHOLE_NETWORKS = (
    "dead_share_rise",
    "weight_change",
    "weight_change_max",
    "activation_distance_max",
    "occlusion_correlation_min",
    "gradcam_correlation_min",
)


def metrics(made: Comparison) -> Mapping[str, float | int | None]:
    """Every number by name; None where one is not defined for these reports.

    A drop is A minus B, a rise B minus A, a ratio B divided by A. Minima and maxima are over what
    could be compared. NaN where it would be over the finite part of a network that gives NaN or
    infinite values, which may look as if little had changed.
    """
    a, b = made.subjects[0], made.subjects[-1]
    known = [image for image in made.images if image.outcome != "unknown"]
    changed = sum(image.outcome != "same" for image in known)
    has_answers = made.outputs == "answers"
    right_a = _share(image.right_a for image in made.images)
    right_b = _share(image.right_b for image in made.images)
    dead_a, dead_b = _dead_share(a), _dead_share(b)
    found = {
        "images_compared": len(made.images),
        "accuracy_a": _number(right_a),
        "accuracy_b": _number(right_b),
        "accuracy_drop": _drop(right_a, right_b),
        "answers_changed": changed if has_answers else None,
        "answers_changed_share": changed / len(known) if known else None,
        "answers_broken": _count(made, "broken") if has_answers else None,
        "answers_corrected": _count(made, "corrected") if has_answers else None,
        "dead_share_a": _number(dead_a),
        "dead_share_b": _number(dead_b),
        "dead_share_rise": _drop(dead_b, dead_a),
        "units_died": sum(len(layer.died) for layer in made.layers),
        "units_born": sum(len(layer.born) for layer in made.layers),
        "zero_weights_rise": _drop(b.zero_share, a.zero_share),
        "parameters_ratio": _ratio(a.parameters, b.parameters),
        "macs_ratio": _ratio(a.macs, b.macs),
        "bytes_ratio": _ratio(a.bytes, b.bytes),
        "weight_change": _weight_change(made.parameters),
        "weight_change_max": _most(layer.weight_change for layer in made.layers),
        "activation_distance_max": _most(layer.distance for layer in made.layers),
        "occlusion_correlation_min": _least(made.images, "occlusion"),
        "gradcam_correlation_min": _least(made.images, "gradcam"),
    }
    if a.nonfinite or b.nonfinite:
        found |= dict.fromkeys(_OF_WHOLE_NETWORKS, math.nan)
    return found


def _count(made: Comparison, outcome: Outcome) -> int:
    return sum(image.outcome == outcome for image in made.images)


# Shares are exact until they are subtracted: as floats, 8 of 10 less 7 of 10 is more than 10 %.
def _share(answers: Iterable[bool | None]) -> Fraction | None:
    known = [answer for answer in answers if answer is not None]
    return Fraction(sum(known), len(known)) if known else None


def _dead_share(subject: Subject) -> Fraction | float | None:
    if subject.nonfinite:
        return math.nan
    return Fraction(subject.dead, subject.rectified) if subject.rectified else None


def _number(share: Fraction | float | None) -> float | None:
    return None if share is None else float(share)


def _weight_change(parameters: Sequence[ParameterChange]) -> float | None:
    """||B - A|| / ||A|| of all weights of one shape together; None unless each is known."""
    same = [
        made
        for made in parameters
        if made.shape_a == made.shape_b and is_weight(made.name, made.shape_a)
    ]
    if not same or any(made.change is None for made in same):
        return None
    far = math.hypot(*((made.change or 0.0) * made.norm_a for made in same))
    size = math.hypot(*(made.norm_a for made in same))
    return far / size if size else None


def _drop(before: Fraction | float | None, after: Fraction | float | None) -> float | None:
    return None if before is None or after is None else float(before - after)


def _ratio(before: int | None, after: int | None) -> float | None:
    return None if not before or after is None else after / before


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _least(images: Sequence[ImageChange], method: str) -> float | None:
    found = (made.spearman for image in images for made in image.maps if made.method == method)
    return min((value for value in found if value is not None), default=None)
