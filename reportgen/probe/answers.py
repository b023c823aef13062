"""From whatever a network returns to one score per class, probabilities and the best classes."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.options import Asked, Task
from reportgen.probe.answer_table import AnswerTable
from reportgen.probe.evidence import Answer, Call
from reportgen.probe.output import (
    Form,
    are_shares,
    boxes_in,
    described,
    leaves,
    map_in,
    share_scores,
)
from reportgen.report.tasks import SAID

TOP = 5
MOST = 20
"Classes, of which several may be said at once, or values that are kept for an image."


def logits_in(output: Any, images: int) -> torch.Tensor:
    """The scores (b classes) in a network's output, float32 on the CPU, without their gradient.

    Raises:
        ModelError: if there are none.
    """
    return scores_in(output, images).detach().float().cpu()


def scores_in(output: Any, images: int) -> torch.Tensor:
    """The scores (b classes) in a network's output, where they lie and as they are.

    They are the tensor itself, or the first (b classes) tensor in a tuple, a list, a mapping or a
    dataclass: GoogLeNet in training and many others return more than the scores. Of a map of scores
    for each class they are made (see `share_scores`); a network that gives boxes has no classes
    that could be told of a whole image, so that its scores are (b 0).

    Raises:
        ModelError: if there are none.
    """
    return _read(output, images)[1]


def form_of(output: Any, images: int) -> Form:
    """In which form a network gives its answer.

    Raises:
        ModelError: if in none that is known.
    """
    return _read(output, images)[0]


def _read(output: Any, images: int) -> tuple[Form, torch.Tensor]:
    """The form of an output and the scores (b classes) in it."""
    boxes = boxes_in(output, images)
    if boxes is not None:
        return "boxes", boxes.new_empty((images, 0), dtype=torch.float32)
    for tensor in leaves(output):
        scores = tensor
        if scores.ndim == 0 and images == 1 and tensor is output:
            # A single score without any axis. Beside other tensors it would be a loss.
            scores = scores[None]
        if scores.ndim == 1 and images == 1:
            # A network that squeezes loses the axis of a single image.
            scores = scores[None]
        elif scores.ndim == 1 and len(scores) == images:
            scores = scores[:, None]
        if scores.ndim > 2 and all(size == 1 for size in scores.shape[2:]):
            scores = scores.flatten(1)
        if scores.ndim == 2 and len(scores) == images and scores.is_floating_point():
            return "scores", scores
    maps = map_in(output, images)
    if maps is not None:
        return "maps", share_scores(maps)
    raise ModelError(
        f"The network gives {described(output)} for a batch of {images}, not one score per class. "
        "reportgen explains classifiers; wrap the network with --arch FILE.py:NAME so that it "
        "returns (images, classes)."
    )


def are_probabilities(logits: torch.Tensor, ends_in_sigmoid: bool) -> bool:
    """Whether all scores are probabilities: in [0, 1], and from a sigmoid or with rows of sum one.

    Args:
        logits: (b classes)
        ends_in_sigmoid: whether a sigmoid is the last that the network does.
    """
    if not bool((logits >= 0).all() and (logits <= 1).all()):
        return False
    return ends_in_sigmoid or are_shares(logits)


def probabilities(
    logits: torch.Tensor, gives_probabilities: bool, task: Task = "classify"
) -> NDArray[np.float64]:
    """Probability of every class (b classes), in float64: the softmax, or what the task asks for.

    A single score is that of the one class against the rest, so its probability is the sigmoid, as
    it is where several classes may hold at once. Of a value there is none: NaN.
    """
    scores = logits.double()
    if task == "regress":
        result = torch.full_like(scores, torch.nan)
    elif gives_probabilities:
        result = scores
    elif scores.shape[1] == 1 or task == "multilabel":
        result = scores.sigmoid()
    else:
        result = scores.softmax(1)
    values: NDArray[np.float64] = result.numpy()
    return values


def answers(
    logits: torch.Tensor, gives_probabilities: bool, task: Task = "classify"
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """What the network says of some images, at most `MOST` classes or values of each.

    Args:
        logits: (b classes), finite.
        gives_probabilities: whether `logits` are probabilities already.
        task: of the network.

    Returns:
        The classes, their probabilities and their scores, (b n) each.
    """
    # One by one: in a batch the last bit would depend on the place in it.
    rows = [probabilities(row[None], gives_probabilities, task) for row in logits]
    scores = logits.double().numpy()
    chances = np.concatenate(rows) if rows else scores
    count = min(scores.shape[1], MOST if task in ("multilabel", "regress") else TOP)
    if task == "regress":
        # Values stand in their own order.
        order = np.tile(np.arange(count), (len(scores), 1))
    else:
        order = _highest(scores, count)
    chances, scores = (np.take_along_axis(values, order, axis=1) for values in (chances, scores))
    return order, chances, scores


def _highest(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The classes (b count) of the highest finite scores (b classes); of equal ones the first."""
    left, order = scores.copy(), np.empty((len(scores), count), np.int64)
    for place in range(count):
        order[:, place] = left.argmax(axis=1)
        np.put_along_axis(left, order[:, place : place + 1], -np.inf, axis=1)
    return order


