"""Which parts of an image the answer needs: each is hidden in turn, and the loss is measured."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.analyses.answers import seen_photo
from reportgen.analyses.methods import Method
from reportgen.analyses.occlusion_findings import (
    NO_EFFECT,
    RULES,
    Hidden,
    occlusion_findings,
)
from reportgen.analyses.occlusion_results import help_with, results, window_and_stride
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.targets import Target, targets
from reportgen.figures.placing import covers
from reportgen.load.preprocessing import denormalise
from reportgen.options import Engine, Fill
from reportgen.probe.occlusion.occlude import OcclusionResult, occlusion
from reportgen.probe.occlusion.places import fill_image
from reportgen.probe.probe import Probe
from reportgen.report.arrays import Array, FloatArray
from reportgen.report.blocks import Block, Heatmap, Photo
from reportgen.report.places import place_of
from reportgen.report.records import Fact, Image, Panel
from reportgen.report.tasks import SAID, chooses_none

ROUNDING = 1e-6
"Share of the clean probability up to which a drop may be rounding."


def run(study: Study) -> Outcome:
    """One panel per pictured image with a finite answer."""
    prepared, explained = study.images.preprocessing, targets(study)
    size = (prepared.height, prepared.width)
    window, stride = window_and_stride(study.options, size)
    panels, seen = {}, []
    for index, rows in zip(study.pictured, results(study), strict=True):
        image, result = study.image_records[index], OcclusionResult.of_rows(rows)
        if np.isfinite(result.probability_drop).any():
            hidden = _hidden(image, explained[index], result, window, stride, size)
            if chooses_none(study.evidence.task, study.evidence.classes):
                hidden = replace(hidden, flips=_crossings(result))
            seen.append(hidden)
            panels[image.slug] = _panel(study, hidden, seen_photo(study, index), window, stride)
    return Outcome(panels, occlusion_findings(seen))


def _hidden(
    image: Image,
    target: Target,
    result: OcclusionResult,
    window: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
) -> Hidden:
    drops = result.probability_drop
    row, column = divmod(int(np.nanargmax(drops)), drops.shape[1])
    # The last windows are cut off at the border, so their middle is that of what they hide.
    ends = [min(place * stride[i] + window[i], size[i]) for i, place in enumerate((row, column))]
    starts = (row * stride[0], column * stride[1])
    centre = tuple((starts[i] + ends[i]) / 2 / size[i] for i in (0, 1))
    flips = (result.answers >= 0) & (result.answers != image.predictions[0].index)
    return Hidden(image, target, result, flips, (row, column), (centre[0], centre[1]))


def _crossings(result: OcclusionResult) -> NDArray[np.bool_]:
    """Where the target is said with nothing hidden and not with the place hidden, or vice versa."""
    clean, drops = result.baseline_probability, result.probability_drop
    crosses: NDArray[np.bool_] = (clean - drops > SAID) != (clean > SAID)
    crosses &= np.isfinite(drops)
    return crosses


def _panel(
    study: Study,
    hidden: Hidden,
    photo: Photo,
    window: tuple[int, int],
    stride: tuple[int, int],
) -> Panel:
    result, target = hidden.result, hidden.target
    has_logits = not study.evidence.gives_probabilities
    facts: dict[str, Fact] = {
        "target": target.index,
        "label": target.label,
        "target_source": target.source,
        "window": window,
        "stride": stride,
        "fill": study.options.occlusion_fill,
        "baseline_probability": result.baseline_probability,
        "baseline_logit": result.baseline_logit if has_logits else None,
        "positions": result.probability_drop.size,
        "flips": int(hidden.flips.sum()),
        "peak_row": hidden.peak[0],
        "peak_column": hidden.peak[1],
        "peak_drop": hidden.drop,
        "peak_logit_drop": float(result.logit_drop[hidden.peak]) if has_logits else None,
        "peak_place": place_of(hidden.centre),
        "has_evidence": hidden.drop >= NO_EFFECT,
        "engine": result.run.used,
        "engine_asked": result.run.asked,
        "engine_reason": result.run.reason,
        "engine_precision": result.run.precision,
        "engine_agreement": result.run.agreement,
        "engine_sample": result.run.sample,
    }
    arrays: dict[str, Array] = {"array": result.probability_drop, "answers": result.answers}
    scores = [("probability", result.probability_drop)]
    if has_logits:
        arrays["logit_array"] = result.logit_drop
        scores.append(("logit", result.logit_drop))
    extreme = float(np.nanmax(np.abs(result.probability_drop)))
    blocks: dict[str, Block] = {}
    for score, drops in scores:
        blocks[score] = Heatmap(
            values=drops,
            title=f"{target.label}: drop in {score}",
            unit=score,
            signed=True,
            over=photo,
            alt=_alt(hidden, score, drops),
            caption=_caption(study, hidden, score, window, stride),
            window=window,
            stride=stride,
            marks=hidden.flips,
            # No more than the clean probability can be lost, so a weak map stays pale.
            maximum=max(result.baseline_probability, extreme) if score == "probability" else None,
            for_print=score == "probability",
        )
    return Panel(facts=facts, arrays=arrays, blocks=blocks)


def _alt(hidden: Hidden, score: str, drops: FloatArray) -> str:
    rows, columns = drops.shape
    return (
        f"Occlusion map of {hidden.image.path} for {hidden.target.label}, {rows} x {columns} "
        f"positions: the {score} drops by {float(np.nanmax(drops)):.3g} at most; the probability "
        f"most where the {place_of(hidden.centre)} is hidden."
    )


def _caption(
    study: Study,
    hidden: Hidden,
    score: str,
    window: tuple[int, int],
    stride: tuple[int, int],
) -> str:
    clean = hidden.result.baseline_probability
    is_alone = chooses_none(study.evidence.task, study.evidence.classes)
    outlined = "it crosses one half" if is_alone else "another class wins"
    return (
        f"Drop in {score} of {hidden.target.label} ({hidden.target.source}), clean minus occluded: "
        f"high means that hiding this place lowers it. Window {window[0]} x {window[1]}, stride "
        f"{stride[0]} x {stride[1]} pixels, fill {study.options.occlusion_fill}; clean probability "
        f"{clean:.3g}. Outlined: {outlined}."
    )


def shown_map(study: Study, index: int) -> FloatArray | None:
    """The drops in probability that the page of an image shows, as `over_pixels`."""
    occlusion = study.earlier.get("occlusion", Outcome()).panels.get(
        study.image_records[index].slug
    )
    block = occlusion.blocks["probability"] if occlusion else None
    if not isinstance(block, Heatmap):
        return None
    prepared = study.images.preprocessing
    return over_pixels(block.values, (prepared.height, prepared.width), block.window, block.stride)


def coarse_map(
    study: Study, probe: Probe, image: torch.Tensor, target: int, fill: Fill | None = None
) -> FloatArray:
    """Drops in probability for windows of a sixth of the shorter side that stand side by side.

    Args:
        study: whose preprocessing and fill are used.
        probe: of its network, or of one like it.
        image: normalised (c h w).
        target: index of the class.
        fill: of the windows; that of the study where it is None.

    Returns:
        (height width)
    """
    prepared = study.images.preprocessing
    pixels = denormalise(image, prepared)
    side = -(-min(prepared.height, prepared.width) // 6)
    filling = fill_image(pixels, fill or study.options.occlusion_fill, prepared.mean)
    window = (side, side)
    # Never fast: 36 windows are too few to check it on.
    engine: Engine = "plain" if study.options.occlusion_engine == "plain" else "exact"
    result = occlusion(
        probe, pixels, study.images.normalise, filling, window, window, target, engine=engine
    )
    drops = above_rounding(result.probability_drop, result.baseline_probability)
    return over_pixels(drops, (prepared.height, prepared.width), window, window)


def above_rounding(drops: FloatArray, clean: float) -> FloatArray:
    """Drops, with those that are a millionth of the clean probability, or less, set to zero.

    Where a forgotten network answers the same whatever is hidden, rounding alone is left, and a
    rank correlation would read an order into it.
    """
    return np.where(np.abs(drops) > ROUNDING * clean, drops, 0.0)


def over_pixels(
    drops: FloatArray, size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> FloatArray:
    """(height width): for each pixel the mean of the windows that cover it, as it is drawn."""
    down, across = (covers(size[i], drops.shape[i], window[i], stride[i]) for i in (0, 1))
    counts = down.sum(1)[:, None] * across.sum(1)[None, :]
    means: FloatArray = down @ drops.astype(np.float64) @ across.T / counts
    return means


METHODS = (
    Method(
        "occlusion",
        "Occlusion",
        "occlusion",
        coarse_map,
        passes=36,
        shown=shown_map,
        filled=coarse_map,
    ),
)

ANALYSIS = Analysis(
    name="occlusion",
    title="Occlusion",
    place="image",
    run=run,
    needs=("probability", "picture"),
    help_with=help_with,
    rules=RULES,
    references=(
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV, 2014.",
        "Nakandala, Kumar, Papakonstantinou: Incremental and Approximate Inference for Faster "
        "Occlusion-based Deep CNN Explanations. SIGMOD, 2019.",
    ),
)
