"""Saved reports to one comparison: A is the first that was given, B the last."""

import math
from collections.abc import Iterator, Mapping, Sequence

from reportgen.compare.findings import RULES, findings, verdict
from reportgen.compare.given import Given
from reportgen.compare.images import image_changes, image_keys, paths_missing
from reportgen.compare.layers import layer_changes, titles_missing
from reportgen.compare.metrics import metrics
from reportgen.compare.records import (
    SCHEMA_VERSION,
    Comparison,
    ImageChange,
    LayerChange,
    ParameterChange,
    Subject,
)
from reportgen.compare.timeline import accuracy, timeline
from reportgen.compare.weights import Filters, kept_filters, parameter_change
from reportgen.errors import OptionError
from reportgen.report.records import Layer, Parameter, Preprocessing, Report

_PREPARED = ("height", "width", "resize", "interpolation", "mean", "std", "channels")


def compared(
    reports: Sequence[Given], *, version: str, title: str = "", image: str = ""
) -> Comparison:
    """What changed from the first report to the last, and on the way where there are more.

    Args:
        reports: two or more, in order.
        version: of reportgen.
        title: of the comparison; empty for the names of the reports.
        image: of the film strip; empty for the one that changed most.

    Raises:
        OptionError: if `image` is given and is none that all reports have, or there is no strip.
    """
    a, b = reports[0], reports[-1]
    if image and len(reports) < 3:
        raise OptionError("--image picks the film strip, which takes three reports or more.")
    kept = [kept_filters(given.report) for given in reports]
    same_input = all(_prepared(given.report) == _prepared(a.report) for given in reports[1:])
    subjects = tuple(_subject(given) for given in reports)
    pair = (subjects[0], subjects[-1])
    layers = layer_changes(a, b, kept[0], kept[-1])
    parameters = _parameters(a.report, b.report, kept[0], kept[-1])
    images = image_changes(a, b, same_input=_prepared(a.report) == _prepared(b.report))
    numbers = metrics(a, b, pair, layers, parameters, images, _shared_accuracy(a, b))
    only = (
        titles_missing(a.report.layers, b.report.layers),
        titles_missing(b.report.layers, a.report.layers),
    )
    missing = paths_missing(a.report, b.report), paths_missing(b.report, a.report)
    differences = _differences(a, b, len(images), images)
    is_unchanged = (
        not any((*only, *missing, differences))
        and _is_unchanged(layers, parameters, images)
        and _facts(a.report) == _facts(b.report)
    )
    return Comparison(
        schema_version=SCHEMA_VERSION,
        reportgen=version,
        title=title or " → ".join(given.name for given in reports),
        verdict=verdict(pair, numbers, layers, images, is_unchanged=is_unchanged),
        subjects=subjects,
        metrics=numbers,
        findings=findings(a, b, numbers, layers, images, differences, only),
        rules=RULES,
        differences=differences,
        has_same_images=not any(missing),
        layers=layers,
        layers_only_a=only[0],
        layers_only_b=only[1],
        parameters=parameters,
        parameters_only_a=_names_missing(a.report, b.report),
        parameters_only_b=_names_missing(b.report, a.report),
        images=images,
        images_only_a=missing[0],
        images_only_b=missing[1],
        timeline=timeline(reports, kept, same_input=same_input, image=image)
        if len(reports) > 2
        else None,
    )


def _subject(given: Given) -> Subject:
    report, model = given.report, given.report.model
    rectified = [layer for layer in report.layers if layer.dead_filters is not None]
    sizes = [(math.prod(one.shape), one.zero_fraction) for one in report.parameters]
    values = sum(size for size, _ in sizes)
    return Subject(
        letter=given.letter,
        name=given.name,
        title=report.title,
        file=model.file,
        sha256=model.sha256,
        architecture=model.architecture,
        parameters=model.parameters,
        macs=model.macs,
        bytes=model.bytes,
        accuracy=report.accuracy,
        images=len(report.images),
        dead=sum(layer.dead_filters or 0 for layer in rectified),
        rectified=sum(layer.units for layer in rectified),
        zero_share=sum(size * share for size, share in sizes) / values if values else None,
        href=given.href,
    )


