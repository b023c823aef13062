"""A network of timm that was named, built for the sizes in a file, with its weights."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load import timm_nets
from reportgen.load.fitting import fit, listed, pour, unlike
from reportgen.load.known_network import own_modules
from reportgen.load.prefixes import Weights, readings
from reportgen.load.request import BY_FLAG, BY_TIMM, OWN_CODE, Network, Request
from reportgen.load.timm_nets import Metadata

_LISTED = 8
"Candidates that a message names."


def timm_network(request: Request, name: str, source: str = BY_FLAG) -> Network:
    """The network that timm calls `name`, which may end in the tag of its weights.

    Raises:
        ModelError: if the file's weights are those of another network.
        OptionError: if timm is missing, or knows no such network.
    """
    known = timm_nets.metadata(name, f"--arch timm:{name}")
    architecture, _, tag = name.partition(".")
    whose = f"timm's weights {name}" if tag else f"timm's weights for {architecture}"
    words = "as stated" if tag else "assumed for this file"
    return with_metadata(
        request,
        architecture,
        known,
        source=source,
        said=f"published with {whose}; {words}",
        is_assumed=not tag,
    )


def recognised_timm(request: Request, names: Sequence[str]) -> Network:
    """The network whose weights these are.

    Raises:
        ModelError: if several have such weights and compute other things with them.
        OptionError: if timm is missing.
    """
    if len(names) > 1:
        others = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise ModelError(
            f"{request.file} has weights that several networks of timm share, which may give other "
            f"answers with them ({', '.join(names[:_LISTED])}{others}); say which with --arch "
            f"timm:{names[0]}."
        )
    timm_nets.require_timm(f"{request.file} holds timm's {names[0]}, which")
    return timm_network(request, names[0], BY_TIMM)


def with_metadata(
    request: Request,
    architecture: str,
    known: Metadata,
    *,
    source: str,
    said: str,
    is_assumed: bool,
    settings: Mapping[str, Any] | None = None,
) -> Network:
    """A network of timm with the weights of a file, and what its metadata say of images.

    Args:
        request: the checkpoint, and arguments of the constructor that go over all others.
        architecture: timm's name of it.
        known: timm's metadata.
        source: how the network is known.
        said: where the metadata come from.
        is_assumed: whether it is only assumed that they are of these weights.
        settings: arguments of the constructor that come with the file.

    Raises:
        ModelError: if the file's weights are those of another network.
        OptionError: if its constructor does not take these arguments.
    """
    stated = {**(settings or {}), **request.arguments}
    module, arguments, reading, notes = _fitted(request, architecture, known, stated)
    pour(module, reading, request.file)
    checkpoint = request.checkpoint
    modules = own_modules(checkpoint, reading) if checkpoint.modules else {}
    contradictions = unlike(module, modules, is_whole=checkpoint.format == "whole module")
    if contradictions and source == BY_TIMM:
        raise ModelError(
            f"{request.file} has the weights of timm's {architecture}, but another network around "
            f"them: {listed(contradictions)}. {OWN_CODE}"
        )
    if contradictions:
        differ = f"The file's own modules differ from timm's {architecture}"
        notes = (*notes, f"{differ}: {listed(contradictions)}.")
    classes = int(getattr(module, "num_classes", 0))
    if not classes:
        notes = (
            *notes,
            f"{architecture} ends without a classifier: its outputs are features, and where "
            "classes are spoken of, they are numbers of features.",
        )
    channels = int(arguments.get("in_chans", 3))
    size = timm_nets.fixed_size(known, arguments)
    publication = timm_nets.publication(
        known, channels=channels, classes=classes, size=size, source=said, is_assumed=is_assumed
    )
    return Network(
        module, architecture, source, publication, notes, arguments, input=(channels, size)
    )


def _fitted(
    request: Request, architecture: str, known: Metadata, stated: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any], Weights, tuple[str, ...]]:
    """The network whose weights the file has, its arguments, and how its names were read."""
    best: list[str] = []
    tried: list[Mapping[str, Any]] = []
    for reading, _ in readings(request.checkpoint.tensors):
        arguments: dict[str, Any] = {**timm_nets.sizes_in(reading, known), **stated}
        for _ in range(2):
            if arguments in tried:
                break
            tried.append(arguments)
            module = _quietly_built(architecture, arguments)
            fitted = fit(module, request.checkpoint.tensors)
            if not isinstance(fitted, list):
                return module, arguments, *fitted
            best = fitted if not best or len(fitted) < len(best) else best
            side = None if "img_size" in stated else _picture_side(module, reading, known)
            if side is None:
                break
            arguments = {**arguments, "img_size": side}
    raise ModelError(
        f"{request.file} does not fit timm's {architecture}: {listed(best)}. Other arguments of "
        "its constructor go into --arch-args."
    )


def _quietly_built(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network, with the caller's random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm_nets.build(architecture, arguments)


def _picture_side(module: nn.Module, reading: Weights, known: Metadata) -> int | None:
    """Side in pixels of square images, from the file's table of positions; None where not known."""
    theirs, ours = reading.get("pos_embed"), getattr(module, "pos_embed", None)
    patches = getattr(getattr(module, "patch_embed", None), "patch_size", None)
    if theirs is None or ours is None or not patches or theirs.ndim != 3 or ours.ndim != 3:
        return None
    height, width = (int(side) for side in known["input_size"][-2:])
    before = int(ours.shape[1]) - (height // patches[0]) * (width // patches[1])
    side = math.isqrt(max(0, int(theirs.shape[1]) - before))
    if not side or theirs.shape == ours.shape or side * side + before != theirs.shape[1]:
        return None
    return side * int(patches[0])
