"""A torchvision classifier that was recognised, built for the sizes in a file, with its weights."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reportgen.errors import ModelError
from reportgen.load import torchvision_nets
from reportgen.load.architectures import Architecture, differences, shapes_of
from reportgen.load.built_network import torchvision_module
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.exported_network import program_network, saved_modules
from reportgen.load.fitting import listed, pour, unlike
from reportgen.load.prefixes import Weights
from reportgen.load.request import BY_FLAG, BY_SHAPES, OWN_CODE, Network, Request
from reportgen.load.salvage import SavedModule


def with_weights(
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
    exported = request.checkpoint.exported
    modules = saved_modules(request) if exported else own_modules(request.checkpoint, reading)
    said: list[str] = list(notes)
    if name in torchvision_nets.REORDERS_COLOURS:
        flag = modules[""].settings.get("transform_input") if "" in modules else None
        if isinstance(flag, bool):
            arguments["transform_input"] = flag
        else:
            arguments["transform_input"] = publication.is_torchvisions_own
        if flag is None and "transform_input" not in request.arguments:
            said.append(_colour_note(name, publication.is_torchvisions_own))
    is_known = request.arch or modules or publication.is_torchvisions_own
    if name in torchvision_nets.DOUBLES and not is_known:
        said.append(
            f"timm's {torchvision_nets.DOUBLES[name]} would have the same weights as {name}, and "
            f"give other numbers; {OWN_CODE[0].lower()}{OWN_CODE[1:]}"
        )
    arguments |= request.arguments
    module = torchvision_module(name, arguments)
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
    if contradictions and not request.arch and exported:
        network = program_network(request)
        note = f"The weights are those of torchvision's {name}, but not what is done with them: "
        return replace(network, notes=(*network.notes, f"{note}{listed(contradictions)}."))
    if contradictions and not request.arch:
        raise ModelError(
            f"{file} has the weights of torchvision's {name}, but another network around them: "
            f"{listed(contradictions)}. {OWN_CODE}"
        )
    if contradictions:
        said.append(f"The file's own modules differ from {name}: {listed(contradictions)}.")
    saved_class = modules[""].name.removeprefix("__torch__.") if "" in modules else ""
    if saved_class and not saved_class.startswith("torchvision."):
        said.append(
            f"The file names the class {saved_class}; torchvision's {name}, which has the same "
            "weights, stands in for it."
        )
    source = BY_FLAG if request.arch else BY_SHAPES
    return Network(module, name, source, publication, tuple(said), arguments)


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


def own_modules(checkpoint: Checkpoint, reading: Weights) -> Mapping[str, SavedModule]:
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
