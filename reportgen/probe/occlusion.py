"""Hides one part of an image after the other, and measures what the network loses [zeiler2014]."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from reportgen.errors import OptionError
from reportgen.options import Fill
from reportgen.probe.probe import Probe, Progress

BLUR_SIGMA = 0.05
"Standard deviation of the blur, as a share of the image's longer side: 11 pixels of 224."


@dataclass(frozen=True, eq=False)
class OcclusionResult:
    """What hiding each place of an image does to one class.

    Positive drops: hiding this place lowers the score, so it speaks for the class.
    """

    baseline_probability: float
    "Of the target, with nothing hidden. NaN where the network's output is not finite."
    baseline_logit: float
    probability_drop: NDArray[np.float32]
    "(rows columns): clean minus occluded."
    logit_drop: NDArray[np.float32]
    answers: NDArray[np.int64]
    "(rows columns): the most probable class; -1 where the output is not finite."


def positions(size: int, window: int, stride: int) -> tuple[int, ...]:
    """First pixels of the windows in one direction: every `stride` until one reaches the border."""
    count = max(0, math.ceil((size - window) / stride)) + 1
    return tuple(range(0, count * stride, stride))


def fill_image(pixels: torch.Tensor, fill: Fill, mean: Sequence[float]) -> torch.Tensor:
    """What is shown in place of the hidden part, (c h w) in [0, 1].

    Args:
        pixels: (c h w) in [0, 1], before normalisation.
        fill: `mean` is the normalisation mean, `gray` 0.5, `black` 0, and `blur` the image itself
            after a Gaussian blur of `BLUR_SIGMA` times its longer side.
        mean: of the normalisation, one value per channel.
    """
    match fill:
        case "mean":
            return torch.tensor(mean, dtype=pixels.dtype)[:, None, None].expand_as(pixels)
        case "gray":
            return torch.full_like(pixels, 0.5)
        case "black":
            return torch.zeros_like(pixels)
        case "blur":
            return _blurred(pixels)


def _blurred(pixels: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, with the border pixels repeated outside."""
    sigma = BLUR_SIGMA * max(pixels.shape[1:])
    radius = math.ceil(3 * sigma)
    weights = torch.exp(-((torch.arange(-radius, radius + 1) / sigma) ** 2) / 2)
    weights = (weights / weights.sum()).to(pixels)
    padded = F.pad(pixels[:, None], (radius,) * 4, mode="replicate")
    down = F.conv2d(padded, weights[None, None, :, None])
    return F.conv2d(down, weights[None, None, None, :])[:, 0]


def occlusion(
    probe: Probe,
    pixels: torch.Tensor,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    filling: torch.Tensor,
    window: tuple[int, int],
    stride: tuple[int, int],
    target: int,
    progress: Progress | None = None,
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
    with probe.borrow():
        clean = probe.logits(normalise(pixels[None]))
        if not 0 <= target < clean.shape[1]:
            raise OptionError(f"Target {target}: the network has {clean.shape[1]} classes.")
        scores = []
        for batch in _occluded(probe, pixels, filling, window, places):
            scores.append(probe.logits(normalise(batch)))
            if progress:
                progress(sum(map(len, scores)), len(places))
    logits = torch.cat(scores)
    grid = (len(rows), len(columns))
    clean_chance, chances = probe.probabilities(clean), probe.probabilities(logits)
    answers = torch.where(torch.isfinite(logits).all(1), logits.argmax(1), -1)
    drop = clean_chance[0, target] - chances[:, target]
    logit_drop = clean[0, target].double() - logits[:, target].double()
    return OcclusionResult(
        baseline_probability=float(clean_chance[0, target]),
        baseline_logit=float(clean[0, target]),
        probability_drop=drop.astype(np.float32).reshape(grid),
        logit_drop=logit_drop.numpy().astype(np.float32).reshape(grid),
        answers=answers.numpy().reshape(grid),
    )


def _occluded(
    probe: Probe,
    pixels: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
) -> Iterator[torch.Tensor]:
    """The image with each place hidden, in batches as large as the probe runs just then."""
    start = 0
    while start < len(places):
        some = places[start : start + probe.batch_size]
        batch = pixels.expand(len(some), *pixels.shape).clone()
        for image, (row, column) in zip(batch, some, strict=True):
            hidden = (..., slice(row, row + window[0]), slice(column, column + window[1]))
            image[hidden] = filling[hidden]
        start += len(some)
        yield batch
