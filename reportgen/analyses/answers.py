"""What the network saw and said: the input beside the file, the answer, the maps in between."""

from collections.abc import Iterator, Sequence
from math import comb

import numpy as np
import torch

from reportgen.analyses.findings import counted, few, percent
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import is_right
from reportgen.analyses.units import is_deep
from reportgen.load.bands import shown_bands
from reportgen.probe.evidence import MapPicture
from reportgen.report.arrays import ByteArray, Pixels
from reportgen.report.blocks import Block, MapStrip, Photo
from reportgen.report.places import middle_slice, place_of
from reportgen.report.records import Fact, Finding, Image, Panel, Rule, Severity

THUMBNAIL = 256
"Longest side of a file's thumbnail, in pixels."

SMALL = 20_000
"Values up to which a photo is shown without loss everywhere."

DEEP_MAPS = 48
"Mean maps of an image of a deep network, evenly over its layers."

CONFIDENT = 0.8
UNSURE = 0.3
ENOUGH_LABELLED = 10
CHANCE_LEVEL = 0.05


def run(study: Study) -> Outcome:
    """One panel per pictured image; findings over all images."""
    panels = {
        study.image_records[index].slug: _panel(study, index)
        for index in sorted(study.evidence.pictures)
    }
    return Outcome(panels, tuple(_findings(study)))


def _panel(study: Study, index: int) -> Panel:
    image = study.image_records[index]
    rank, probability = _true_place(study, index)
    file = study.images.thumbnail(index, THUMBNAIL)
    blocks: dict[str, Block] = {
        "seen": _exact_photo(study, index),
        "small": seen_photo(study, index),
        "file": Photo(
            Pixels.lossy(file, f"{image.slug}-file"),
            f"The file {image.path}.",
            f"{image.path}, {image.height} x {image.width} pixels.",
        ),
    }
    maps, of = _depth(study, index)
    if maps.maps:
        blocks["depth"] = maps
    facts: dict[str, Fact] = {"target_rank": rank, "true_probability": probability}
    if maps.maps:
        facts["depth_layers"] = of
        facts["depth_peaks"] = tuple(peak_place(*drawn[1:]) for drawn in maps.maps)
    return Panel(facts=facts, blocks=blocks)


def _true_place(study: Study, index: int) -> tuple[int | None, float | None]:
    """Rank, from 1, and probability of an image's true class; the network is asked where needed."""
    image = study.image_records[index]
    if image.true_index is None or not image.predictions:
        return None, None
    for rank, prediction in enumerate(image.predictions, 1):
        if prediction.index == image.true_index:
            return rank, prediction.probability
    logits = study.probe.logits(study.images.normalise(study.images.pixels(index)[None]))
    chances = study.probe.probabilities(logits)[0]
    own = chances[image.true_index]
    return 1 + int(np.count_nonzero(chances > own)), float(own)


def _exact_photo(study: Study, index: int) -> Photo:
    """Image `index` as the network saw it, before normalisation, level by level."""
    picture = eight_bit(study.images.pixels(index))
    return _photo(study, index, Pixels.photo(picture, f"{study.image_records[index].slug}-seen"))


def seen_photo(study: Study, index: int) -> Photo:
    """The same as it stands in lists and below maps: where it is large, in a tenth of the bytes."""
    picture = eight_bit(study.images.pixels(index))
    if picture.nbytes <= SMALL:
        return _exact_photo(study, index)
    return _photo(study, index, Pixels.lossy(picture, f"{study.image_records[index].slug}-small"))


def _photo(study: Study, index: int, pixels: Pixels) -> Photo:
    return Photo(
        pixels,
        f"{study.image_records[index].path} as the network saw it.",
        f"As the network saw it, {pixels.height} x {pixels.width} pixels, normalisation undone.",
    )


def eight_bit(pixels: torch.Tensor) -> ByteArray:
    """Pixels (c h w) in [0, 1] as (h w) or (h w 3); see `shown_bands` for other counts.

    Of a volume (c slices h w) it is the middle slice.
    """
    if pixels.ndim == 4:
        pixels = pixels[:, middle_slice(pixels.shape[1])]
    values = shown_bands((pixels.clamp(0, 1) * 255).round().to(torch.uint8).numpy())
    if len(values) == 3:
        colour: ByteArray = np.ascontiguousarray(values.transpose(1, 2, 0))
        return colour
    grey: ByteArray = values[0]
    return grey


