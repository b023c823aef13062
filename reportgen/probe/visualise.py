"""Paints pictures that excite units of a network as much as it can: feature visualisation."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.answers import scores_in
from reportgen.probe.evidence import Call
from reportgen.probe.fourier_image import pixels_of, random_waves
from reportgen.probe.gradients import differentiated, untaken
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.probe import Probe
from reportgen.probe.reach import output_of
from reportgen.probe.reviving import Reviving
from reportgen.report.arrays import Array, FloatArray

Size: TypeAlias = tuple[int, int]
Normalise: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

STEPS = 128
RATE = 0.015
"Length of a step in each amplitude."
JITTER = 1 / 16
"Share of the longer side by which a picture is moved at most, either way."
AGAIN = JITTER / 2
"The same for the second move, after turning."
ZOOM = 0.1
"Largest change of scale, either way."
TURN = math.radians(5)
"Largest turn, either way."


@dataclass(frozen=True, eq=False)
class Painted:
    """The pictures of some units of one call, and what the units give for them."""

    pixels: torch.Tensor
    "(n c h w) float32 in [0, 1], on the CPU."
    highest: FloatArray
    "(n,) largest activation over all positions."
    mean: FloatArray
    "(n,) mean activation over all positions, which was made as large as possible."
    rose: tuple[bool, ...]
    "Whether that mean ended higher than it began; where it did not, the picture shows nothing."

    def rows(self) -> Mapping[str, Array]:
        """The pictures as plain arrays."""
        rose = np.array(self.rose)
        return {**vars(self), "pixels": self.pixels.numpy(), "rose": rose}

    @staticmethod
    def of_rows(rows: Mapping[str, Array]) -> "Painted":
        """The pictures again."""
        return Painted(
            pixels=torch.from_numpy(rows["pixels"]),
            highest=rows["highest"],
            mean=rows["mean"],
            rose=tuple(rows["rose"].tolist()),
        )


def painted(
    probe: Probe,
    call: Call | None,
    units: Sequence[int],
    channels: int,
    size: Size,
    normalise: Normalise,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Painted:
    """Pictures that make the mean activation of units as large as gradient ascent can [olah2017].

    Each is a sum of waves (see `fourier_image`) that is moved, scaled and turned a little at
    random before every step, so that what is in it holds for more than one arrangement of pixels.
    Where ReLUs that are off let no gradient of a picture through, they do in the next step.

    Args:
        probe: of the network.
        call: whose units; None for the scores of the network.
        units: one picture for each, all at once.
        channels: of a picture.
        size: (height, width) of a picture.
        normalise: pixels in [0, 1] to what the network takes, (n c h w) both.
        seed: of the noise at the start and of the changes before each step.
        progress: told of the steps done.

    Raises:
        ModelError: if no gradient can be taken through the network.
        ResourceError: if the memory is too small for all of them at once.
    """
    # Each its own, so that a picture does not depend on which others are painted with it.
    generators = [torch.Generator().manual_seed(crc32(f"{seed} {unit}".encode())) for unit in units]
    waves = torch.cat([random_waves(1, channels, size, generator) for generator in generators])
    blank = torch.empty(len(units), channels, *size)
    with probe.lent(blank) as (module, moved), differentiated():
        reader = _Reader(module, call, units, moved.dtype, normalise)
        # A copy that is no inference tensor, of which gradients can be taken.
        leaf = waves.to(moved.device, copy=True).requires_grad_()
        with torch.no_grad():
            first = reader(pixels_of(leaf, size)).mean(dim=1)
        adam = torch.optim.Adam([leaf], lr=RATE, maximize=True)
        stuck = torch.zeros(len(units), dtype=torch.bool)
        for step in range(STEPS):
            activations = reader(varied(pixels_of(leaf, size), generators), stuck)
            slope = _slope(activations.mean(dim=1).sum(), leaf)
            stuck = (slope == 0).flatten(1).all(dim=1)
            leaf.grad = slope
            adam.step()
            progress(step + 1)
        with torch.no_grad():
            pictures = pixels_of(leaf, size)
            final = reader(pictures)
        mean = final.mean(dim=1)
        return Painted(
            pixels=pictures.cpu(),
            highest=final.amax(dim=1).double().cpu().numpy(),
            mean=mean.double().cpu().numpy(),
            rose=tuple(bool(one) for one in mean > first),
        )


def _slope(objective: torch.Tensor, leaf: torch.Tensor) -> torch.Tensor:
    slope: torch.Tensor | None = None
    if objective.requires_grad:
        (slope,) = torch.autograd.grad(objective, leaf, allow_unused=True)
    if slope is None:
        raise ModelError(untaken("what it gives does not depend on the image by autograd"))
    return slope


def positions(probe: Probe, call: Call, channels: int, size: Size, normalise: Normalise) -> int:
    """Positions of a call's map for a picture of another size; 0 where the call cannot take it."""
    with probe.lent(torch.full((1, channels, *size), 0.5)) as (module, grey):
        try:
            return _Reader(module, call, (0,), grey.dtype, normalise)(grey.float()).shape[1]
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return 0


