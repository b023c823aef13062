"""More than two reports in their order: how a network grew, from checkpoint to checkpoint."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from reportgen.compare.correlations import spearman
from reportgen.compare.given import Given
from reportgen.compare.images import Key, image_keys, is_right, on_one_scale
from reportgen.compare.records import Film, LayerSeries, Timeline
from reportgen.compare.weights import Filters, is_weight, moved
from reportgen.errors import OptionError
from reportgen.report.blocks import Heatmap
from reportgen.report.records import Image, Layer, Report


def timeline(
    reports: Sequence[Given],
    kept: Sequence[Mapping[str, Filters]],
    *,
    same_input: bool,
    image: str,
) -> Timeline:
    """What can be followed over all reports.

    Args:
        reports: at least three, in order.
        kept: the weights that each holds.
        same_input: whether all networks were given the same pixels.
        image: path or name of the image on the film strip; empty for the one that changed most.

    Raises:
        OptionError: if `image` is none that all reports have.
    """
    keys = [image_keys(given.report) for given in reports]
    shared = [key for key in keys[0] if all(key in others for others in keys[1:])]
    film, problem = _film(keys, shared, same_input, image)
    if film and len({given.report.model.task for given in reports}) > 1:
        film, problem = None, "The networks give different kinds of outputs, which have no one map."
    weights = [_weights(given.report) for given in reports]
    names = [name for name in weights[0] if all(name in others for others in weights[1:])]
    return Timeline(
        images=len(shared),
        accuracy=tuple(accuracy([found[key] for key in shared]) for found in keys),
        dead_share=tuple(dead_share(given.report.layers) for given in reports),
        zero_share=tuple(_zero_share(given.report.layers) for given in reports),
        weight_norm=tuple(math.hypot(*found.values()) for found in weights),
        step_change=tuple(_step(one, other, names) for one, other in pairwise(kept)),
        layers=_layers(reports),
        film=film,
        film_problem=problem,
    )


def accuracy(images: Sequence[Image]) -> float | None:
    """Share of the labelled images whose most probable class is the true one."""
    labelled = [image for image in images if image.true_index is not None]
    return sum(map(is_right, labelled)) / len(labelled) if labelled else None


def dead_share(layers: Sequence[Layer]) -> float | None:
    """Of all units after a rectifier: never above zero on any image; None where some gave NaN."""
    if any(layer.nonfinite for layer in layers):
        return None
    rectified = [layer for layer in layers if layer.dead_filters is not None]
    units = sum(layer.units for layer in rectified)
    return sum(layer.dead_filters or 0 for layer in rectified) / units if units else None


def _zero_share(layers: Sequence[Layer]) -> float | None:
    """Of all activations after rectifiers: exactly zero."""
    sizes = [
        (layer.zero_fraction, math.prod(layer.output_shape))
        for layer in layers
        if layer.dead_filters is not None and layer.zero_fraction is not None
    ]
    values = sum(size for _, size in sizes)
    return sum(share * size for share, size in sizes) / values if values else None


def _weights(report: Report) -> dict[str, float]:
    """Norm of each weight of a convolution or linear layer, by name."""
    return {
        parameter.name: parameter.norm
        for parameter in report.parameters
        if is_weight(parameter.name, parameter.shape)
    }


def _step(
    one: Mapping[str, Filters], other: Mapping[str, Filters], names: Sequence[str]
) -> float | None:
    """Relative change of these weights together; None where one of them cannot be compared."""
    far, size = 0.0, 0.0
    for name in names:
        found = moved(one[name], other[name]) if name in one and name in other else None
        if found is None or found.change is None:
            return None
        norm = float(np.square(one[name].norms.astype(np.float64)).sum())
        far, size = far + found.change**2 * norm, size + norm
    return math.sqrt(far / size) if size else None


def _layers(reports: Sequence[Given]) -> tuple[LayerSeries, ...]:
    """Layers that all reports have and that are rectified or have weights."""
    by_title = [{layer.title: layer for layer in given.report.layers} for given in reports]
    norms = [_weights(given.report) for given in reports]
    series = []
    for title in by_title[0]:
        if not all(title in found for found in by_title):
            continue
        calls = [found[title] for found in by_title]
        dead = tuple(dead_share([call]) for call in calls)
        norm = tuple(
            found.get(f"{call.name}.weight") for found, call in zip(norms, calls, strict=True)
        )
        if any(value is not None for value in (*dead, *norm)):
            zero = tuple(
                None if share is None else call.zero_fraction
                for call, share in zip(calls, dead, strict=True)
            )
            series.append(LayerSeries(title, dead, zero, norm))
    return tuple(series)


def _film(
    keys: Sequence[Mapping[Key, Image]], shared: Sequence[Key], same_input: bool, image: str
) -> tuple[Film | None, str]:
    """The film strip, or why there is none."""
    if image:
        shared = [_named(keys, shared, image)]
    if not same_input:
        return None, "The images were prepared differently, so their maps cannot be compared."
    strips = [found for key in shared if (found := _strip([images[key] for images in keys]))]
    if not strips:
        which = f"{image} has no" if image else "No image has an"
        return None, f"{which} occlusion map of one class, made alike, in every report."
    return _framed(min(strips, key=_likeness), is_chosen=bool(image)), ""


def _named(keys: Sequence[Mapping[Key, Image]], shared: Sequence[Key], name: str) -> Key:
    """The image of this path, slug or file name.

    Raises:
        OptionError: if no image that all reports have is called so.
    """
    for key in shared:
        image = keys[0][key]
        if name in {image.path, image.slug, image.path.rsplit("/", 1)[-1]}:
            return key
    some = ", ".join(keys[0][key].path for key in shared[:3])
    there = f"there are {some}" + (" and others" if len(shared) > 3 else "") if some else "none is"
    raise OptionError(f"--image {name}: no image in all reports is called so; {there}.")


def _strip(images: Sequence[Image]) -> list[Image] | None:
    """The images if all have an occlusion map of one class, made alike."""
    panels = [image.panels.get("occlusion") for image in images]
    made = []
    for panel in panels:
        block = panel.blocks.get("probability") if panel else None
        if panel is None or not isinstance(block, Heatmap):
            return None
        settings = [panel.facts[key] for key in ("target", "window", "stride", "fill")]
        made.append((settings, block.values.shape))
    return list(images) if all(one == made[0] for one in made) else None


def _maps(images: Sequence[Image]) -> list[Heatmap]:
    blocks = [image.panels["occlusion"].blocks["probability"] for image in images]
    return [block for block in blocks if isinstance(block, Heatmap)]


def _correlations(images: Sequence[Image]) -> tuple[float | None, ...]:
    evidence = [bool(image.panels["occlusion"].facts["has_evidence"]) for image in images]
    maps = _maps(images)
    return tuple(
        spearman(maps[i].values, maps[i + 1].values) if evidence[i] and evidence[i + 1] else None
        for i in range(len(maps) - 1)
    )


def _likeness(images: Sequence[Image]) -> float:
    """Smallest correlation of a map with the one before; 2 where none is known."""
    return min((value for value in _correlations(images) if value is not None), default=2.0)


def _framed(images: Sequence[Image], *, is_chosen: bool) -> Film:
    facts = [image.panels["occlusion"].facts for image in images]
    probabilities = [fact["baseline_probability"] for fact in facts]
    return Film(
        path=images[0].path,
        label=str(facts[0]["label"]),
        is_chosen=is_chosen,
        correlations=_correlations(images),
        probabilities=tuple(float(p) for p in probabilities if isinstance(p, int | float)),
        frames=tuple(on_one_scale(_maps(images))),
    )
