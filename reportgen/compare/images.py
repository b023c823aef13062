"""Images that went through two networks: what became of each answer, and of the places it needs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np

from reportgen.compare.answers import said
from reportgen.compare.correlations import pearson, spearman
from reportgen.compare.given import Given
from reportgen.compare.records import ImageChange, MapChange, Outcome
from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Heatmap, Photo
from reportgen.report.records import Image, Panel, Prediction, Report
from reportgen.report.tasks import chooses_none

Key: TypeAlias = tuple[str, int]
"SHA-256 of an image's file, and which of its copies it is."

T = TypeVar("T")
Pair: TypeAlias = tuple[T, T]
"Of the first report, and of the last."

METHODS = {"occlusion": "Occlusion", "gradcam": "Grad-CAM"}

_RANK: Mapping[Outcome, int] = {
    "broken": 0,
    "corrected": 1,
    "changed": 2,
    "unknown": 3,
    "same": 4,
}
_SETTINGS = {
    "window": "the occluder's size",
    "stride": "the steps of the occluder",
    "fill": "what the occluder is filled with",
    "score": "the score that slopes are of",
}


def image_keys(report: Report) -> dict[Key, Image]:
    """The images of a report by content: copies of one file are told apart by their order."""
    seen: Counter[str] = Counter()
    found = {}
    for image in report.images:
        found[image.sha256, seen[image.sha256]] = image
        seen[image.sha256] += 1
    return found


def image_changes(a: Given, b: Given, *, same_input: bool) -> tuple[ImageChange, ...]:
    """Every image that both saw: answers that changed first, then those whose maps moved most.

    Args:
        a: the first report.
        b: the other.
        same_input: whether the networks were given the same pixels, so that maps may be compared.
    """
    others = image_keys(b.report)
    found = [
        _image_change(a, b, image, others[key], same_input)
        for key, image in image_keys(a.report).items()
        if key in others
    ]

    def how_little(image: ImageChange) -> tuple[int, float]:
        known = [made.spearman for made in image.maps if made.spearman is not None]
        return _RANK[image.outcome], min(known, default=1.0)

    return tuple(sorted(found, key=how_little))


def paths_missing(report: Report, other: Report) -> tuple[str, ...]:
    """Paths of the images that the other report does not have."""
    known = image_keys(other)
    return tuple(image.path for key, image in image_keys(report).items() if key not in known)


def is_right(image: Image) -> bool:
    """Whether the most probable class is the true one."""
    return bool(image.predictions) and image.predictions[0].index == image.true_index


def _image_change(a: Given, b: Given, first: Image, second: Image, same_input: bool) -> ImageChange:
    answers = [image.predictions[0] if image.predictions else None for image in (first, second)]
    is_labelled = first.true_index is not None and second.true_index is not None
    maps = tuple(
        made
        for method in METHODS
        if (made := _map_change(method, (a, b), (first, second), same_input)) is not None
    )
    return ImageChange(
        slug=first.slug,
        path=first.path,
        sha256=first.sha256,
        true_class=first.true_class,
        answer_a=answers[0],
        answer_b=answers[1],
        said_a=said(a.report.model, first),
        said_b=said(b.report.model, second),
        outcome=_outcome(a.report, b.report, first, second),
        right_a=is_right(first) if is_labelled else None,
        right_b=is_right(second) if is_labelled else None,
        slug_a=first.slug if first.is_pictured else "",
        slug_b=second.slug if second.is_pictured else "",
        maps=maps,
        photo=_photo(first) or _photo(second),
    )


def _outcome(a: Report, b: Report, first: Image, second: Image) -> Outcome:
    tasks = a.model.task, b.model.task
    if tasks[0] != tasks[1] or tasks[0] in ("regress", "detect"):
        return "unknown"
    are_finite = bool(first.predictions), bool(second.predictions)
    if not any(are_finite):
        return "unknown"
    # Where one of the two gives no finite answer any more, that is as much of a change as another.
    classes = (
        {_class_of(a, b, one) for one in said(report.model, image)}
        for report, image in ((a, first), (b, second))
    )
    if all(are_finite) and next(classes) == next(classes):
        return "same"
    if chooses_none(a.model.task, a.model.classes):
        return "changed"
    if first.true_index is None or second.true_index is None:
        return "changed"
    if is_right(first):
        return "broken"
    return "corrected" if is_right(second) else "changed"


def _class_of(a: Report, b: Report, answer: Prediction) -> int | str:
    """What tells a class: its index, or its name where the networks count classes differently."""
    return answer.index if a.model.classes == b.model.classes else answer.label


def _map_change(
    method: str, reports: Pair[Given], images: Pair[Image], same_input: bool
) -> MapChange | None:
    """The map of one method in both reports; None where one of them has none."""
    one, other = (image.panels.get(method) for image in images)
    a, b = _drawn(method, one), _drawn(method, other)
    if one is None or other is None or a is None or b is None:
        return None
    problem = _problem(method, reports, (one, other), (a, b), same_input)
    change = MapChange(
        method=method,
        title=METHODS[method],
        label=str(one.facts["label"]),
        problem=problem,
        spearman=None,
        pearson=None,
    )
    if problem:
        return change
    evidence = one.facts["has_evidence"], other.facts["has_evidence"]
    # Without any, maps are as pale as on their own pages: colours would be those of noise.
    least = 0.0 if any(evidence) else max(a.maximum or 0.0, b.maximum or 0.0)
    drawn = on_one_scale(
        [a, b, *([_difference(a, b, reports)] if method == "occlusion" else [])], least
    )
    return replace(
        change,
        spearman=spearman(a.values, b.values) if all(evidence) else None,
        pearson=pearson(a.values, b.values) if all(evidence) else None,
        map_a=drawn[0],
        map_b=drawn[1],
        difference=drawn[2] if len(drawn) > 2 else None,
    )


def _drawn(method: str, panel: Panel | None) -> Heatmap | None:
    name = "probability" if method == "occlusion" else "gradcam"
    block = panel.blocks.get(name) if panel else None
    return block if isinstance(block, Heatmap) else None


def _problem(
    method: str,
    reports: Pair[Given],
    panels: Pair[Panel],
    maps: Pair[Heatmap],
    same_input: bool,
) -> str:
    """Why two maps are not of the same thing; empty where they are."""
    if not same_input:
        return "The images were prepared differently."
    if reports[0].report.model.task != reports[1].report.model.task:
        return "The networks give two kinds of outputs."
    (one, other), (a, b) = panels, (given.letter for given in reports)
    if one.facts["target"] != other.facts["target"]:
        return (
            f"The maps explain different classes, {one.facts['label']} in {a} and "
            f"{other.facts['label']} in {b}."
        )
    for key, words in _SETTINGS.items():
        if one.facts.get(key) != other.facts.get(key):
            return f"Different settings: {words}."
    if method == "gradcam":
        cuts = [_cut(*pair) for pair in zip(reports, panels, strict=True)]
        if cuts[0] != cuts[1]:
            return f"The maps are taken at different layers, {cuts[0]} in {a} and {cuts[1]} in {b}."
    sizes = [" x ".join(map(str, made.values.shape)) for made in maps]
    if sizes[0] != sizes[1]:
        return f"The maps have different sizes, {sizes[0]} in {a} and {sizes[1]} in {b}."
    return ""


def _cut(given: Given, panel: Panel) -> str:
    """Where the first map is taken: `the output of features.12`."""
    layers, sides = panel.facts["layers"], panel.facts["sides"]
    assert isinstance(layers, tuple) and isinstance(sides, tuple)
    titles = {layer.slug: layer.title for layer in given.report.layers}
    return f"the {sides[0]} of {titles.get(str(layers[0]), layers[0])}"


def on_one_scale(maps: Sequence[Heatmap], least: float = 0.0) -> list[Heatmap]:
    """Maps whose colours end at the largest value that any of them shows, or at `least`.

    On its own page a map ends at what could be lost at most; beside another one, it is told apart
    by its size on this scale.
    """
    seen = [made if made.signed else replace(made, values=_positive(made)) for made in maps]
    ends = [float(np.nanmax(np.abs(made.values), initial=0.0)) for made in seen]
    return [replace(made, maximum=max(least, *ends), for_print=False) for made in seen]


def _positive(made: Heatmap) -> FloatArray:
    """What is drawn of a map that shows values above zero alone."""
    values: FloatArray = np.maximum(made.values, 0)
    return values


def _difference(a: Heatmap, b: Heatmap, reports: Pair[Given]) -> Heatmap:
    values = b.values.astype(np.float64) - a.values
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    first, second = (given.letter for given in reports)
    words = f"{a.title}: {second} minus {first}, from {low:.3g} to {high:.3g}."
    return replace(
        a,
        values=values,
        title=f"{a.title}, {second} - {first}",
        marks=None,
        alt=words,
        caption=words,
    )


def _photo(image: Image) -> Photo | None:
    panel = image.panels.get("answers")
    block = panel.blocks.get("seen") if panel else None
    return block if isinstance(block, Photo) else None
