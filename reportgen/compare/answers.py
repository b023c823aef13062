"""What a network said of an image, by its task: one class, several, values or boxes."""

from collections.abc import Sequence

from reportgen.compare.records import Comparison, ImageChange
from reportgen.report.records import Image, Model, Prediction
from reportgen.report.tasks import GIVES, SAID, chooses_none

OUTCOMES = {
    "broken": "newly wrong",
    "corrected": "corrected",
    "changed": "changed",
    "same": "same",
    "unknown": "finite in neither",
}
"What became of an answer, in words."


def said(model: Model, image: Image) -> tuple[Prediction, ...]:
    """The most probable class; all above one half where several may hold; all values."""
    if model.task == "regress":
        return image.predictions
    if chooses_none(model.task, model.classes):
        return tuple(one for one in image.predictions if (one.probability or 0) > SAID)
    return image.predictions[:1]


def in_words(task: str, answer: Prediction | None, all_said: Sequence[Prediction]) -> str:
    """`cat`; `cat, dog` or `no class` of several; `age 31.2` of values.

    Args:
        task: of the network.
        answer: the first it gives; None where none is finite.
        all_said: what `said` gave.
    """
    if task == "detect":
        return "boxes"
    if answer is None:
        return "not finite"
    if task == "regress":
        return ", ".join(f"{one.label} {one.logit:.4g}" for one in all_said)
    return ", ".join(one.label for one in all_said) or "no class"


def outcome(made: Comparison, image: ImageChange) -> str:
    """What became of the answer to an image, in words."""
    if made.outputs == "values" and (image.answer_a or image.answer_b):
        return "same values" if image.said_a == image.said_b else "other values"
    return OUTCOMES[image.outcome] if made.outputs in ("answers", "values") else "not compared"


def other_outputs(made: Comparison) -> str:
    """What there is to say of values, of boxes, and of outputs of two kinds, without a stop."""
    first, last = made.subjects[0], made.subjects[-1]
    if made.outputs == "values":
        images = f"the {(n := len(made.images)):,} image{'' if n == 1 else 's'} that both saw"
        other = sum(image.said_a != image.said_b for image in made.images)
        head = f"values of {other:,} of" if other else "no value of"
        return f"{head} {images} changed"
    if made.outputs == "boxes":
        return "both networks give boxes, which are not compared"
    one, other_kind = (f"{GIVES.get(x.task, x.task)} ({x.name})" for x in (first, last))
    return f"the networks give {one} and {other_kind}, so answers are not compared"
