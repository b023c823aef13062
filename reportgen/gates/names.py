"""What a gate may ask for: the names of `docs/gates.md`, and every number of `report.json`."""

import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from reportgen.gates.sections import OF_IMAGES, OF_LAYERS, OF_THE_NETWORK
from reportgen.report.records import Image, Layer, Panel, Parameter, Report

Unit: TypeAlias = Literal["share", "difference", "count", "number", "yes or no"]
"""A share lies in [0, 1], a difference of two in [-1, 1]; both may be given in percent, as may a
number. Yes is 1 and no is 0."""

Reading: TypeAlias = tuple[str, float | None]
"""Of what (a layer, an image; empty for the report as a whole) and the number: NaN where it is not
finite or nothing can be said for such values, None where there is none."""


@dataclass(frozen=True)
class Number:
    """Something in a report that a gate may ask for."""

    unit: Unit
    read: Callable[[Report, str], Iterable[Reading]]
    "Given a report and the glob in the brackets."
    words: str = ""
    "What it is, for names of their own."
    section: str = ""
    "The section that says it; empty where every report holds it."
    needs_labels: bool = False


def layers_named(report: Report, glob: str) -> Iterator[Layer]:
    """Calls of layers, by their name with or without the number of the call."""
    for layer in report.layers:
        if fnmatchcase(layer.name, glob) or fnmatchcase(f"{layer.name}#{layer.call}", glob):
            yield layer


def _whole(value: Callable[[Report], float | None]) -> Callable[[Report, str], Iterable[Reading]]:
    return lambda report, _: (("", value(report)),)


def _layerwise(
    value: Callable[[Layer], float | None],
) -> Callable[[Report, str], Iterable[Reading]]:
    return lambda report, glob: (
        (layer.title, value(layer)) for layer in layers_named(report, glob)
    )


def _share_of_units(field: str, words: str) -> dict[str, Number]:
    """Units in the state that `field` of a layer counts, of all and by layer.

    Nothing is claimed of a layer that gave values that are not finite.
    """

    def of_layers(layers: Iterable[Layer]) -> float | None:
        layers = tuple(layers)
        if any(layer.nonfinite for layer in layers):
            return math.nan
        counted = [layer for layer in layers if getattr(layer, field) is not None]
        units = sum(layer.units for layer in counted)
        return sum(getattr(layer, field) for layer in counted) / units if units else None

    name = field.removesuffix("_filters")
    return {
        name: Number("share", _whole(lambda report: of_layers(report.layers)), f"{words}."),
        f"{name}[]": Number(
            "share", _layerwise(lambda layer: of_layers((layer,))), f"{words}, of the layer."
        ),
    }


def _top5(report: Report) -> float | None:
    labelled = [image for image in report.images if image.true_index is not None]
    right = (image.true_index in [p.index for p in image.predictions[:5]] for image in labelled)
    return sum(right) / len(labelled) if labelled else None


def _confidence(report: Report) -> float | None:
    best = [i.predictions[0].probability if i.predictions else math.nan for i in report.images]
    known = [chance for chance in best if chance is not None]
    is_asked = report.model.task not in ("regress", "detect")
    return math.fsum(known) / len(known) if known and is_asked else None


def _nonfinite(report: Report) -> float:
    activations = sum(layer.nonfinite or 0 for layer in report.layers)
    weights = sum(parameter.nonfinite for parameter in report.parameters)
    if not report.model.classes:  # no image has an answer
        return activations + weights
    return activations + weights + sum(not image.predictions for image in report.images)


def _findings(test: Callable[[str, str, str], bool]) -> Callable[[Report, str], Iterable[Reading]]:
    """How many findings pass `test`, given severity, kind and glob; unknown if a section failed."""

    def read(report: Report, glob: str) -> Iterable[Reading]:
        if any(section.problem for section in report.sections):
            return (("", None),)
        return (("", sum(test(f.severity, f.kind, glob) for f in report.findings)),)

    return read


