"""Where in an image the evidence for a class lies: class activation maps, layer by layer."""

from collections.abc import Sequence

import numpy as np
import torch

from reportgen.analyses.agreement import occlusion_correlation
from reportgen.analyses.answers import seen_photo
from reportgen.analyses.cams import as_maps, grad_cam, hires_cam, layer_cam
from reportgen.analyses.class_maps import Head, class_map, heads_of
from reportgen.analyses.gradcam_findings import (
    NO_EVIDENCE,
    RULES,
    Explained,
    Map,
    cam_findings,
)
from reportgen.analyses.methods import MapOf, Method
from reportgen.analyses.stages import Stage, Stages, stage_named, stages_until
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.targets import Target, runner_up, targets
from reportgen.analyses.token_stages import stages_in
from reportgen.figures.placing import smooth
from reportgen.probe.probe import Probe
from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Heatmap, Photo
from reportgen.report.places import place_of
from reportgen.report.records import Fact, Image, Panel

PALE = 10 * NO_EVIDENCE
"The colours of a map without evidence reach no lower than this, so that it looks empty."


def run(study: Study) -> Outcome:
    """One panel per pictured image with a finite answer."""
    prepared = study.images.preprocessing
    size = (prepared.height, prepared.width)
    wanted = targets(study)
    found = stages_in(study)
    heads = heads_of(study, found)
    stages = _asked_for(study, found)
    pictured = study.pictured
    panels, seen = {}, []
    for done, index in enumerate(pictured, 1):
        image = study.image_records[index]
        target = wanted[index]
        maps, head = (
            _maps(study, index, target, stages.found, heads) if stages.found else ((), None)
        )
        if all(np.isfinite(made.values).all() for made in maps) and maps:
            agreement = _agreement(study, image, target, maps[0], size)
            explained = Explained(image, target, runner_up(image, target), maps, head, agreement)
            seen.append(explained)
            panels[image.slug] = _panel(study, explained, seen_photo(study, index))
        else:
            problem = stages.problem or (
                "The slope of the score is not finite, so there is no map."
                if maps
                else f"No gradient comes by {stages.found[-1].call.key}, so there is no map."
            )
            panels[image.slug] = Panel({**_named(target), "problem": problem})
        if study.progress is not None:
            study.progress(done, len(pictured))
    return Outcome(panels, cam_findings(seen, has_logits=not study.evidence.gives_probabilities))


def _asked_for(study: Study, stages: Stages) -> Stages:
    """The stages up to the layer that `--cam-layer` names, which then is the last."""
    if not study.options.cam_layer:
        return stages
    prepared, calls = study.images.preprocessing, study.evidence.calls
    size = (prepared.height, prepared.width)
    return stages_until(stages, stage_named(calls, study.options.cam_layer, size), calls)


def _named(target: Target) -> dict[str, Fact]:
    return {"target": target.index, "label": target.label, "target_source": target.source}


def _maps(
    study: Study, index: int, target: Target, stages: Sequence[Stage], heads: Sequence[Head]
) -> tuple[tuple[Map, ...], Head | None]:
    """All maps of one image, from one forward pass and one backward pass a class."""
    rival = runner_up(study.image_records[index], target)
    classes = [target.index] + ([rival.index] if rival else [])
    image = study.images.normalise(study.images.pixels(index))
    spots = [stage.spot for stage in (*stages, *(head.stage for head in heads))]
    slopes = study.probe.slopes(image, spots, classes)
    last = stages[-1]
    if last.spot not in slopes:
        return (), None
    made = []

    def add(name: str, method: str, stage: Stage, of: int = 0) -> None:
        found = slopes[stage.spot]
        values = _METHODS[method](as_maps(found.values, stage), as_maps(found.gradients[of], stage))
        label = rival.label if of and rival else target.label
        made.append(Map(name, method, label, stage, values.astype(np.float32)))

    add("gradcam", "Grad-CAM", last)
    if rival is not None:
        add("rival", "Grad-CAM", last, of=1)
    add("layercam", "LayerCAM", last)
    add("hirescam", "HiResCAM", last)
    for number, stage in enumerate(stages[:-1], 1):
        if stage.spot in slopes:
            add(f"stage_{number}", "Grad-CAM", stage)
    found = class_map(heads, slopes, study.image_records[index].predictions, target.index)
    if found is None:
        return tuple(made), None
    head, values = found
    made.append(Map("cam", "CAM", target.label, head.stage, values.astype(np.float32)))
    return tuple(made), head


_METHODS = {"Grad-CAM": grad_cam, "LayerCAM": layer_cam, "HiResCAM": hires_cam}


def _agreement(
    study: Study, image: Image, target: Target, made: Map, size: tuple[int, int]
) -> float | None:
    """Rank correlation of a map, before its last ReLU, with the drops that occlusion measured."""
    if not made.has_evidence:
        return None
    return occlusion_correlation(study, image, smooth(made.values, made.stage.middles, size))


