"""Weights to the network they belong to: recognised, built by a constructor, or a program's own."""

from collections.abc import Sequence
from dataclasses import replace

from reportgen.errors import ModelError
from reportgen.load.architectures import differences, nearest, recognise, shapes_of
from reportgen.load.built_network import built, maker
from reportgen.load.dense_nets import dense_fits, dense_names, dense_publication, take_eps
from reportgen.load.exported_network import program_network
from reportgen.load.fitting import listed
from reportgen.load.hub_network import hub_network
from reportgen.load.known_network import with_weights
from reportgen.load.prefixes import readings
from reportgen.load.pruned_network import pruned_network
from reportgen.load.request import BY_SHAPES, OWN_CODE, Network, Request
from reportgen.load.timm_index import timm_names
from reportgen.load.timm_network import recognised_timm, timm_network
from reportgen.load.video_nets import video_names, video_publication


def network_for(request: Request) -> Network:
    """The network of a checkpoint, with its weights, in eval mode.

    Raises:
        ModelError: if it is not recognised, or is another than the one asked for.
        OptionError: if what was asked for does not exist or make sense.
    """
    said = request.description
    if said.pruned:
        return pruned_network(request, said.pruned, said.file)
    if request.folder and not request.arch:
        return hub_network(request, request.folder)
    try:
        network = _asked(request) if request.arch else _recognised(request)
    except ModelError as error:
        raise ModelError(f"{error} {said.problem}".rstrip()) from error
    return replace(network, notes=(*network.notes, *filter(None, [said.problem])))


def _asked(request: Request) -> Network:
    """The network that the user names, with the class count of the file."""
    place, _, name = request.arch.rpartition(":")
    if place == "timm":
        return timm_network(request, name)
    make, count = maker(request)
    if place != "torchvision":
        return built(request, make, count)
    for reading, notes in readings(request.checkpoint.tensors):
        for architecture, sizes in recognise(shapes_of(reading)):
            if architecture.name == name:
                return with_weights(request, architecture, sizes, reading, notes)
    network = replace(built(request, make, count), architecture=name)
    if name in dense_names():
        take_eps(name, network.module, request.sha256)
        publication = dense_publication(name, network.module, request.sha256)
        return replace(network, publication=publication)
    if name in video_names():
        return replace(network, publication=video_publication(name, request.sha256))
    return network


def _recognised(request: Request) -> Network:
    """The classifier of torchvision, or else network of timm, whose weights these are."""
    for reading, notes in readings(request.checkpoint.tensors):
        matches = recognise(shapes_of(reading))
        if len(matches) > 1:
            raise ModelError(_several(request, [one.name for one, _ in matches]))
        if matches:
            return with_weights(request, *matches[0], reading, notes)
        # An exported program says itself what is done with the weights.
        shared = () if request.checkpoint.exported else timm_names(shapes_of(reading))
        if shared:
            return recognised_timm(request, shared)
        dense = () if request.checkpoint.exported else dense_fits(reading)
        if len(dense) > 1:
            raise ModelError(_several(request, dense))
        if dense:
            network = _asked(replace(request, arch=f"torchvision:{dense[0]}"))
            return replace(network, source=BY_SHAPES)
    if request.checkpoint.exported:
        return program_network(request)
    raise ModelError(_unrecognised(request))


def _several(request: Request, names: Sequence[str]) -> str:
    """Which architectures of torchvision have the same weights."""
    return (
        f"{request.file} fits several architectures ({', '.join(names)}); say which with "
        f"--arch torchvision:{names[0]}."
    )


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
    return f"{request.file} holds no network that reportgen knows; {close}. {OWN_CODE}"
