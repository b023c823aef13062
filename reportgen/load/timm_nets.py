"""timm's networks: how they are built, and what timm says about their images and classes."""

from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any, TypeAlias

import torch
from torch import nn
from torchvision.models._meta import _IMAGENET_CATEGORIES

from reportgen.errors import OptionError
from reportgen.load.prefixes import Weights
from reportgen.load.sizes import size_in
from reportgen.load.torchvision_nets import Counting, Publication
from reportgen.report.records import Preprocessing

Metadata: TypeAlias = Mapping[str, Any]
"What timm calls `pretrained_cfg`: plain values about one set of published weights."

_IMAGENET = len(_IMAGENET_CATEGORIES)
_INTERPOLATIONS = frozenset({"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"})
_COLOURS = 3


def require_timm(asked: str) -> None:
    """Refuse what needs timm where it is not installed.

    Args:
        asked: what needs it, as the user put it.

    Raises:
        OptionError: if it is missing.
    """
    if find_spec("timm") is None:
        raise OptionError(f"{asked} needs the package timm: pip install 'torch-reportgen[timm]'.")


def metadata(name: str, asked: str) -> Metadata:
    """What timm says of `NAME` or `NAME.TAG`, where the tag is one of its sets of weights.

    Raises:
        OptionError: if timm is missing, or knows no such network or tag.
    """
    require_timm(asked)
    import timm
    from timm.models import get_pretrained_cfg

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        close = get_close_matches(architecture.lower(), timm.list_models(), n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm has no such network."
        raise OptionError(f"{asked}: {hint}")
    known = tags(architecture)
    if tag and name not in known:
        listed = ", ".join(one.partition(".")[2] for one in known[:8])
        raise OptionError(
            f"{asked}: timm has no weights {tag!r} of {architecture}; it has {listed or 'none'}."
        )
    found = get_pretrained_cfg(name)
    return asdict(found) if found else {}


def build(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network of timm with random values, which are to be replaced.

    Not on the meta device: tables that are not saved with weights, such as Swin's, need values.

    Raises:
        OptionError: if its constructor does not take these arguments.
    """
    import timm

    if refused := {"pretrained", "checkpoint_path", "pretrained_cfg"} & arguments.keys():
        raise OptionError(
            f"--arch-args: `{min(refused)}` would read other weights than the file's."
        )
    try:
        net: nn.Module = timm.create_model(name.partition(".")[0], **arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise OptionError(f"--arch-args do not suit {name}: {error}") from error
    return net


def tags(name: str) -> list[str]:
    """Every published set of weights of a network, as `NAME.TAG`."""
    import timm

    found: list[str] = timm.list_models(f"{name}.*", pretrained=True)
    return found


def outlined(name: str, classes: int) -> nn.Module:
    """A network with shapes and no values: on the meta device."""
    import timm

    try:
        with torch.device("meta"):
            net: nn.Module = timm.create_model(name, num_classes=classes)
    except (NotImplementedError, RuntimeError, TypeError):
        with torch.device("meta"), Counting():
            net = timm.create_model(name, num_classes=classes)
    return net


def sizes_in(weights: Weights, known: Metadata) -> dict[str, int]:
    """Arguments that weights tell: the class count (0 without a classifier), and the channels."""
    head = _weight(weights, known.get("classifier"))
    sizes = {"num_classes": int(head.shape[0]) if head is not None else 0}
    stem = _weight(weights, known.get("first_conv"))
    if stem is not None and stem.ndim == 4 and stem.shape[1] != _COLOURS:
        sizes["in_chans"] = int(stem.shape[1])
    return sizes


def _weight(weights: Weights, layer: Any) -> Any:
    """The weight of a layer that timm names, alone or as the first of several."""
    name = layer[0] if isinstance(layer, (tuple, list)) and layer else layer
    return weights.get(f"{name}.weight")


def fixed_size(known: Metadata, arguments: Mapping[str, Any]) -> tuple[int, int] | None:
    """(height, width) that the network takes and no other; None where any will do."""
    if arguments.get("dynamic_img_size"):
        return None
    fixed = known.get("input_size") if known.get("fixed_input_size") else None
    return size_in(arguments.get("img_size")) or size_in(fixed)


def publication(
    known: Metadata,
    *,
    channels: int,
    classes: int,
    size: tuple[int, int] | None,
    source: str,
    is_assumed: bool,
) -> Publication:
    """Preprocessing and class names from timm's metadata.

    Args:
        known: the metadata.
        channels: that the network takes.
        classes: that it tells apart.
        size: (height, width) that the network is fixed to, where that is known.
        source: where the metadata come from, in words.
        is_assumed: whether it is only assumed that they are of these weights.
    """
    preprocessing = _preprocessing(known, channels, size, source, is_assumed)
    labels = () if is_assumed else _labels(known, classes)
    return Publication(preprocessing, labels, source if labels else "", False)


def _preprocessing(
    known: Metadata, channels: int, size: tuple[int, int] | None, source: str, is_assumed: bool
) -> Preprocessing | None:
    """The transforms of timm for evaluation; None where its metadata cannot be followed."""
    try:
        height, width = (int(side) for side in known["input_size"][-2:])
        crop = float(known.get("crop_pct") or 0.875)
        mean, std = (tuple(float(v) for v in known[name]) for name in ("mean", "std"))
    except (KeyError, TypeError, ValueError):
        return None
    interpolation = str(known.get("interpolation") or "bicubic")
    is_sound = min(height, width) > 0 and 0 < crop <= 1 and min(std, default=0) > 0
    if not is_sound or interpolation not in _INTERPOLATIONS:
        return None
    height, width = size or (height, width)
    mode = known.get("crop_mode") or "center"
    if channels == 1 and len(mean) == len(std) == _COLOURS:
        mean, std = (sum(mean) / _COLOURS,), (sum(std) / _COLOURS,)
        source += ", with the mean of the three colours for its one channel"
    if len(mean) != channels or len(std) != channels:
        return None
    if mode == "border" or (mode == "squash" and crop < 1):
        how = "squeezes and crops" if mode == "squash" else "fits with a border"
        source += f", but for the crop: timm {how} images, here they are squeezed whole"
    return Preprocessing(
        height=height,
        width=width,
        # As timm rounds it: down, of the shorter side.
        resize=int(min(height, width) / crop) if mode == "center" else None,
        interpolation=interpolation,
        mean=mean,
        std=std,
        channels=channels,
        source=source,
        is_assumed=is_assumed,
    )


def _labels(known: Metadata, classes: int) -> tuple[str, ...]:
    """One name a class: those that come with the weights, else ImageNet's for its 1000 classes."""
    names = known.get("label_names")
    if isinstance(names, (list, tuple)):
        described = known.get("label_descriptions")
        described = described if isinstance(described, Mapping) else {}
        found = tuple(str(described.get(name, name)) for name in names)
        return found if len(found) == classes else ()
    if classes == known.get("num_classes") == _IMAGENET and not known.get("label_offset"):
        return tuple(_IMAGENET_CATEGORIES)
    return ()
