"""Which class is explained for an image: the one asked for, else the true, else the predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from reportgen.analyses.study import Study
from reportgen.analyses.subjects import label_of
from reportgen.errors import OptionError
from reportgen.options import Task
from reportgen.report.records import Image, Prediction


@dataclass(frozen=True)
class Target:
    """The class that is explained, and why this one."""

    index: int
    label: str
    source: str


def targets(study: Study) -> dict[int, Target]:
    """The class that is explained, by index of the pictured image.

    Raises:
        OptionError: if `--target` asks for a class that there is not.
    """
    chosen = target_index(study.options.target, study.labels)
    return {
        index: target_of(study.image_records[index], chosen, study.labels, study.evidence.task)
        for index in study.pictured
    }


def target_index(target: str, labels: Sequence[str], asked: str = "") -> int | None:
    """The class that `--target` asks for by name or index; None where it asks for none.

    Args:
        target: name or index, or empty.
        labels: one name per class.
        asked: how the user put it, where that was not `--target`.

    Raises:
        OptionError: if there is no such class.
    """
    if not target:
        return None
    folded = [label.casefold() for label in labels]
    for known, wanted in ((list(labels), target), (folded, target.casefold())):
        if wanted in known:
            return known.index(wanted)
    if target.isdecimal() and int(target) < len(labels):
        return int(target)
    near = get_close_matches(target.casefold(), folded, n=3, cutoff=0.5)
    close = ", ".join(labels[folded.index(name)] for name in near)
    hint = f"The nearest: {close}." if close else f"Use a name, or 0 to {len(labels) - 1}."
    raise OptionError(f"{asked or f'--target {target}'}: there is no such class. {hint}")


def target_of(
    image: Image, chosen: int | None, labels: Sequence[str], task: Task = "classify"
) -> Target:
    """The class to explain for one image: the one asked for, else the true, else the predicted.

    Of values, the first. Of classes that share the image, the largest that is no background.
    """
    if chosen is not None:
        return Target(chosen, label_of(labels, chosen), "--target")
    if image.true_index is not None:
        return Target(image.true_index, label_of(labels, image.true_index), "true class")
    first = image.predictions[0]
    if task == "regress":
        return Target(first.index, first.label, "first output")
    if task == "segment":
        others = [guess for guess in image.predictions if not _is_background(guess.label)]
        if others and others[0] is not first:
            return Target(others[0].index, others[0].label, "largest class beside the background")
    return Target(first.index, first.label, "predicted class")


def _is_background(label: str) -> bool:
    return label.strip("_ ").casefold() == "background"


def runner_up(image: Image, target: Target) -> Prediction | None:
    """The most probable class but for the target; None where there is no other, nor of values."""
    others = (guess for guess in image.predictions if guess.index != target.index)
    return next((guess for guess in others if guess.probability is not None), None)