def _panel(study: Study, explained: Explained, photo: Photo) -> Panel:
    maps, rival = explained.maps, explained.rival
    first = maps[0]
    row, column = divmod(int(first.values.argmax()), first.values.shape[1])
    layer_of = study.layer_of
    score = study.score
    centre = _centre(first, (row, column), (photo.pixels.height, photo.pixels.width))
    facts: dict[str, Fact] = {
        **_named(explained.target),
        "problem": "",
        "score": score,
        "runner_up": rival.index if rival else None,
        "runner_up_label": rival.label if rival else None,
        "maps": tuple(made.name for made in maps),
        "methods": tuple(made.method for made in maps),
        "layers": tuple(layer_of[made.stage.call.key].slug for made in maps),
        "sides": tuple(made.stage.spot.side for made in maps),
        "low": tuple(float(made.values.min()) for made in maps),
        "high": tuple(float(made.values.max()) for made in maps),
        "positive": tuple(made.positive for made in maps),
        "has_evidence": first.has_evidence,
        "peak_row": row,
        "peak_column": column,
        "peak_place": place_of(centre),
        "occlusion_correlation": explained.agreement,
        "is_chosen": bool(study.options.cam_layer),
        "cam_head": explained.head.kind if explained.head else None,
        "cam_layer": explained.head.layer if explained.head else None,
        "cam_gap": _cam_gap(explained),
    }
    pair = [made for made in maps if made.name in ("gradcam", "rival")]
    largest = max(float(made.values.max(initial=0.0)) for made in pair)
    shared = largest if first.has_evidence else max(largest, PALE)
    blocks = {
        made.name: _block(
            made, photo, score, shared if made in pair else 0.0 if made.has_evidence else PALE
        )
        for made in maps
    }
    return Panel(facts, {made.name: made.values for made in maps}, blocks)


def _cam_gap(explained: Explained) -> float | None:
    """How far Grad-CAM times the number of positions is from CAM, as a share of its size."""
    first, cam = explained.maps[0].values, explained.maps[-1].values
    if explained.head is None or first.shape != cam.shape:
        return None
    largest = float(np.abs(cam).max())
    return float(np.abs(first * first.size - cam).max()) / largest if largest else None


def _centre(made: Map, cell: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """Where a cell lies, down and across, as a share of the image."""
    ends = zip(*made.stage.middles, made.stage.grid, size, cell, strict=True)
    down, across = (
        min(max((first + (last - first) * at / max(count - 1, 1) + 0.5) / pixels, 0.0), 1.0)
        for first, last, count, pixels, at in ends
    )
    return down, across


def _block(made: Map, photo: Photo, score: str, least: float) -> Heatmap:
    """How a map is drawn, on a scale that ends at `least` or beyond."""
    rows, columns = made.stage.grid
    side = "what it gives" if made.stage.spot.side == "output" else "what it reads"
    where = f"{made.stage.call.key} ({side})"
    low, high = float(made.values.min()), float(made.values.max())
    step = (max(1, photo.pixels.height // rows), max(1, photo.pixels.width // columns))
    return Heatmap(
        values=made.values,
        title=f"{made.label}: {made.method} at {made.stage.call.key}",
        unit=f"{made.method}, {score}",
        signed=False,
        over=photo,
        alt=f"{made.method} for {made.label} at {where}, {rows} x {columns} positions, from "
        f"{low:.3g} to {high:.3g}" + ("." if made.has_evidence else ": no positive evidence."),
        caption=f"{made.method} for {made.label} at {where}, {rows} x {columns} positions; raw "
        f"values from {low:.3g} to {high:.3g} in {score}, of which those above zero are shown.",
        window=step,
        stride=step,
        maximum=least or None,
        middles=made.stage.middles,
        for_print=made.name == "gradcam",
    )


def _map_of(method: str) -> MapOf:
    """The map of the explained class at the last layer with maps, before its last ReLU."""

    def map_of(study: Study, probe: Probe, image: torch.Tensor, target: int) -> FloatArray | None:
        prepared = study.images.preprocessing
        stages = _asked_for(study, stages_in(study)).found
        slopes = probe.slopes(image, [stages[-1].spot], [target]) if stages else {}
        if not slopes:
            return None
        found, last = slopes[stages[-1].spot], stages[-1]
        values = _METHODS[method](as_maps(found.values, last), as_maps(found.gradients[0], last))
        return smooth(values, last.middles, (prepared.height, prepared.width))

    return map_of


METHODS = tuple(
    Method(method.lower().replace("-", ""), method, "gradcam", _map_of(method), passes=3)
    for method in _METHODS
)

ANALYSIS = Analysis(
    name="gradcam",
    title="Class activation maps",
    place="image",
    run=run,
    needs=("score", "picture"),
    rules=RULES,
    references=(
        "Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM: Visual Explanations from "
        "Deep Networks via Gradient-based Localization. ICCV, 2017.",
        "Jiang, Zhang, Hou, Cheng, Wei: LayerCAM: Exploring Hierarchical Class Activation Maps for "
        "Localization. IEEE Transactions on Image Processing 30, 2021.",
        "Draelos, Carin: Use HiResCAM instead of Grad-CAM for faithful explanations of "
        "convolutional neural networks. arXiv:2011.08891, 2020.",
        "Zhou, Khosla, Lapedriza, Oliva, Torralba: Learning Deep Features for Discriminative "
        "Localization. CVPR, 2016.",
    ),
)
