"""Runs a network on images whose pixels hold their channels side by side in memory.

On a CPU most convolutions are quicker so, up to twice, and scores are the same but for rounding.
Not all networks take such images: one that takes its maps apart with `view` refuses them. So the
first image is tried in both ways, and a network that disagrees gets its images as ever.
"""

import torch
from torch import nn

from reportgen.probe.answers import logits_in

COPIES = 2
"An image is tried twice in one batch: a network may take a single one apart that it else cannot."
TOLERANCE = 1e-5
"Largest difference of the two ways as a share of the size of the scores."


class ChannelsLast:
    """What is known of one network: whether it may have its images so."""

    def __init__(self) -> None:
        self._works: bool | None = None

    def arranged(self, module: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """The images as the network shall have them; the first ones are tried on it."""
        if self._works is None:
            self.try_on(module, images[:1])
        return _arranged(images) if self._works else images

    def try_on(
        self, module: nn.Module, image: torch.Tensor, scores: torch.Tensor | None = None
    ) -> None:
        """Tries copies of one image on the network, whose scores for them may be known already."""
        copies = image.expand(COPIES, *image.shape[1:])
        is_tried = copies.device.type == "cpu" and copies.ndim == 4  # volumes are left as they are
        self._works = is_tried and _is_the_same(module, copies, scores)


def _is_the_same(module: nn.Module, images: torch.Tensor, plain: torch.Tensor | None) -> bool:
    # A network that draws random numbers draws the same ones whether it was tried before or not.
    with torch.random.fork_rng(devices=[]):
        try:
            if plain is None:
                plain = logits_in(module(images.clone()), len(images))
            other = logits_in(module(_arranged(images)), len(images))
        except Exception:
            # Whatever a network says of images in an unusual order: it gets them in the usual one,
            # and what it says of those will be heard.
            return False
    difference = float((plain - other).norm())
    return difference <= TOLERANCE * float(plain.norm())


def _arranged(images: torch.Tensor) -> torch.Tensor:
    return images.clone(memory_format=torch.channels_last)
