"""Weights to the network they belong to: recognised, or built by the user's constructor."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load import torchvision_nets
from reportgen.load.architectures import (
    Architecture,
    differences,
    nearest,
    recognise,
    shapes_of,
)
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.fitting import class_count, fit, listed, pour, unlike
from reportgen.load.prefixes import Weights, readings
from reportgen.load.salvage import SavedModule
from reportgen.load.torchvision_nets import Publication
from reportgen.load.user_code import construct, constructor, count_name, needs

_BY_SHAPES = "recognised from keys and shapes"
_BY_FLAG = "stated by flag"
_OWN_CODE = "If it is your own network, give its code: --arch FILE.py:NAME."


@dataclass(frozen=True, eq=False)
class Request:
    """One checkpoint, and the network that was asked for it."""

    file: str
    "File name without its folder."
    sha256: str
    checkpoint: Checkpoint
    arch: str
    arguments: Mapping[str, Any]
    "Of the constructor."


@dataclass(frozen=True, eq=False)
class Network:
    """A network with its weights, and how it is known."""

    module: nn.Module
    architecture: str
    source: str
    publication: Publication | None
    notes: tuple[str, ...]
    arguments: Mapping[str, Any]
    "Of the constructor."


def network_for(request: Request) -> Network:
    """The network of a checkpoint, with its weights, in eval mode.

    Raises:
        ModelError: if it is not recognised, or is another than the one asked for.
        OptionError: if what was asked for does not exist or make sense.
    """
    if not request.arch:
        return _recognised(request)
    place, _, name = request.arch.rpartition(":")
    if place == "torchvision":
        return _of_torchvision(request, name)
    if not place.endswith(".py"):
        raise OptionError(f"--arch {request.arch}: give FILE.py:NAME or torchvision:NAME.")
    make = constructor(request.arch)
    return _built(request, make, count_name(make))


def _recognised(request: Request) -> Network:
    """The torchvision classifier whose weights these are."""
    for reading, notes in readings(request.checkpoint.tensors):
        matches = recognise(shapes_of(reading))
        if len(matches) > 1:
            names = ", ".join(architecture.name for architecture, _ in matches)
            raise ModelError(
                f"{request.file} fits several architectures ({names}); say which with "
                f"--arch torchvision:{matches[0][0].name}."
            )
        if matches:
            return _with_weights(request, *matches[0], reading, notes)
    raise ModelError(_unrecognised(request))


def _unrecognised(request: Request) -> str:
    """Name the class whose code is missing, or the nearest architecture and what differs."""
    shapes = [shapes_of(reading) for reading, _ in readings(request.checkpoint.tensors)]
    found = max(shapes, key=lambda shape: nearest(shape)[1] / (1 + len(shape)))
    architecture, shared = nearest(found)
    expected = architecture.expected(found)
    close = (
        f"the nearest architecture is torchvision's {architecture.name}, which shares {shared} of "
        f"its {len(expected)} entries: {listed(list(differences(expected, found)))}"
    )
    name = request.checkpoint.class_name.removeprefix("__torch__.")
    if name and not name.startswith("torchvision."):
        short = name.rsplit(".", 1)[-1]
        aside = f" ({close})" if 2 * shared > len(expected) else ""
        return (
            f"{request.file} holds a network of the class {name}, which needs its Python code: "
            f"--arch FILE.py:{short}{aside}."
        )
    return f"{request.file} holds no network that reportgen knows; {close}. {_OWN_CODE}"


def _of_torchvision(request: Request, name: str) -> Network:
    """The torchvision classifier that the user names, with the class count of the file."""
    if name not in torchvision_nets.classifiers():
        close = torchvision_nets.close_names(name)
        hint = f"did you mean {' or '.join(close)}?" if close else "there is no such classifier."
        raise OptionError(f"--arch {request.arch}: {hint}")
    if "weights" in request.arguments:
        raise OptionError("--arch-args: `weights` would download others; the file's are used.")
    for reading, notes in readings(request.checkpoint.tensors):
        for architecture, sizes in recognise(shapes_of(reading)):
            if architecture.name == name:
                return _with_weights(request, architecture, sizes, reading, notes)

    def make(**arguments: Any) -> nn.Module:
        return _torchvision_module(name, arguments)

    network = _built(request, make, "num_classes")
    return Network(network.module, name, network.source, None, network.notes, network.arguments)


def _with_weights(
    request: Request,
    architecture: Architecture,
    sizes: Mapping[str, int],
    reading: Weights,
    notes: tuple[str, ...],
) -> Network:
    """A known torchvision classifier, built for the sizes in the file, with its weights."""
    file, name = request.file, architecture.name
    arguments: dict[str, Any] = {**architecture.arguments, "num_classes": sizes["classes"]}
    size: tuple[int, int] | None = None
    if "positions" in sizes:
        side = _picture_side(architecture, sizes["positions"], file)
        arguments["image_size"], size = side, (side, side)
    publication = torchvision_nets.published(
        name, request.sha256, size, sizes["channels"], sizes["classes"]
    )
    modules = _own_modules(request.checkpoint, reading)
    said: list[str] = list(notes)
    if name in torchvision_nets.REORDERS_COLOURS:
        flag = modules[""].settings.get("transform_input") if "" in modules else None
        if isinstance(flag, bool):
            arguments["transform_input"] = flag
        else:
            arguments["transform_input"] = publication.is_torchvisions_own
        if flag is None and "transform_input" not in request.arguments:
            said.append(_colour_note(name, publication.is_torchvisions_own))
    arguments |= request.arguments
    module = _torchvision_module(name, arguments)
    if sizes["channels"] != 3:
        torchvision_nets.take_channels(module, sizes["channels"])
        said.append(
            f"The first convolution takes {sizes['channels']} channels, torchvision's takes 3; all "
            "else is torchvision's."
        )
    misfits = list(differences(shapes_of(module.state_dict()), shapes_of(reading)))
    if misfits:
        raise ModelError(f"{file} does not fit {name} with these --arch-args: {listed(misfits)}.")
    pour(module, reading, file)
    contradictions = unlike(module, modules, is_whole=request.checkpoint.format == "whole module")
    if contradictions and not request.arch:
        raise ModelError(
            f"{file} has the weights of torchvision's {name}, but another network around them: "
            f"{listed(contradictions)}. {_OWN_CODE}"
        )
    if contradictions:
        said.append(f"The file's own modules differ from {name}: {listed(contradictions)}.")
    saved_class = modules[""].name.removeprefix("__torch__.") if "" in modules else ""
    if saved_class and not saved_class.startswith("torchvision."):
        said.append(
            f"The file names the class {saved_class}; torchvision's {name}, which has the same "
            "weights, stands in for it."
        )
    source = _BY_FLAG if request.arch else _BY_SHAPES
    return Network(module, name, source, publication, tuple(said), arguments)


def _torchvision_module(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        return torchvision_nets.build(name, arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(f"--arch-args do not suit {name}: {error}") from error


def _picture_side(architecture: Architecture, positions: int, file: str) -> int:
    """Side in pixels of the images of a vision transformer, from its count of positions."""
    grid = math.isqrt(positions - 1)
    if grid * grid != positions - 1:
        raise ModelError(
            f"{file} is a {architecture.name} with {positions} positions, which are no square of "
            "patches and a class token."
        )
    return grid * int(architecture.patterns["conv_proj.weight"][-1])


def _colour_note(name: str, is_own: bool) -> str:
    if is_own:
        return f"{name}'s transform_input is on, as in torchvision's own use of this file."
    return (
        f"{name}'s transform_input is not stored with weights and assumed off; if the weights were "
        f"trained from torchvision's, use --arch torchvision:{name} --arch-args "
        "'{\"transform_input\": true}'."
    )


def _own_modules(checkpoint: Checkpoint, reading: Weights) -> Mapping[str, SavedModule]:
    """The file's modules, with the prefix taken off that was taken off its weights."""
    new, tensor = next(iter(reading.items()))
    old = next(name for name, given in checkpoint.tensors.items() if given is tensor)
    prefix = old.removesuffix(new)
    if not old.endswith(new):
        return {}
    return {
        f"{path}."[len(prefix) :].rstrip("."): module
        for path, module in checkpoint.modules.items()
        if f"{path}.".startswith(prefix) or not prefix
    }