def _parameters(
    a: Report, b: Report, kept_a: Mapping[str, Filters], kept_b: Mapping[str, Filters]
) -> tuple[ParameterChange, ...]:
    others = {parameter.name: parameter for parameter in b.parameters}
    return tuple(
        parameter_change(parameter, others[parameter.name], kept_a, kept_b)
        for parameter in a.parameters
        if parameter.name in others
    )


def _names_missing(report: Report, other: Report) -> tuple[str, ...]:
    known = {parameter.name for parameter in other.parameters}
    return tuple(one.name for one in report.parameters if one.name not in known)


def _shared_accuracy(a: Given, b: Given) -> tuple[float | None, float | None]:
    """Over the images that both saw and for which both know the same true class."""
    of_a, of_b = image_keys(a.report), image_keys(b.report)
    shared = [
        key
        for key in of_a
        if key in of_b
        if of_a[key].true_index is not None and of_b[key].true_index is not None
    ]
    return accuracy([of_a[key] for key in shared]), accuracy([of_b[key] for key in shared])


def _prepared(report: Report) -> tuple[object, ...]:
    """What every image goes through, but for who says so."""
    preprocessing: Preprocessing = report.model.preprocessing
    return tuple(getattr(preprocessing, name) for name in _PREPARED)


def _differences(a: Given, b: Given, shared: int, images: Sequence[ImageChange]) -> tuple[str, ...]:
    """Why numbers of the two are not of the same thing, one sentence each."""
    return tuple(_told_differences(a, b, shared, images))


def _told_differences(
    a: Given, b: Given, shared: int, images: Sequence[ImageChange]
) -> Iterator[str]:
    counts = len(a.report.images), len(b.report.images)
    if counts != (shared, shared):
        yield (
            f"{a.name} saw {counts[0]:,} images and {b.name} {counts[1]:,}; {shared:,} are the "
            "same. Answers and maps are compared on these; activations, sparsity and dead units "
            "are each over the report's own."
        )
    first, second = _prepared(a.report), _prepared(b.report)
    changed = [
        name for name, one, other in zip(_PREPARED, first, second, strict=True) if one != other
    ]
    if changed:
        yield (
            f"Images were prepared differently ({', '.join(changed)}), so maps are not compared, "
            "and activations differ for that reason too."
        )
    if a.report.model.classes != b.report.model.classes:
        yield (
            f"{a.name} tells {a.report.model.classes:,} classes apart and {b.name} "
            f"{b.report.model.classes:,}: answers are compared by the names of the classes."
        )
    problems = dict.fromkeys(made.problem for image in images for made in image.maps)
    for problem in problems:
        if problem and not changed:
            count = sum(made.problem == problem for image in images for made in image.maps)
            yield f"{count:,} {'map is' if count == 1 else 'maps are'} not compared. {problem}"


def _is_unchanged(
    layers: Sequence[LayerChange],
    parameters: Sequence[ParameterChange],
    images: Sequence[ImageChange],
) -> bool:
    """Whether every number that both reports hold is the same."""
    return (
        all(made.change == 0 for made in parameters)
        and all(
            layer.units_a == layer.units_b
            and (layer.mean_a, layer.std_a, layer.zero_a, layer.dead_a)
            == (layer.mean_b, layer.std_b, layer.zero_b, layer.dead_b)
            and not layer.distance
            and not layer.died
            and not layer.born
            for layer in layers
        )
        and all(image.answer_a == image.answer_b for image in images)
        and all(
            made.map_a is not None
            and made.map_b is not None
            and made.map_a.values.tobytes() == made.map_b.values.tobytes()
            for image in images
            for made in image.maps
        )
    )


def _facts(report: Report) -> tuple[object, ...]:
    """The network's sizes and its parameters' names: what else could differ."""
    model, layers = report.model, report.layers
    names: list[Layer | Parameter] = [*layers, *report.parameters]
    return model.parameters, model.macs, [one.name for one in names]
