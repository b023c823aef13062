"""What a network returns, taken apart: scores, a map of scores for each class, or boxes."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F

Form: TypeAlias = Literal["scores", "maps", "boxes"]
"How a network answers: numbers for an image as a whole, a map for each class, or boxes in it."

MAPS = ("logits", "out")
"Under which networks give a map for each class, where they give more: transformers, torchvision."


def leaves(output: Any) -> list[torch.Tensor]:
    """The tensors of a structure in order, `logits` first."""
    if isinstance(output, torch.Tensor):
        return [output]
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        output = {item.name: getattr(output, item.name) for item in dataclasses.fields(output)}
    if isinstance(output, Mapping):
        first = [output["logits"]] if "logits" in output else []
        output = [*first, *output.values()]
    if isinstance(output, (tuple, list)):
        return [tensor for item in output for tensor in leaves(item)]
    return []


def described(output: Any) -> str:
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


def map_in(output: Any, images: int) -> torch.Tensor | None:
    """The map of scores for each class in an output; None where there is none.

    It is (b classes h w), or (b classes slices h w) of volumes.
    """
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        output = {item.name: getattr(output, item.name) for item in dataclasses.fields(output)}
    if isinstance(output, Mapping):
        output = next((output[name] for name in MAPS if name in output), None)
    if not isinstance(output, torch.Tensor) or output.ndim not in (4, 5) or len(output) != images:
        return None
    return output if output.is_floating_point() and output.numel() else None


def boxes_in(output: Any, images: int) -> torch.Tensor | None:
    """The boxes of the first image, where an output is a list of objects found, image by image."""
    if not isinstance(output, (list, tuple)) or len(output) != images:
        return None
    found = [image.get("boxes") if isinstance(image, Mapping) else None for image in output]
    is_whole = all(isinstance(boxes, torch.Tensor) and boxes.shape[-1:] == (4,) for boxes in found)
    return found[0] if is_whole else None


def share_scores(maps: torch.Tensor) -> torch.Tensor:
    """One score for each class of an image: the logarithm of its share of the image.

    The share is the mean over all positions of the probability that the network gives the class
    there. The softmax of these scores is the shares themselves, as they add up to one. The gradient
    of such a score is that of the class's log-probability, averaged over the positions with its
    probability as weight: positions that are of other classes have no say, as where Seg-Grad-CAM
    [vinogradova2020] adds up the scores inside of a class's own region.

    A single map is that of one class against the rest: its score is the log-odds of its share.

    Args:
        maps: (b classes h w), or of volumes (b classes slices h w), scores or probabilities.

    Returns:
        (b classes)
    """
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    places = tuple(range(2, maps.ndim))
    if maps.shape[1] == 1:
        if bool(((maps >= 0) & (maps <= 1)).all()):
            return torch.logit(maps.mean(places), eps=torch.finfo(maps.dtype).eps)
        inside, outside = (F.logsigmoid(some).flatten(2).logsumexp(2) for some in (maps, -maps))
        return inside - outside
    if are_shares(maps):
        # A class that is nowhere has a share of zero, which has no logarithm.
        return maps.mean(places).clamp_min(torch.finfo(maps.dtype).tiny).log()
    logs = F.log_softmax(maps, 1).flatten(2)
    return logs.logsumexp(2) - math.log(logs.shape[2])


def are_shares(scores: torch.Tensor) -> bool:
    """Whether scores (b classes ...) lie in [0, 1] and add up to one over several classes."""
    if scores.shape[1] < 2 or not bool(((scores >= 0) & (scores <= 1)).all()):
        return False
    return bool(((scores.double().sum(1) - 1).abs() < 1e-4).all())
