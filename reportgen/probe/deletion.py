"""Turns one image into another, some pixels at a time, and follows what the network makes of it."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.probe import Probe
from reportgen.report.arrays import FloatArray


def fade(
    probe: Probe,
    start: torch.Tensor,
    end: torch.Tensor,
    orders: NDArray[np.int64],
    steps: int,
    target: int,
) -> FloatArray:
    """Probability of a class while the pixels of one image give way to those of another.

    From the image to a fill it is the deletion curve, from a blurred image to the image the
    insertion curve [petsiuk2018]. All channels of a pixel change together.

    Args:
        probe: runs the network.
        start: normalised (c h w).
        end: normalised (c h w).
        orders: (orders pixels) each a permutation of the pixels, row by row; the first goes first.
        steps: after step k, `round(k * pixels / steps)` pixels have changed.
        target: index of the class.

    Returns:
        (orders steps+1) float64: the start, after each step, the end.

    Raises:
        ResourceError: if one image alone does not fit the memory.
    """
    height, width = start.shape[1:]
    counts = [round(step * height * width / steps) for step in range(1, steps)]
    with probe.borrow():
        ends = _chances(probe, torch.stack([start, end]), target)
        between = [
            _chances(probe, batch, target) for batch in _mixed(probe, start, end, orders, counts)
        ]
    curves = np.empty((len(orders), steps + 1))
    curves[:, 0], curves[:, -1] = ends
    if between:
        curves[:, 1:-1] = np.concatenate(between).reshape(len(orders), len(counts))
    return curves


def _chances(probe: Probe, batch: torch.Tensor, target: int) -> FloatArray:
    chances: FloatArray = probe.probabilities(probe.logits(batch))[:, target]
    return chances


def _mixed(
    probe: Probe,
    start: torch.Tensor,
    end: torch.Tensor,
    orders: NDArray[np.int64],
    counts: list[int],
) -> Iterator[torch.Tensor]:
    """The images in between, in batches as large as the probe runs just then."""
    ranks = torch.from_numpy(np.argsort(orders, axis=1)).reshape(len(orders), *start.shape[1:])
    jobs = [(order, count) for order in range(len(orders)) for count in counts]
    done = 0
    while done < len(jobs):
        some = jobs[done : done + probe.batch_size]
        done += len(some)
        yield torch.stack([torch.where(ranks[order] < n, end, start) for order, n in some])


def area(curves: FloatArray) -> FloatArray:
    """Area under curves (... steps+1) over [0, 1], by the trapezoid rule."""
    areas: FloatArray = (curves[..., 1:] + curves[..., :-1]).mean(axis=-1) / 2
    return areas