def task_of(asked: Asked, form: Form) -> Task:
    """The task that goes with the form of a network's output, as far as that can tell.

    Raises:
        OptionError: if another one was asked for.
    """
    found: Mapping[Form, Task] = {"maps": "segment", "boxes": "detect"}
    if form in found:
        if asked not in ("auto", found[form]):
            raise OptionError(f"--task {asked}: {_GIVES[form]}; leave --task out.")
        return found[form]
    if asked in ("segment", "detect"):
        raise OptionError(
            f"--task {asked}: {_GIVES[form]}; give classify, multilabel or regress, or leave "
            "--task out."
        )
    return "classify" if asked == "auto" else asked


_GIVES: Mapping[Form, str] = {
    "scores": "the network gives numbers for an image as a whole",
    "maps": "the network gives a map of scores for each class",
    "boxes": "the network gives boxes around objects",
}


class Answers:
    """Answers as they come; whether the outputs are probabilities is known only after the last.

    They lie in tables that are made once: small arrays, one image at a time between activations of
    many megabytes, would leave holes in the memory that no later activation fits into.
    """

    def __init__(
        self,
        n_images: int,
        classes: int,
        ends_in_sigmoid: bool,
        is_sound: bool,
        asked: Asked = "auto",
        form: Form = "scores",
    ) -> None:
        """Gets ready.

        Args:
            n_images: to come, at most.
            classes: of the network.
            ends_in_sigmoid: whether that is the last that the network does.
            is_sound: whether any answer can be taken from it.
            asked: the task that is asked for.
            form: of the network's output.

        Raises:
            OptionError: if the output cannot be of that task.
        """
        self._asked, self._form = asked, form
        self._task = task_of(asked, form)
        self.are_probabilities = form == "scores" and self._task != "regress"
        self._are_shares = True
        self._several = classes > 1
        self._is_sound = is_sound
        self._ends_in_sigmoid = ends_in_sigmoid
        self._count = 0
        shape = (n_images, min(classes, MOST if ends_in_sigmoid or asked != "auto" else TOP))
        self._computed, self._as_they_are = AnswerTable(shape), AnswerTable(shape)

    @property
    def task(self) -> Task:
        """What the network's output means, as far as it is known by now."""
        is_several = self.are_probabilities and self._ends_in_sigmoid and not self._are_shares
        if self._asked == "auto" and self._task == "classify" and is_several and self._several:
            return "multilabel"
        return self._task

    @property
    def task_source(self) -> str:
        """How that is known, in words."""
        if self._asked != "auto":
            return "stated with --task"
        if self._form != "scores":
            return f"found out: {_GIVES[self._form]}"
        if self.task == "multilabel":
            return "found out: a sigmoid gives each score, and the scores do not add up to one"
        if self.are_probabilities and self._are_shares:
            return "found out: the scores of an image add up to one"
        return "assumed: one score a class, of which one class is right (--task)"

    def add(self, logits: torch.Tensor, is_sound: torch.Tensor) -> None:
        """Takes the scores (b classes) of a batch, and on which no layer gave NaN or Inf (b)."""
        self.are_probabilities = self.are_probabilities and are_probabilities(
            logits, self._ends_in_sigmoid
        )
        self._are_shares = self._are_shares and are_shares(logits)
        if self._is_sound:
            is_known = torch.isfinite(logits).all(dim=1) & is_sound
            rows = self._count + np.flatnonzero(is_known.numpy())
            known = logits[is_known]
            self._computed.put(rows, *answers(known, False, self._task))
            if self.are_probabilities:
                task = "multilabel" if self._ends_in_sigmoid else self._task
                self._as_they_are.put(rows, *answers(known, True, task))
        self._count += len(logits)

    def merge(self, later: "Answers") -> None:
        """Takes the answers of images that come after all of these."""
        self.are_probabilities = self.are_probabilities and later.are_probabilities
        self._are_shares = self._are_shares and later._are_shares
        self._computed.append(self._count, later._computed, later._count)
        self._as_they_are.append(self._count, later._as_they_are, later._count)
        self._count += later._count

    def final(self) -> tuple[Answer, ...]:
        """One answer per image, in order: where several classes may hold, those that are said."""
        table = self._as_they_are if self.are_probabilities else self._computed
        rows = (table.row(image) for image in range(self._count))
        if self.task == "multilabel":
            # The most probable one is kept in any case, so that there is something to explain.
            return tuple(_first(row, max(1, int((row.probabilities > SAID).sum()))) for row in rows)
        return tuple(rows if self.task == "regress" else (_first(row, TOP) for row in rows))


def _first(row: Answer, count: int) -> Answer:
    return Answer(row.classes[:count], row.probabilities[:count], row.logits[:count])


def weights_are_finite(module: nn.Module, calls: Iterable[Call]) -> bool:
    """Whether no layer that is called holds NaN or Inf.

    What comes of it may look well: an infinite variance divides everything to zero.
    """
    parts = dict(module.named_modules())
    called = (parts[call.key.path] for call in calls if call.key.path in parts)
    return all(
        bool(torch.isfinite(tensor).all())
        for part in called
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False))
    )
