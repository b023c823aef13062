"""torchvision's classifiers: how they are built, and what is published with their weights."""

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from reportgen.report.records import Preprocessing

# Files that circulate outside torchvision and whose training is known, by SHA-256.
_KNOWN_FILES = {
    "192f39a585f615a20ba06863808e56325a7410f94cbbd779e607cec5378d8c9d": (
        "SqueezeNet 1.1 trained on ImageNet-1k by DeepScale (a known file)"
    ),
}
DOUBLES = {"resnet18": "resnetblur18", "resnet50": "resnetaa50 and resnetblur50"}
"Networks of timm whose weights have the same names and shapes, and that compute something else."
REORDERS_COLOURS = frozenset({"googlenet", "inception_v3"})
"Have a switch, `transform_input`, that weights do not show, and auxiliary heads."


@dataclass(frozen=True)
class Publication:
    """What is known about images and classes of a torchvision architecture, or of one file."""

    preprocessing: Preprocessing | None
    labels: tuple[str, ...]
    labels_source: str
    is_torchvisions_own: bool
    "Whether the file is one that torchvision publishes."


def classifiers() -> list[str]:
    """Names of all of torchvision's image classifiers."""
    from torchvision import models

    names: list[str] = models.list_models(module=models)
    return names


def close_names(name: str) -> list[str]:
    """Classifiers whose name is like a mistyped one."""
    close: list[str] = get_close_matches(name.lower(), classifiers(), n=3, cutoff=0.5)
    return close


def variants(name: str) -> list[dict[str, Any]]:
    """Arguments that change which weights there are, beside the class count."""
    return [{"aux_logits": True}, {"aux_logits": False}] if name in REORDERS_COLOURS else [{}]


def build(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A torchvision classifier with shapes but no values yet: on the meta device."""
    from torchvision import models

    if name in REORDERS_COLOURS:
        # The values are loaded; without this torchvision warns and draws them for seconds.
        arguments = {"init_weights": False, **arguments}
    with torch.device("meta"), Counting() if name.startswith("regnet") else nullcontext():
        net: nn.Module = models.get_model(name, **arguments)
    return net


_COUNTED = (torch.arange, torch.linspace, torch.tensor)


class Counting(TorchFunctionMode):
    """Keeps tensors with which widths are computed, as in RegNet, off the meta device."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        device = {"device": "cpu"} if function in _COUNTED else {}
        return function(*args, **{**(kwargs or {}), **device})


def first_convolution(net: nn.Module) -> str:
    """Name of the convolution that takes the image."""
    convolutions = (n for n, module in net.named_modules() if isinstance(module, nn.Conv2d))
    return str(next(convolutions))


def take_channels(net: nn.Module, channels: int) -> None:
    """Make the first convolution take images of another number of channels; its values are lost."""
    stem = net.get_submodule(first_convolution(net))
    assert isinstance(stem, nn.Conv2d)
    if channels != stem.in_channels:
        stem.in_channels = channels
        shape = (stem.out_channels, channels, *stem.kernel_size)
        stem.weight = nn.Parameter(torch.empty(shape, device="meta"))


def hash_digits(url: str) -> str:
    """The first digits of a file's SHA-256, which torchvision writes into its address."""
    found = re.search(r"-([0-9a-f]{8,})\.pth$", url)
    return found[1] if found else ""


def own_or_first(name: str, sha256: str) -> tuple[Any, bool, str]:
    """One of torchvision's weights of a network, whether they are the file's, and that in words.

    Args:
        name: of the network.
        sha256: of the file.
    """
    from torchvision import models

    members = list(models.get_model_weights(name))
    own = [member for member in members if sha256.startswith(hash_digits(member.url) or "-")]
    source = f"published with torchvision's weights for {name}"
    source += ": this very file" if own else "; assumed for this file"
    return (own or members)[0], bool(own), source


def published(
    name: str, sha256: str, size: tuple[int, int] | None, channels: int, classes: int
) -> Publication:
    """What torchvision publishes with the weights of `name`, and whether this file is one of them.

    Args:
        name: a classifier of torchvision.
        sha256: of the file.
        size: (height, width) where the network fixes it.
        channels: that the network takes.
        classes: that the network tells apart.
    """
    from torchvision import models

    members = [member for member in models.get_model_weights(name) if member.meta["categories"]]
    for member in members:
        digits = hash_digits(member.url)
        if digits and sha256.startswith(digits):
            source = f"published with torchvision's weights ({name}, {member.name}): this very file"
            return Publication(
                preprocessing=_preprocessing(member, size, 3, source, is_assumed=False),
                labels=tuple(member.meta["categories"]),
                labels_source="torchvision's published weights",
                is_torchvisions_own=True,
            )
    # V1 is the plain recipe (resize to 256, crop 224), which most people train with.
    first = next((member for member in members if member.name == "IMAGENET1K_V1"), members[0])
    fitting = [m for m in (first, *members) if size and m.transforms().crop_size[0] == size[0]]
    member = fitting[0] if fitting else first
    if sha256 in _KNOWN_FILES and classes == len(member.meta["categories"]):
        source = _KNOWN_FILES[sha256]
        return Publication(
            preprocessing=_preprocessing(member, size, 3, source, is_assumed=False),
            labels=tuple(member.meta["categories"]),
            labels_source=source,
            is_torchvisions_own=False,
        )
    source = f"published with torchvision's weights for {name}; assumed for this file"
    if channels == 1:
        source += ", with the mean of the three colours for its one channel"
    preprocessing = None
    if channels in (1, 3):
        preprocessing = _preprocessing(member, size, channels, source, is_assumed=True)
    return Publication(preprocessing, (), "", False)


def _preprocessing(
    member: Any, size: tuple[int, int] | None, channels: int, source: str, *, is_assumed: bool
) -> Preprocessing:
    """The transforms of one set of published weights, for the size and channels of this network."""
    transforms = member.transforms()
    crop, resize = transforms.crop_size[0], transforms.resize_size[0]
    height, width = size or (crop, crop)
    if height != crop:
        resize = round(min(height, width) * resize / crop)
    mean, std = tuple(transforms.mean), tuple(transforms.std)
    if channels == 1:
        mean, std = (sum(mean) / 3,), (sum(std) / 3,)
    return Preprocessing(
        height=height,
        width=width,
        resize=resize,
        interpolation=transforms.interpolation.value,
        mean=mean,
        std=std,
        channels=channels,
        source=source,
        is_assumed=is_assumed,
    )
