"""How much each pixel matters to a class's score, by gradients with respect to the image.

All gradients are of the score as the network gives it (a logit; a probability where it ends in a
softmax), with respect to the normalised image. They are taken through the image alone: a frozen
network has them as well, and no weight gets a `grad`.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from reportgen.errors import ModelError
from reportgen.probe.answers import scores_in
from reportgen.probe.gradients import differentiated, untaken
from reportgen.probe.probe import Probe
from reportgen.probe.rectifiers import BackwardRule, Rule

SAMPLES = 16
"Noisy copies of an image that SmoothGrad averages over."
NOISE = 0.15
"Standard deviation of its noise, as a share of the range of the normalised image."
STEPS = 32
"Points between baseline and image at which integrated gradients are taken."


@dataclass(frozen=True, eq=False)
class Integrated:
    """Integrated gradients of one image, and whether they add up to what they should."""

    attributions: torch.Tensor
    "(c h w) float32, signed: what each value adds to the score, seen from the baseline."
    score: float
    "Of the image."
    baseline_score: float

    @property
    def total(self) -> float:
        """Sum of the attributions, which should be the difference of the scores."""
        return float(self.attributions.sum(dtype=torch.float64))

    @property
    def gap(self) -> float:
        """Sum of the attributions minus the difference of the scores: the error of the sum."""
        return self.total - (self.score - self.baseline_score)

    @property
    def relative_gap(self) -> float | None:
        """Size of the gap as a share of the difference of the scores; None where that is zero."""
        difference = abs(self.score - self.baseline_score)
        return abs(self.gap) / difference if difference > 0 else None


def vanilla(probe: Probe, image: torch.Tensor, index: int) -> torch.Tensor:
    """The gradient of the score itself [simonyan2013]; one forward and one backward pass.

    Args:
        probe: of the network.
        image: normalised (c h w).
        index: the class.

    Returns:
        (c h w) float32 on the CPU: change of the score per unit of change of the value.

    Raises:
        ModelError: if no gradient can be taken through the network.
        ResourceError: if the image does not fit the memory.
    """
    return next(_gradients(probe, image[None], index))[0]


def guided(probe: Probe, image: torch.Tensor, index: int) -> torch.Tensor:
    """Guided backpropagation [springenberg2015]; one forward and one backward pass.

    Only for networks that `rectifiers.why_not` has nothing to say of. Arguments, result and errors
    as of `vanilla`.
    """
    return next(_gradients(probe, image[None], index, "guided"))[0]


def smooth_grad(
    probe: Probe,
    image: torch.Tensor,
    index: int,
    seed: int,
    samples: int = SAMPLES,
    noise: float = NOISE,
) -> torch.Tensor:
    """The mean gradient of copies of the image under Gaussian noise [smilkov2017].

    Result and errors as of `vanilla`.

    Args:
        probe: of the network.
        image: normalised (c h w).
        index: the class.
        seed: of the noise, which is drawn on the CPU, one copy after the other.
        samples: number of copies.
        noise: its standard deviation, as a share of the range of the image's values.
    """
    sigma = noise_sigma(image, noise)
    generator = torch.Generator().manual_seed(seed)
    copies = torch.stack(
        [image + sigma * torch.randn(image.shape, generator=generator) for _ in range(samples)]
    )
    return _weighted(probe, copies, index, torch.full((samples,), 1 / samples))


def noise_sigma(image: torch.Tensor, noise: float = NOISE) -> float:
    """Standard deviation of SmoothGrad's noise for a normalised image, in its units."""
    return noise * float(image.max() - image.min())


def integrated_gradients(
    probe: Probe, image: torch.Tensor, index: int, steps: int = STEPS
) -> Integrated:
    """The gradient along the straight way from a baseline to the image [sundararajan2017].

    The baseline is zero after normalisation, the mean colour, as is the default fill of occlusion.
    The integral is a Gauss-Legendre sum: what each value adds to the score is its difference from
    the baseline times the weighted mean of its gradients. Two more forward passes tell whether all
    of it adds up (completeness). Errors as of `vanilla`.

    Args:
        probe: of the network.
        image: normalised (c h w).
        index: the class.
        steps: points of the sum.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    # The rule is made for [-1, 1]; here the way goes from 0 to 1.
    path = torch.stack([image * float((1 + node) / 2) for node in nodes])
    mean = _weighted(probe, path, index, torch.from_numpy(weights / 2))
    baseline = torch.zeros_like(image)
    scores = probe.logits(torch.stack([image, baseline]))[:, index]
    return Integrated((image - baseline).float() * mean, float(scores[0]), float(scores[1]))


def _weighted(
    probe: Probe, images: torch.Tensor, index: int, weights: torch.Tensor
) -> torch.Tensor:
    """The weighted sum (c h w) of the gradients at images (b c h w), added up in float64."""
    total = torch.zeros(images.shape[1:], dtype=torch.float64)
    done = 0
    for gradients in _gradients(probe, images, index):
        own = weights[done : done + len(gradients)].double()
        total += torch.einsum("b,bchw->chw", own, gradients.double())
        done += len(gradients)
    return total.float()


def _gradients(
    probe: Probe, images: torch.Tensor, index: int, rule: Rule | None = None
) -> Iterator[torch.Tensor]:
    """Gradients (b c h w), float32 on the CPU, in parts that fit the memory."""
    return probe.in_parts(images, lambda part, _: _gradient(probe, part, index, rule))


def _gradient(probe: Probe, images: torch.Tensor, index: int, rule: Rule | None) -> torch.Tensor:
    """Gradients for as many images as fit the memory at once."""
    with probe.lent(images) as (module, moved), differentiated():
        # A clone, and then another: the images may be an inference tensor, and a network that
        # writes to its input must not find a leaf there.
        leaf = moved.detach().clone().requires_grad_()
        with BackwardRule(rule) if rule else nullcontext():
            scores = scores_in(module(leaf.clone()), len(leaf))[:, index]
        if not scores.requires_grad:
            raise ModelError(untaken("its scores do not depend on the image by autograd"))
        (gradient,) = torch.autograd.grad(scores, leaf, torch.ones_like(scores), allow_unused=True)
        return torch.zeros(images.shape) if gradient is None else gradient.float().cpu()