def varied(pictures: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """Each picture (n c h w) moved, scaled, turned and moved again at random; grey comes in."""
    longer = max(pictures.shape[2:])

    def drawn(most: float, *shape: int) -> torch.Tensor:
        return most * (2 * torch.stack([torch.rand(shape, generator=g) for g in generators]) - 1)

    return transformed(
        pictures,
        move=drawn(JITTER * longer, 2),
        scale=1 + drawn(ZOOM),
        turn=drawn(TURN),
        again=drawn(AGAIN * longer, 2),
    )


def transformed(
    pictures: torch.Tensor,
    move: torch.Tensor,
    scale: torch.Tensor,
    turn: torch.Tensor,
    again: torch.Tensor,
) -> torch.Tensor:
    """Pictures (n c h w) after four changes in one resampling; grey comes in from outside.

    Args:
        pictures: in [0, 1].
        move: (n 2), down and across, in pixels.
        scale: (n,), above 1 enlarges.
        turn: (n,), in radians, clockwise.
        again: (n 2), the second move, in pixels.
    """
    n, _, height, width = pictures.shape
    half = torch.tensor([width / 2, height / 2])
    cosine, sine = turn.cos(), turn.sin()
    # Where a pixel comes from: the four changes undone, the last one first, in (across, down).
    back = torch.stack([cosine, sine, -sine, cosine], dim=1).view(n, 2, 2) / scale.view(n, 1, 1)
    shift = -(back @ again.flip(1)[:, :, None])[:, :, 0] - move.flip(1)
    # In the coordinates of `grid_sample` an edge of the picture is at 1, on both axes.
    theta = torch.cat([back * half / half[:, None], (shift / half)[:, :, None]], dim=2)
    grid = F.affine_grid(theta.to(pictures), list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures - 0.5, grid, align_corners=False) + 0.5


class _Reader:
    """Runs pictures up to a call, and gives the activations of one unit for each."""

    def __init__(
        self,
        module: nn.Module,
        call: Call | None,
        units: Sequence[int],
        dtype: torch.dtype,
        normalise: Normalise,
    ) -> None:
        self._module = module
        self._call = call
        self._units = list(units)
        self._dtype = dtype
        self._normalise = normalise

    def __call__(self, pictures: torch.Tensor, stuck: torch.Tensor | None = None) -> torch.Tensor:
        """Activations (n positions) float32 of unit i for picture i, of (n c h w) in [0, 1].

        Args:
            pictures: to be normalised.
            stuck: (n,), those of which ReLUs that are off let a gradient through.
        """
        # A copy: some networks write to their input.
        images = self._normalise(pictures).to(self._dtype, copy=True)
        with nullcontext() if stuck is None or not stuck.any() else Reviving(stuck):
            values = self._values(images)
        places = torch.arange(len(self._units))
        return values[places, self._units].reshape(len(self._units), -1).float()

    def _values(self, images: torch.Tensor) -> torch.Tensor:
        """What all units give, (n units ...)."""
        if self._call is None:
            return scores_in(self._module(images), len(images))
        return output_of(self._module, self._call, images)
