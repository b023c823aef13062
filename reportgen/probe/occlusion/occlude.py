"""Hides one part of an image after the other, and measures what the network loses [zeiler2014]."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.errors import OptionError
from reportgen.options import Engine
from reportgen.probe.occlusion.engine import Run, hidden_scores
from reportgen.probe.occlusion.places import positions
from reportgen.probe.probe import Probe, Progress
from reportgen.report.arrays import Array

ROUNDING = 8
"Units in the last place of the largest score: less than that is no change of a score."


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """What hiding each place of an image does to one class.

    Positive drops: hiding this place lowers the score, so it speaks for the class. What rounding
    could make is 0.
    """

    baseline_probability: float
    "Of the target, with nothing hidden. NaN where the network's output is not finite."
    baseline_logit: float
    probability_drop: NDArray[np.float32]
    "(rows columns): clean minus occluded."
    logit_drop: NDArray[np.float32]
    answers: NDArray[np.int64]
    "(rows columns): the most probable class; -1 where the output is not finite."
    run: Run
    "How it was computed."

    def rows(self) -> Mapping[str, Array]:
        """The result as plain arrays."""
        facts = {"clean": [self.baseline_probability, self.baseline_logit], "run": asdict(self.run)}
        return {
            "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
            "probability": self.probability_drop,
            "logit": self.logit_drop,
            "answers": self.answers,
        }

    @staticmethod
    def of_rows(rows: Mapping[str, Array]) -> "OcclusionResult":
        """The result again."""
        facts = json.loads(rows["facts"].tobytes())
        clean, clean_logit = facts["clean"]
        return OcclusionResult(
            baseline_probability=clean,
            baseline_logit=clean_logit,
            probability_drop=rows["probability"],
            logit_drop=rows["logit"],
            answers=rows["answers"],
            run=Run(**facts["run"]),
        )


def occlusion(
    probe: Probe,
    pixels: torch.Tensor,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    filling: torch.Tensor,
    window: tuple[int, int],
    stride: tuple[int, int],
    target: int,
    progress: Progress | None = None,
    engine: Engine = "exact",
) -> OcclusionResult:
    """Loss of the target's score when each part of the image is hidden [zeiler2014].

    Windows stand every `stride` pixels from the top left; the last of a row or column is cut off at
    the border, so there are ceil((size - window) / stride) + 1 of them.

    Args:
        probe: runs the network.
        pixels: (c h w) in [0, 1], before normalisation.
        normalise: pixels (b c h w) to what the network takes.
        filling: (c h w), shown where a window hides the image; see `fill_image`.
        window: height and width in pixels; may exceed the image.
        stride: pixels between windows, down and across; at most the window, so as to skip nothing.
        target: index of the class.
        progress: told of the positions done.
        engine: that is asked for; see `hidden_scores`.

    Raises:
        OptionError: if the window or the stride makes no sense.
        ResourceError: if one image alone does not fit the memory.
    """
    if min(*window, *stride) < 1:
        raise OptionError(
            f"Occlusion window {window} and stride {stride} must be at least 1 pixel."
        )
    if stride[0] > window[0] or stride[1] > window[1]:
        raise OptionError(
            f"Occlusion stride {stride} exceeds the window {window}: pixels would be skipped."
        )
    rows, columns = (positions(pixels.shape[1 + i], window[i], stride[i]) for i in (0, 1))
    places = [(row, column) for row in rows for column in columns]
    image = normalise(pixels[None])[0]
    with probe.borrow():
        clean = probe.logits(image[None])
        if not 0 <= target < clean.shape[1]:
            raise OptionError(f"Target {target}: the network has {clean.shape[1]} classes.")
        hidden = normalise(filling[None])[0]
        logits, run = hidden_scores(
            probe, image, hidden, window, places, target, engine, progress, clean
        )
    grid = (len(rows), len(columns))
    clean_chance, chances = probe.probabilities(clean), probe.probabilities(logits)
    answers = torch.where(torch.isfinite(logits).all(1), logits.argmax(1), -1)
    drop = clean_chance[0, target] - chances[:, target]
    logit_drop = clean[0, target].double() - logits[:, target].double()
    change, noise = (clean - logits).abs(), _rounding(clean, logits, run.precision)
    # Not a number is not small: it stays.
    drop[(change <= noise).all(1).numpy()] = 0
    logit_drop[change[:, target] <= noise] = 0
    return OcclusionResult(
        baseline_probability=float(clean_chance[0, target]),
        baseline_logit=float(clean[0, target]),
        probability_drop=drop.astype(np.float32).reshape(grid),
        logit_drop=logit_drop.numpy().astype(np.float32).reshape(grid),
        answers=answers.numpy().reshape(grid),
        run=run,
    )


def _rounding(clean: torch.Tensor, logits: torch.Tensor, precision: str) -> float:
    """Change of a score, up to which it may be rounding alone.

    Without it, places that hide nothing would be put in an order by the last digit, which another
    engine, another batch size or another processor rounds otherwise.
    """
    # The network computes in its precision, and the scores are kept in float32.
    formats = (getattr(torch, precision), torch.float32)
    largest = torch.cat([clean, logits]).nan_to_num(0, 0, 0).abs().max()
    return ROUNDING * max(torch.finfo(number).eps for number in formats) * float(largest)
