"""Reduces every call of a forward pass to statistics and pictures while it happens."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.class_correlation import image_means
from reportgen.probe.evidence import Call, CallKey, MapPicture, VectorPicture
from reportgen.probe.layout import Arrangement
from reportgen.probe.maps import by_image, by_unit, on_grid
from reportgen.probe.pictures import picture
from reportgen.probe.reduction import (
    Highest,
    Part,
    are_side_by_side,
    highest_in,
    highest_of,
    is_here,
    parts,
)
from reportgen.probe.watch import FunctionCall, Observer

Choice: TypeAlias = Callable[[Sequence[Call], int, Collection[CallKey]], Iterable[Call]]
"Chooses calls, from all of them, the number of classes and the calls that are observed."

Pictures: TypeAlias = dict[int, dict[CallKey, MapPicture | VectorPicture]]


class Collector(Observer):
    """What one batch gave."""

    def __init__(
        self,
        observed: Mapping[CallKey, Arrangement],
        images: int,
        pictured: Mapping[int, int],
        keep_arrays: bool,
        mapped: Collection[CallKey],
        first: int,
        averaged: Collection[CallKey] = (),
    ) -> None:
        """Gets ready for one forward pass.

        Args:
            observed: the calls to keep, and what the axes of their outputs mean.
            images: number of images in the batch.
            pictured: place in the batch of each pictured image, to its index among all images.
            keep_arrays: whether to keep the whole activations of pictured images.
            mapped: the calls with maps, of which is kept what is highest in them.
            first: index of the first image.
            averaged: calls of which each unit's mean over the positions of each image is kept.
        """
        self.parts: dict[CallKey, Sequence[Part]] = {}
        "What every call is reduced to."
        self.highest: dict[CallKey, Highest] = {}
        "Of the calls with maps."
        self.first = first
        self._pictures: Pictures = {index: {} for index in pictured.values()}
        self.logits = torch.empty(0)
        self._sound = [torch.ones(images, dtype=torch.bool)]
        "(images,) of what was looked at: whether it is finite. They stay where the values lie."
        self.means: dict[CallKey, torch.Tensor] = {}
        "(images units) of the averaged calls."
        self._observed = observed
        self._images = images
        self._pictured = pictured
        self._keep_arrays = keep_arrays
        self._mapped = mapped
        self._averaged = averaged
        self._unpictured: list[tuple[int, CallKey, torch.Tensor]] = []

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Takes what is wanted from an output, at once: the network may overwrite it later."""
        arranged = self._observed.get(key)
        if arranged is None:
            return
        if output.numel() != self._images * math.prod(arranged.shape):
            raise ModelError(
                f"Layer {key} gives outputs of different shapes for different images. "
                "reportgen needs a network that does the same for every image."
            )
        if output.requires_grad:
            # A network may turn gradients on for itself.
            output = output.detach()
        if output.dtype in (torch.bfloat16, torch.float16):
            output = output.float()
        per_image = by_image(output, arranged, self._images)
        values = by_unit(per_image, arranged)
        placed = on_grid(values, arranged)
        if placed.shape != values.shape or not are_side_by_side(values):
            values = values.contiguous()
            placed = on_grid(values, arranged)
        found = self.parts[key] = parts(values)
        # On another device, to ask whether there are any would be to wait for it.
        if any(part.is_broken is not False for part in found):
            self._sound.append(torch.isfinite(values).flatten(1).all(1))
        if key in self._mapped and found:
            if placed.shape == values.shape:
                self.highest[key] = highest_in(found)
            elif is_here(placed):
                self.highest[key] = highest_in(parts(placed))
            else:
                self.highest[key] = highest_of(placed)
        if key in self._averaged:
            self.means[key] = image_means(placed)
        for place, index in self._pictured.items():
            activation = per_image[place]
            if is_here(activation):
                self._take_picture(index, key, activation)
            else:
                self._unpictured.append((index, key, activation.clone()))

    @property
    def is_sound(self) -> torch.Tensor:
        """(images,) bool: whether all that was observed of an image is finite."""
        return torch.stack([found.cpu() for found in self._sound]).all(0)

    @property
    def pictures(self) -> Pictures:
        """Of every call, by index of the image; made only now if the network would have waited."""
        while self._unpictured:
            self._take_picture(*self._unpictured.pop(0))
        return self._pictures

    def _take_picture(self, index: int, key: CallKey, activation: torch.Tensor) -> None:
        self._pictures[index][key] = picture(
            activation, self._observed[key], key, index, self._keep_arrays
        )
