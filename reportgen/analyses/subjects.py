"""The plain records that a report is about: the network, its layers, images and parameters."""

import re
from collections.abc import Container, Iterable, Sequence

import numpy as np
from torch import nn

from reportgen.analyses.deadness import unit_states
from reportgen.analyses.parameters import parameter_records
from reportgen.load.image_files import ImageFile
from reportgen.load.image_set import ImageSet
from reportgen.load.model import LoadedModel
from reportgen.probe.evidence import Answer, Call, Evidence, LayerEvidence
from reportgen.report.records import Image, Layer, Model, Prediction

__all__ = [
    "accuracy",
    "image_records",
    "layer_records",
    "model_record",
    "parameter_records",
]

_RESERVED = re.compile(r"index(-\d+)?|(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"Names that a page cannot have: the indices of its folder, and devices of Windows, dotted or not."


def slugs(names: Iterable[str], fallback: str = "layer") -> tuple[str, ...]:
    """A file name per name: ASCII, unique when case is folded, not starting with `_` or `.`.

    `layer1.0.relu#2` becomes `layer1.0.relu-2`; a name that is taken gets the next free number.
    """
    taken: set[str] = set()
    result = []
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100].strip("._-") or fallback
        stem = f"{fallback}-{stem}" if _RESERVED.fullmatch(stem) else stem
        slug, number = stem, 2
        while slug.casefold() in taken:
            slug, number = f"{stem}-{number}", number + 1
        taken.add(slug.casefold())
        result.append(slug)
    return tuple(result)


def layer_records(evidence: Evidence) -> tuple[Layer, ...]:
    """One record per call in execution order, without panels."""
    names = slugs(str(call.key) for call in evidence.calls)
    slug_of = dict(zip((call.key for call in evidence.calls), names, strict=True))
    return tuple(
        _layer(
            call,
            slug_of[call.key],
            tuple(slug_of[key] for key in call.inputs if key in slug_of),
            evidence.layers.get(call.key),
        )
        for call in evidence.calls
    )


def _layer(call: Call, slug: str, inputs: tuple[str, ...], seen: LayerEvidence | None) -> Layer:
    mean, std = (None, None) if seen is None else _pooled(seen)
    states = None if seen is None else unit_states(call, seen)
    # One NaN spreads: where a layer gave any, its counts would be claims about noise.
    is_sound = states is not None and not states.nonfinite.any()
    has_several = seen is not None and seen.images * seen.positions > 1
    dead = states.dead if states is not None and is_sound and call.rectifies else None
    near_dead = states.near_dead if states is not None and dead is not None else None
    constant = states.constant if states is not None and is_sound and has_several else None
    return Layer(
        slug=slug,
        name=call.key.path,
        call=call.key.call,
        type=call.type,
        kind=call.kind,
        inputs=inputs,
        output_shape=call.output_shape,
        parameters=call.parameters,
        macs=call.macs,
        receptive_field=call.receptive_field,
        units=call.units,
        zero_fraction=None if seen is None else seen.zero_fraction,
        mean=mean,
        std=std,
        dead_filters=None if dead is None else int(dead.sum()),
        near_dead_filters=None if near_dead is None else int(near_dead.sum()),
        constant_filters=None if constant is None else int(constant.sum()),
        dead_units=() if dead is None else tuple(int(unit) for unit in np.flatnonzero(dead)),
        nonfinite=None if seen is None else int(seen.nonfinite.sum()),
    )


def _pooled(seen: LayerEvidence) -> tuple[float | None, float | None]:
    """Mean and standard deviation (n in the denominator) of all finite values of a call."""
    count = seen.images * seen.positions - seen.nonfinite
    total = int(count.sum())
    some = count > 0
    if not total:
        return None, None
    weight = count[some] / total
    mean = float((weight * seen.mean[some]).sum())
    spread = seen.variance[some] + np.square(seen.mean[some] - mean)
    return mean, float(np.sqrt((weight * spread).sum()))


def image_records(
    images: ImageSet,
    evidence: Evidence,
    labels: Sequence[str],
    true_indices: Sequence[int | None],
    pictured: Container[int],
) -> tuple[Image, ...]:
    """One record per image in the order of the set, without panels.

    Args:
        images: the files, one per answer.
        evidence: what the network said of them.
        labels: one name per class.
        true_indices: class of each image, where it is known.
        pictured: indices of the images that get a page.
    """
    rows = zip(images.files, evidence.answers, true_indices, strict=True)
    return tuple(
        Image(
            slug=file.slug,
            path=file.path,
            sha256=file.sha256,
            width=file.width,
            height=file.height,
            true_class=_true_class(file, true, labels) if evidence.task == "classify" else None,
            true_index=true,
            predictions=_predictions(answer, labels),
            is_pictured=index in pictured,
            notes=file.notes,
        )
        for index, (file, answer, true) in enumerate(rows)
    )


def _true_class(file: ImageFile, true: int | None, labels: Sequence[str]) -> str | None:
    return file.true_class if true is None else label_of(labels, true)


def _predictions(answer: Answer, labels: Sequence[str]) -> tuple[Prediction, ...]:
    rows = zip(answer.classes, answer.probabilities, answer.logits, strict=True)
    return tuple(
        Prediction(
            int(index),
            label_of(labels, int(index)),
            None if np.isnan(probability) else float(probability),
            float(logit),
        )
        for index, probability, logit in rows
    )


def label_of(labels: Sequence[str], index: int) -> str:
    """Name of class `index`; its number where it has none."""
    return labels[index] if index < len(labels) else str(index)


def accuracy(records: Sequence[Image]) -> float | None:
    """Share of labelled images whose most probable class is the true one; None without labels."""
    labelled = [image for image in records if image.true_index is not None]
    if not labelled:
        return None
    return sum(is_right(image) for image in labelled) / len(labelled)


def is_right(image: Image) -> bool:
    """Whether the most probable class is the true one. No answer is a wrong answer."""
    return bool(image.predictions) and image.predictions[0].index == image.true_index


def parameter_count(module: nn.Module) -> int:
    """Trainable values of a network; what is shared counts once, buffers do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def model_record(
    loaded: LoadedModel, images: ImageSet, evidence: Evidence, labels_source: str
) -> Model:
    """The network under report. `labels_source` says where the class names come from."""
    return Model(
        file=loaded.file,
        sha256=loaded.sha256,
        architecture=loaded.architecture,
        architecture_source=loaded.architecture_source,
        format=loaded.format,
        dtype=loaded.dtype,
        parameters=parameter_count(loaded.module),
        macs=evidence.macs,
        classes=evidence.classes,
        task=evidence.task,
        task_source=evidence.task_source,
        labels_source=labels_source,
        preprocessing=images.preprocessing,
        bytes=loaded.bytes,
    )