def _depth(study: Study, index: int) -> tuple[MapStrip, int]:
    """Mean maps over the depth, and of how many layers there are some.

    The first image, whose maps stand for the layers in their list, has all of them.
    """
    pictures = study.evidence.pictures[index]
    layer_of = study.layer_of
    maps = tuple(
        (layer.slug, picture.mean_map, picture.mean_low, picture.mean_high)
        for key, layer in layer_of.items()
        if isinstance(picture := pictures.get(key), MapPicture)
    )
    of = len(maps)
    if is_deep(of) and index != min(study.evidence.pictures):
        maps = tuple(maps[k * (of - 1) // (DEEP_MAPS - 1)] for k in range(DEEP_MAPS))
    path = study.image_records[index].path
    strip = MapStrip(
        maps,
        f"Mean feature map of {counted(len(maps), 'layer')} for {path}, in execution order.",
        "Mean over the channels of each layer, in execution order; each map on its own scale.",
    )
    return strip, of


def peak_place(pixels: Pixels, low: float, high: float) -> str:
    """Where the levels of a map are highest, the first of several places; empty where flat."""
    if not high > low:  # nor where no value is finite
        return ""
    row, column = divmod(int(pixels.values().argmax()), pixels.width)
    return place_of(((row + 0.5) / pixels.height, (column + 0.5) / pixels.width))


def _findings(study: Study) -> Iterator[Finding]:
    records = study.image_records
    labelled = [image for image in records if image.true_index is not None]
    index = "images/index.html"
    if study.evidence.classes:
        yield from few(tuple(_no_answer(records)), "image", index)
    if study.evidence.task == "classify":
        yield from _chance(labelled, study.evidence.classes)
        yield from _one_answer(labelled)
        yield from few(tuple(_confident_mistakes(labelled)), "image", index)
        yield from few(tuple(_unsure(records, study.evidence.classes)), "image", index)
    if not study.evidence.is_deterministic:
        text = "Two passes of the same image disagree: the network draws random numbers in eval "
        text += "mode, so every number here is one draw of many; another --seed gives another."
        yield Finding("warning", "stochastic-forward", text, index)
    if study.images.preprocessing.is_assumed:
        text = f"The preprocessing is an assumption: {study.images.preprocessing.source}"
        yield Finding("info", "assumed-preprocessing", f"{text.rstrip('.')}.", "about.html")


def _no_answer(records: Sequence[Image]) -> Iterator[Finding]:
    for image in records:
        if not image.predictions:
            text = f"{image.path} gets no answer: the network comes to NaN or infinite values."
            yield Finding("error", "non-finite-output", text, image_link(image))


def _chance(labelled: Sequence[Image], classes: int) -> Iterator[Finding]:
    answered = [image for image in labelled if image.predictions]
    right, n = sum(is_right(image) for image in answered), len(answered)
    if n >= ENOUGH_LABELLED and classes > 1 and luck(right, n, 1 / classes) > CHANCE_LEVEL:
        text = f"{right:,} of {n:,} labelled images are right ({percent(right / n)}), hardly more "
        text += f"than by guessing among {classes:,} classes. Check the order of the classes and "
        text += "the preprocessing."
        severity: Severity = "error" if right <= n / classes else "warning"
        yield Finding(severity, "chance-accuracy", text, "images/index.html")


def luck(right: int, n: int, chance: float) -> float:
    """Probability of `right` or more right answers out of `n` by guessing (binomial tail)."""
    tail = (comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(right, n + 1))
    return sum(tail)


def _one_answer(labelled: Sequence[Image]) -> Iterator[Finding]:
    answers = {image.predictions[0].label for image in labelled if image.predictions}
    truths = {image.true_index for image in labelled}
    if len(labelled) >= ENOUGH_LABELLED and len(answers) == 1 and len(truths) > 1:
        text = f"All {len(labelled):,} labelled images get one answer, {answers.pop()}, though "
        text += f"they are of {len(truths):,} classes."
        yield Finding("error", "one-answer", text, "images/index.html")


def _confident_mistakes(labelled: Sequence[Image]) -> Iterator[Finding]:
    wrong = [image for image in labelled if not is_right(image) and _surety(image) > CONFIDENT]
    for image in sorted(wrong, key=lambda image: -_surety(image)):
        said = image.predictions[0].label
        text = f"{image.path} is {image.true_class}, but the network says {said} with "
        text += f"{percent(_surety(image))}."
        yield Finding("warning", "confident-mistakes", text, image_link(image))


def _unsure(records: Sequence[Image], classes: int) -> Iterator[Finding]:
    bar = max(UNSURE, 1.2 / max(classes, 1))
    answered = [image for image in records if image.predictions]
    for image in sorted(answered, key=_surety):
        # Of one class there is no best: a single score says how much, not which.
        if _surety(image) < bar and classes > 1:
            text = f"{image.path}: the best answer, {image.predictions[0].label}, has only "
            text += f"{percent(_surety(image))}."
            yield Finding("info", "low-confidence", text, image_link(image))


def _surety(image: Image) -> float:
    """Probability of the answer; zero where there is none."""
    return (image.predictions[0].probability if image.predictions else None) or 0.0


def image_link(image: Image, anchor: str = "") -> str:
    """Address of an image's page, or of the list of images where it has none."""
    if not image.is_pictured:
        return "images/index.html"
    return f"images/{image.slug}.html" + (f"#{anchor}" if anchor else "")


ANALYSIS = Analysis(
    name="answers",
    title="Predictions",
    place="image",
    run=run,
    rules=(
        Rule(
            "non-finite-output",
            "Error: a layer's or the network's output for an image holds NaN or infinite values, "
            "so no answer is taken from it.",
        ),
        Rule(
            "chance-accuracy",
            "Warning: with 10 or more labelled images, guessing would do as well with a "
            "probability above 5 % (binomial tail); error: no better than one in as many as there "
            "are classes.",
        ),
        Rule(
            "one-answer",
            "Error: 10 or more labelled images of several classes all get the same answer.",
        ),
        Rule("confident-mistakes", "Warning: a wrong answer with a probability above 80 %."),
        Rule(
            "low-confidence",
            "Info: the most probable class has less than 30 %, or less than 1.2 times chance where "
            "that is more.",
        ),
        Rule("stochastic-forward", "Warning: two forward passes of one image disagree."),
        Rule("assumed-preprocessing", "Info: how images were prepared in training is not known."),
    ),
)
