"""Holds the smaller network against the whole one: both run over all images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from reportgen.probe.precision import at_precision
from reportgen.probe.probe import Probe, Progress

TOLERANCE = 1e-4
"By how much scores may differ that count as equal: with less to add, float32 rounds otherwise."


@dataclass(frozen=True)
class Flip:
    """An image whose most probable class is another one afterwards."""

    image: int
    before: int
    after: int


@dataclass(frozen=True)
class Proof:
    """What two networks said of the same images."""

    images: int
    largest: float
    "Largest difference between two scores; infinite where one is not finite and the other is."
    flips: tuple[Flip, ...]
    accuracy: tuple[float, float] | None
    "Before and after, on the images whose class is known; None without any."

    @property
    def is_identical(self) -> bool:
        """Whether all scores agree to 1e-4, and all answers."""
        return self.largest <= TOLERANCE and not self.flips

    @property
    def drop(self) -> float:
        """What is held against `--max-drop`: the share of other answers, or of accuracy lost."""
        share = len(self.flips) / self.images
        return max(share, self.accuracy[0] - self.accuracy[1] if self.accuracy else 0.0)


def proof(
    whole: Probe,
    smaller: Probe,
    batches: Callable[[int], Iterable[torch.Tensor]],
    truth: Sequence[int | None],
    progress: Progress | None = None,
) -> Proof:
    """Runs two networks over the same images.

    Args:
        whole: the network as it was.
        smaller: the one that is to take its place.
        batches: gives all images in order, normalised, (b c h w), in batches of a given size.
        truth: true class of each image, None where it is not known.
        progress: told of the images done.

    Raises:
        ResourceError: if one image alone does not fit the memory.
    """
    largest = 0.0
    answers: tuple[list[int], list[int]] = ([], [])
    # On GPUs convolutions round to ten bits by default, which hides what is to be seen here.
    with whole.borrow(), smaller.borrow(), at_precision("fp32", whole.device):
        for batch in batches(min(whole.batch_size, smaller.batch_size)):
            before, after = whole.logits(batch).double(), smaller.logits(batch).double()
            apart = (before - after).abs()
            # Equal infinities have no difference, nor have two that are no number.
            apart[(before == after) | (before.isnan() & after.isnan())] = 0
            largest = max(largest, float(apart.nan_to_num(torch.inf).max()))
            for said, logits in zip(answers, (before, after), strict=True):
                if logits.shape[1] == 1:
                    # That of one class against the rest.
                    said += (
                        (logits[:, 0] > (0.5 if whole.gives_probabilities else 0)).int().tolist()
                    )
                else:
                    said += logits.argmax(1).tolist()
            if progress:
                progress(len(answers[0]), len(truth))
    pairs = list(zip(*answers, strict=True))
    flips = tuple(Flip(i, *pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    known = [(pair, true) for pair, true in zip(pairs, truth, strict=True) if true is not None]
    accuracy = None
    if known:
        before_right, after_right = (
            sum(pair[side] == true for pair, true in known) / len(known) for side in (0, 1)
        )
        accuracy = before_right, after_right
    return Proof(len(pairs), largest, flips, accuracy)
