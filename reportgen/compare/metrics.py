"""The comparison in flat numbers, which scripts and gates read by name."""

import math
from collections.abc import Iterable, Mapping, Sequence

from reportgen.compare.given import Given
from reportgen.compare.records import ImageChange, LayerChange, ParameterChange, Subject
from reportgen.compare.timeline import dead_share


def metrics(
    a: Given,
    b: Given,
    subjects: tuple[Subject, Subject],
    layers: Sequence[LayerChange],
    parameters: Sequence[ParameterChange],
    images: Sequence[ImageChange],
    shared_accuracy: tuple[float | None, float | None],
) -> Mapping[str, float | int | None]:
    """Every number by name; None where one is not defined for these reports.

    A drop is A minus B, a rise B minus A, a ratio B divided by A. Minima and maxima are over what
    could be compared.
    """
    first, second = subjects
    known = [image for image in images if image.outcome != "unknown"]
    changed = sum(image.outcome != "same" for image in known)
    dead = dead_share(a.report.layers), dead_share(b.report.layers)
    return {
        "images_compared": len(images),
        "accuracy_a": shared_accuracy[0],
        "accuracy_b": shared_accuracy[1],
        "accuracy_drop": _drop(*shared_accuracy),
        "answers_changed": changed,
        "answers_changed_share": changed / len(known) if known else None,
        "answers_broken": sum(image.outcome == "broken" for image in images),
        "answers_corrected": sum(image.outcome == "corrected" for image in images),
        "dead_share_a": dead[0],
        "dead_share_b": dead[1],
        "dead_share_rise": _drop(dead[1], dead[0]),
        "units_died": sum(len(layer.died) for layer in layers),
        "units_born": sum(len(layer.born) for layer in layers),
        "zero_weights_rise": _drop(second.zero_share, first.zero_share),
        "parameters_ratio": _ratio(first.parameters, second.parameters),
        "macs_ratio": _ratio(first.macs, second.macs),
        "bytes_ratio": _ratio(first.bytes, second.bytes),
        "weight_change": weight_change(parameters),
        "weight_change_max": _most(layer.weight_change for layer in layers),
        "activation_distance_max": _most(layer.distance for layer in layers),
        "occlusion_correlation_min": _least(images, "occlusion"),
        "gradcam_correlation_min": _least(images, "gradcam"),
    }


def weight_change(parameters: Sequence[ParameterChange]) -> float | None:
    """||B - A|| / ||A|| of all parameters together; None unless each of the same shape has its own.

    Parameters whose shape differs, or that only one of the two has, are left out.
    """
    same = [made for made in parameters if made.shape_a == made.shape_b]
    if not same or any(made.change is None for made in same):
        return None
    far = math.hypot(*((made.change or 0.0) * made.norm_a for made in same))
    size = math.hypot(*(made.norm_a for made in same))
    return far / size if size else None


def _drop(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def _ratio(before: int | None, after: int | None) -> float | None:
    return None if not before or after is None else after / before


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _least(images: Sequence[ImageChange], method: str) -> float | None:
    found = (made.spearman for image in images for made in image.maps if made.method == method)
    return min((value for value in found if value is not None), default=None)
