"""Which images get a page where not all do: by a rule that is stated, from the answers.

Half of the pages are spread over the images whatever the network says of them, so that reports of
two networks show the same ones; the others show where it is wrong, in doubt and sure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from reportgen.load.image_set import ImageSet
from reportgen.options import Options
from reportgen.probe.evidence import Answer, Evidence
from reportgen.probe.probe import Probe


def with_pictures(
    probe: Probe,
    images: ImageSet,
    evidence: Evidence,
    truth: Sequence[int | None],
    options: Options,
) -> tuple[ImageSet, Evidence]:
    """The same with some images chosen that get a page, why, and pictures of what they do inside.

    Which they are follows from the answers, so these few go through the network once more.
    """
    answers = () if evidence.task in ("regress", "detect") else evidence.answers
    chosen = chosen_images(answers, truth, options.max_images)
    indices = list(chosen)
    again = probe.collect(
        partial(images.batches_of, indices),
        len(indices),
        range(len(indices)),
        keep_arrays=options.save_arrays,
        layers=options.layers,
        task=options.task,
        traced=probe.traced,
    )
    probe.gives_probabilities, probe.task = evidence.gives_probabilities, evidence.task
    files = tuple(
        replace(file, notes=(*file.notes, chosen[index])) if index in chosen else file
        for index, file in enumerate(images.files)
    )
    choice = rule(answers, truth, options.max_images)
    pictures = {index: again.pictures[place] for place, index in enumerate(indices)}
    return replace(images, files=files, choice=choice), replace(evidence, pictures=pictures)


def chosen_images(
    answers: Sequence[Answer], truth: Sequence[int | None], most: int
) -> Mapping[int, str]:
    """The images that get a page, by index, each with one sentence that says why.

    Args:
        answers: one an image; none where they have no probability.
        truth: index of the class of each, where it is known.
        most: pages, fewer than there are images.
    """
    spread = (most + 1) // 2 if answers else most
    chosen = dict(_by_class(truth, spread) if _classes(truth) else _by_place(len(truth), spread))
    kinds = [iter(kind) for kind in _kinds(answers, truth)]
    while kinds and len(chosen) < most:
        kind = kinds.pop(0)
        found = next((place for place in kind if place[0] not in chosen), None)
        if found is not None:
            chosen[found[0]] = found[1]
            kinds.append(kind)
    # Where fewer have an answer, the others follow as they come.
    rest = (index for index in range(len(truth)) if index not in chosen)
    for _, index in zip(range(most - len(chosen)), rest, strict=False):
        chosen[index] = "Chosen for a page to fill their number."
    return {index: chosen[index] for index in sorted(chosen)}


def rule(answers: Sequence[Answer], truth: Sequence[int | None], most: int) -> str:
    """The rule in words, for a report on these images."""
    if not answers:
        return (
            f"{most:,} of {len(truth):,} images have a page, evenly spaced in their order: the "
            "network gives no probabilities to choose by."
        )
    spread, over, kinds = (most + 1) // 2, "images in their order", ""
    if classes := _classes(truth):
        over = f"{len(classes):,} classes, the first image of each first"
        kinds = "the worst mistake (the highest probability of a wrong class), "
    return (
        f"{most:,} of {len(truth):,} images have a page, which says why: {spread:,} are "
        f"spread over the {over}; the others are, in turn, {kinds}the least confident and the most "
        "confident answer that is left. Of equals the first in order is taken."
    )


def _classes(truth: Sequence[int | None]) -> list[int]:
    return sorted({true for true in truth if true is not None})


def _by_place(count: int, most: int) -> Iterator[tuple[int, str]]:
    """Evenly spaced images."""
    for at in range(most):
        yield at * count // most, "Chosen for a page among images evenly spaced in their order."


def _by_class(truth: Sequence[int | None], most: int) -> Iterator[tuple[int, str]]:
    """The first image of each class, of evenly spaced ones if there are more; then the second."""
    classes = _classes(truth)
    of: dict[int, list[int]] = {true: [] for true in classes}
    for index, true in enumerate(truth):
        if true is not None:
            of[true].append(index)
    if len(classes) > most:
        classes = [classes[at * len(classes) // most] for at in range(most)]
    rows = max(map(len, of.values()))
    places = (of[true][row] for row in range(rows) for true in classes if row < len(of[true]))
    for _, index in zip(range(most), places, strict=False):
        yield index, "Chosen for a page as one of the first images of its class."


def _kinds(
    answers: Sequence[Answer], truth: Sequence[int | None]
) -> Iterator[Sequence[tuple[int, str]]]:
    """Mistakes, doubts and certainties, each list with the strongest first."""
    known = [index for index, answer in enumerate(answers) if len(answer.classes)]
    sure = {index: float(answers[index].probabilities[0]) for index in known}
    wrong = [i for i in known if truth[i] is not None and answers[i].classes[0] != truth[i]]
    for what, which, sign in (
        ("worst mistakes", wrong, -1),
        ("least confident answers", known, 1),
        ("most confident answers", known, -1),
    ):
        ranked = sorted((sign * sure[index], index) for index in which)
        yield [(i, f"Chosen for a page as one of the {what}: {sure[i]:.1%}.") for _, i in ranked]
