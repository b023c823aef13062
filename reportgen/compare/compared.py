"""Saved reports to one comparison: A is the first that was given, B the last."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reportgen.compare.alike import differences, prepared
from reportgen.compare.findings import RULES, findings, verdict
from reportgen.compare.given import Given
from reportgen.compare.images import image_changes, paths_missing
from reportgen.compare.layers import layer_changes
from reportgen.compare.metrics import metrics
from reportgen.compare.records import SCHEMA_VERSION, Comparison, ParameterChange, Subject
from reportgen.compare.timeline import timeline
from reportgen.compare.weights import Filters, kept_filters, parameter_change
from reportgen.errors import OptionError
from reportgen.report.records import Report


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
        OptionError: if `image` is given and is none that all reports have, or there are only two.
    """
    a, b = reports[0], reports[-1]
    if image and len(reports) < 3:
        raise OptionError("--image picks the film strip, which takes three reports or more.")
    kept = [kept_filters(given.report) for given in reports]
    images = image_changes(a, b, same_input=_same_input((a, b)))
    missing = paths_missing(a.report, b.report), paths_missing(b.report, a.report)
    line = None
    if len(reports) > 2:
        line = timeline(reports, kept, same_input=_same_input(reports), image=image)
    bare = Comparison(
        schema_version=SCHEMA_VERSION,
        reportgen=version,
        title=title or " → ".join(given.name for given in reports),
        verdict="",
        subjects=tuple(map(_subject, reports)),
        metrics={},
        findings=(),
        rules=RULES,
        differences=tuple(differences(a, b, images)),
        has_same_images=not any(missing),
        layers=layer_changes(a, b, kept[0], kept[-1]),
        layers_only_a=_missing(_titles(a), _titles(b)),
        layers_only_b=_missing(_titles(b), _titles(a)),
        parameters=_parameters(a.report, b.report, kept[0], kept[-1]),
        parameters_only_a=_missing(_names(a), _names(b)),
        parameters_only_b=_missing(_names(b), _names(a)),
        images=images,
        images_only_a=missing[0],
        images_only_b=missing[1],
        timeline=line,
    )
    counted = replace(bare, metrics=metrics(bare))
    return replace(counted, verdict=verdict(counted), findings=findings(counted))


def _same_input(reports: Sequence[Given]) -> bool:
    """Whether all networks were given the same pixels of an image."""
    return len({prepared(given.report) for given in reports}) == 1


def _titles(given: Given) -> list[str]:
    return [layer.title for layer in given.report.layers]


def _names(given: Given) -> list[str]:
    return [parameter.name for parameter in given.report.parameters]


def _missing(names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    known = set(others)
    return tuple(name for name in names if name not in known)


def _subject(given: Given) -> Subject:
    report, model = given.report, given.report.model
    rectified = [layer for layer in report.layers if layer.dead_filters is not None]
    sizes = [(math.prod(one.shape), one.zero_fraction) for one in report.parameters]
    values = sum(size for size, _ in sizes)
    return Subject(
        letter=given.letter,
        name=given.name,
        title=report.title,
        file=model.source,
        sha256=model.sha256,
        architecture=model.architecture,
        task=model.task,
        parameters=model.parameters,
        macs=model.macs,
        bytes=model.bytes,
        accuracy=report.accuracy,
        images=len(report.images),
        dead=sum(layer.dead_filters or 0 for layer in rectified),
        rectified=sum(layer.units for layer in rectified),
        nonfinite=sum(one.nonfinite for one in report.parameters)
        + sum(layer.nonfinite or 0 for layer in report.layers)
        # A network that gives boxes has no answer of an image, finite or not.
        + sum(not image.predictions for image in report.images if model.task != "detect"),
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
