"""From whatever a network returns to one score per class, probabilities and the best classes."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.evidence import Answer, Call

TOP = 5


def logits_in(output: Any, images: int) -> torch.Tensor:
    """The scores (b classes) in a network's output, float32 on the CPU, without their gradient.

    Raises:
        ModelError: if there are none.
    """
    return scores_in(output, images).detach().float().cpu()


def scores_in(output: Any, images: int) -> torch.Tensor:
    """The scores (b classes) in a network's output, where they lie and as they are.

    They are the tensor itself, or the first (b classes) tensor in a tuple, a list, a mapping or a
    dataclass: GoogLeNet in training and many others return more than the scores.

    Raises:
        ModelError: if there are none.
    """
    for tensor in _leaves(output):
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
            return scores
    raise ModelError(
        f"The network gives {_described(output)} for a batch of {images}, not one score per class. "
        "reportgen explains classifiers; wrap the network with --arch FILE.py:NAME so that it "
        "returns (images, classes)."
    )


def _leaves(output: Any) -> list[torch.Tensor]:
    """The tensors of a structure in order, `logits` first."""
    if isinstance(output, torch.Tensor):
        return [output]
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        output = {item.name: getattr(output, item.name) for item in dataclasses.fields(output)}
    if isinstance(output, Mapping):
        first = [output["logits"]] if "logits" in output else []
        output = [*first, *output.values()]
    if isinstance(output, (tuple, list)):
        return [tensor for item in output for tensor in _leaves(item)]
    return []


def _described(output: Any) -> str:
    """The structure of an output in words: `a dict of out: (2, 21, 64, 64)`."""
    if isinstance(output, torch.Tensor):
        kind = "" if output.is_floating_point() else f" of {output.dtype}"
        return f"a tensor{kind} of shape {tuple(output.shape)}"
    name = type(output).__name__
    name = f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"
    if isinstance(output, Mapping):
        return f"{name} of " + ", ".join(f"{key}: {_shape(item)}" for key, item in output.items())
    if isinstance(output, (tuple, list)):
        return f"{name} of " + ", ".join(_shape(item) for item in output)
    return name


def _shape(item: Any) -> str:
    return str(tuple(item.shape)) if isinstance(item, torch.Tensor) else type(item).__name__


def are_probabilities(logits: torch.Tensor, ends_in_sigmoid: bool) -> bool:
    """Whether all scores are probabilities: in [0, 1], and from a sigmoid or with rows of sum one.

    Args:
        logits: (b classes)
        ends_in_sigmoid: whether a sigmoid is the last that the network does.
    """
    if not bool((logits >= 0).all() and (logits <= 1).all()):
        return False
    sums = logits.double().sum(1)
    return ends_in_sigmoid or (logits.shape[1] > 1 and bool(((sums - 1).abs() < 1e-4).all()))


def probabilities(logits: torch.Tensor, gives_probabilities: bool) -> NDArray[np.float64]:
    """Probability of every class (b classes): the softmax, in float64.

    A single score is that of the one class against the rest, so its probability is the sigmoid.
    """
    scores = logits.double()
    if gives_probabilities:
        result = scores
    elif scores.shape[1] == 1:
        result = scores.sigmoid()
    else:
        result = scores.softmax(1)
    values: NDArray[np.float64] = result.numpy()
    return values


def answer(logits: torch.Tensor, gives_probabilities: bool) -> Answer:
    """What the network says of one image.

    Args:
        logits: (classes,)
        gives_probabilities: whether `logits` are probabilities already.
    """
    if not bool(torch.isfinite(logits).all()):
        nothing = np.empty(0)
        return Answer(np.empty(0, dtype=np.int64), nothing, nothing)
    chances = probabilities(logits[None], gives_probabilities)[0]
    scores = logits.double().numpy()
    # A stable sort: of equal classes the first comes first.
    order = np.argsort(-scores, kind="stable")[:TOP]
    return Answer(
        classes=order.astype(np.int64), probabilities=chances[order], logits=scores[order]
    )


class Answers:
    """Answers as they come; whether the outputs are probabilities is known only after the last.

    They lie in tables that are made once: small arrays, one image at a time between activations of
    many megabytes, would leave holes in the memory that no later activation fits into.
    """

    def __init__(self, n_images: int, classes: int, ends_in_sigmoid: bool, is_sound: bool) -> None:
        """Gets ready.

        Args:
            n_images: to come, at most.
            classes: of the network.
            ends_in_sigmoid: whether that is the last that the network does.
            is_sound: whether any answer can be taken from it.
        """
        self.are_probabilities = True
        self._is_sound = is_sound
        self._ends_in_sigmoid = ends_in_sigmoid
        self._count = 0
        shape = (n_images, min(classes, TOP))
        self._by_softmax, self._as_they_are = _Table(shape), _Table(shape)

    def add(self, logits: torch.Tensor, is_sound: torch.Tensor) -> None:
        """Takes the scores (b classes) of a batch, and on which no layer gave NaN or Inf (b)."""
        self.are_probabilities = self.are_probabilities and are_probabilities(
            logits, self._ends_in_sigmoid
        )
        for row, is_whole in zip(logits, is_sound.tolist(), strict=True):
            if is_whole and self._is_sound:
                self._by_softmax.put(self._count, answer(row, False))
                if self.are_probabilities:
                    self._as_they_are.put(self._count, answer(row, True))
            self._count += 1

    def merge(self, later: "Answers") -> None:
        """Takes the answers of images that come after all of these."""
        self.are_probabilities = self.are_probabilities and later.are_probabilities
        self._by_softmax.append(self._count, later._by_softmax, later._count)
        self._as_they_are.append(self._count, later._as_they_are, later._count)
        self._count += later._count

    def final(self) -> tuple[Answer, ...]:
        """One answer per image, in order."""
        table = self._as_they_are if self.are_probabilities else self._by_softmax
        return tuple(table.row(image) for image in range(self._count))


class _Table:
    """Answers, one a row."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._classes = np.zeros(shape, np.int64)
        self._probabilities, self._logits = np.zeros(shape), np.zeros(shape)
        self._known = np.zeros(shape[0], np.int64)
        "How many classes an answer names: none where an output is not finite."

    def put(self, row: int, given: Answer) -> None:
        known = len(given.classes)
        self._known[row] = known
        self._classes[row, :known] = given.classes
        self._probabilities[row, :known] = given.probabilities
        self._logits[row, :known] = given.logits

    def append(self, row: int, other: "_Table", count: int) -> None:
        """Copies the first rows of another to here, from a row on."""
        for name, values in vars(self).items():
            values[row : row + count] = vars(other)[name][:count]

    def row(self, row: int) -> Answer:
        known = self._known[row]
        return Answer(
            self._classes[row, :known],
            self._probabilities[row, :known],
            self._logits[row, :known],
        )


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