def _built(request: Request, make: Callable[..., nn.Module], count: str) -> Network:
    """A network from a constructor, its class count taken from the file where that is plain."""
    tensors = request.checkpoint.tensors
    arguments = dict(request.arguments)
    said: list[str] = []
    if count and count not in arguments and needs(make, count):
        # The last weight of a classifier is as long as there are classes; the fit below judges it.
        arguments[count] = next(
            (len(tensor) for tensor in reversed(list(tensors.values())) if tensor.ndim), 1
        )
        said.append(f"{count} = {arguments[count]} was read from the file.")
    module = construct(make, arguments, request.arch)
    fitted = fit(module, tensors)
    if isinstance(fitted, list) and count and count not in request.arguments:
        classes = class_count(module, tensors)
        if classes is not None:
            said = [f"{count} = {classes} was read from the file."]
            arguments[count] = classes
            module = construct(make, arguments, request.arch)
            fitted = fit(module, tensors)
    who = type(module).__name__
    if isinstance(fitted, list):
        architecture, shared = nearest(shapes_of(tensors))
        hint = "Other arguments of its constructor go into --arch-args."
        if shared > 0.5 * len(architecture.patterns):
            hint = f"Its names are nearest to torchvision's {architecture.name}."
        raise ModelError(
            f"{request.file} does not fit {who} of --arch {request.arch}: {listed(fitted)}. {hint}"
        )
    reading, notes = fitted
    pour(module, reading, request.file)
    saved = request.checkpoint.class_name
    if saved and saved.rsplit(".", 1)[-1] != who:
        said.append(f"The file names the class {saved}; {request.arch} stands in for it.")
    return Network(module, who, _BY_FLAG, None, (*notes, *said), arguments)