OWN: Mapping[str, Number] = {
    "accuracy": Number(
        "share",
        _whole(lambda report: report.accuracy),
        "labelled images whose most probable class is the true one.",
        needs_labels=True,
    ),
    "top5": Number(
        "share",
        _whole(_top5),
        "labelled images whose true class is among the five most probable.",
        needs_labels=True,
    ),
    "confidence": Number(
        "share", _whole(_confidence), "probability of the most probable class, mean over images."
    ),
    **_share_of_units(
        "dead_filters", "rectified units that are never above zero on any of the images"
    ),
    **_share_of_units(
        "near_dead_filters", "rectified units that fire, but on less than 1 % of the images"
    ),
    **_share_of_units(
        "constant_filters", "units, rectified or not, that give one and the same value everywhere"
    ),
    "nonfinite": Number(
        "count",
        _whole(_nonfinite),
        "NaN or infinite values in weights and activations, and images without a finite answer.",
    ),
    "nonfinite[]": Number(
        "count",
        _layerwise(lambda layer: layer.nonfinite),
        "NaN or infinite values that the layer gave, over all images.",
    ),
    "units": Number(
        "count",
        _whole(lambda report: sum(x.units for x in report.layers if x.dead_filters is not None)),
        "rectified units, of which some may be dead.",
    ),
    "findings": Number("count", _findings(lambda *_: True), "findings of the sections made."),
    "findings.error": Number("count", _findings(lambda s, *_: s == "error"), "errors among them."),
    "findings.warning": Number(
        "count", _findings(lambda s, *_: s == "warning"), "warnings among them."
    ),
    "findings.info": Number("count", _findings(lambda s, *_: s == "info"), "remarks among them."),
    "findings[]": Number(
        "count",
        _findings(lambda _, kind, glob: fnmatchcase(kind, glob)),
        "findings of the kinds that the glob names, such as `findings[dead-*]`.",
    ),
    "failed": Number(
        "count",
        _whole(lambda report: sum(bool(section.problem) for section in report.sections)),
        "sections that could not be made.",
    ),
    "images": Number(
        "count", _whole(lambda report: len(report.images)), "images that went through the network."
    ),
    "skipped": Number(
        "count", _whole(lambda report: len(report.skipped)), "files that could not be used."
    ),
    "layers": Number("count", _whole(lambda report: len(report.layers)), "calls of layers."),
    "parameters": Number(
        "count", _whole(lambda report: report.model.parameters), "trainable values of the network."
    ),
    "macs": Number(
        "count", _whole(lambda report: report.model.macs), "multiply-accumulates for one image."
    ),
    "size_mb": Number(
        "number",
        _whole(lambda r: None if r.model.bytes is None else r.model.bytes / 1e6),
        "size of the model file in MB, 1,000,000 bytes each.",
    ),
}
"Names of their own. `[]` stands for `[GLOB]`."


def _value_at(item: object, keys: Iterable[str]) -> float | None:
    """The number at a path of keys; None where the way ends before."""
    for key in keys:
        if isinstance(item, Panel):
            item = item.facts.get(key)
        elif isinstance(item, Layer | Image) and key in item.panels:
            item = item.panels[key]
        else:
            item = getattr(item, key, None)
    return float(item) if isinstance(item, int | float) else None


def _numbers_of(record: Any, start: str = "") -> Iterator[tuple[str, Unit]]:
    """Every key of a record that holds one number, and its unit; records in it are gone into."""
    units: dict[type, Unit] = {int: "count", float: "number", bool: "yes or no"}
    for key, hint in typing.get_type_hints(record).items():
        inner = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        kind = inner[0] if isinstance(hint, types.UnionType) and len(inner) == 1 else hint
        if kind in units:
            yield f"{start}{key}", units[kind]
        elif is_dataclass(kind):
            yield from _numbers_of(kind, f"{start}{key}.")


def _listed(kind: str, path: str, glob: str, report: Report) -> Iterator[Reading]:
    keys = path.split(".")
    if kind == "layers":
        for layer in layers_named(report, glob):
            yield layer.title, _value_at(layer, keys)
    elif kind == "images":
        for image in report.images:
            if fnmatchcase(image.path, glob):
                yield image.path, _value_at(image, keys)
    else:
        for parameter in report.parameters:
            if fnmatchcase(parameter.name, glob):
                yield parameter.name, _value_at(parameter, keys)


def _reader_at(path: str) -> Callable[[Report, str], Iterable[Reading]]:
    return _whole(lambda report: _value_at(report, path.split(".")))


def _of_section(section: str, key: str) -> Callable[[Report, str], Iterable[Reading]]:
    def read(report: Report, _: str) -> Iterable[Reading]:
        panels = {item.name: item.panel for item in report.sections}
        return (("", _value_at(panels.get(section), (key,))),)

    return read


def _paths() -> Iterator[tuple[str, Number]]:
    """Every number of `report.json` by its path."""
    for path, unit in _numbers_of(Report):
        yield path, Number(unit, _reader_at(path))
    for section, names in OF_THE_NETWORK.items():
        for key in names:
            number = Number("number", _of_section(section, key), section=section)
            yield f"{section}.{key}", number
    for kind, record in (("layers", Layer), ("images", Image), ("parameters", Parameter)):
        for path, unit in _numbers_of(record):
            yield f"{kind}[].{path}", Number(unit, _list_reader(kind, path))
    for kind, sections in (("layers", OF_LAYERS), ("images", OF_IMAGES)):
        for section, names in sections.items():
            for path in (f"{section}.{name}" for name in names):
                yield f"{kind}[].{path}", Number("number", _list_reader(kind, path), "", section)


def _list_reader(kind: str, path: str) -> Callable[[Report, str], Iterable[Reading]]:
    return lambda report, glob: _listed(kind, path, glob, report)


NUMBERS: Mapping[str, Number] = {**dict(_paths()), **OWN}
"All that a gate may ask for, by its name without globs."
