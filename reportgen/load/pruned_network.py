"""A network that `reportgen prune` made, built again from the description beside it."""

from dataclasses import replace
from pathlib import Path

from reportgen.errors import ModelError, ReportgenError
from reportgen.load.built_network import built, maker
from reportgen.load.exported_network import program_network, saved_modules
from reportgen.load.fitting import listed, unlike
from reportgen.load.pruned_files import arguments_in, narrowing, publication
from reportgen.load.request import Network, Request
from reportgen.report.pruned import Pruned


def pruned_network(request: Request, pruned: Pruned, file: str) -> Network:
    """The network of a pruned checkpoint, with its weights, in eval mode.

    torchvision's and timm's are built and narrowed. A user's own is built if the user names its
    code, and else taken from the program, where there is one.

    Args:
        request: the checkpoint, and the network that was asked for it.
        pruned: what is said beside it.
        file: what says it, for messages.

    Raises:
        ModelError: if the description does not fit, or the network's code is needed.
        OptionError: if what was asked for does not exist or make sense.
    """
    exported = request.checkpoint.exported
    if request.arch:
        return _narrower(request, pruned, file)
    if pruned.architecture.startswith(("torchvision:", "timm:")):
        problem = f"{file} does not describe its weights: "
        try:
            network = _narrower(request, pruned, file)
            found = (
                unlike(network.module, saved_modules(request), is_whole=False) if exported else []
            )
            if not found:
                return network
            problem += f"{listed(found)}."
        except ReportgenError as error:
            problem += str(error)
            if not exported:
                raise ModelError(problem) from error
        # What is wrong about the modules is not believed about the images either.
        network = program_network(request)
        return replace(network, notes=(*network.notes, problem))
    if not exported:
        is_code = pruned.architecture.rpartition(":")[0].endswith(".py")
        arch = pruned.architecture if is_code else "FILE.py:NAME"
        raise ModelError(
            f"{request.file} is pruned from {pruned.architecture}, which needs its Python code: "
            f"--arch {arch}; or build the .pt2 file that was written with it."
        )
    network = program_network(request)
    return _published(network, network.architecture, pruned, file)


def _published(network: Network, name: str, pruned: Pruned, file: str) -> Network:
    """A network with the preprocessing and class names that it was pruned with."""
    known, notes = publication(pruned, file)
    return replace(
        network,
        architecture=f"{name}, pruned",
        publication=known,
        notes=(*network.notes, *notes),
    )


def _narrower(request: Request, pruned: Pruned, file: str) -> Network:
    """The network of a constructor, made as narrow as it was pruned."""
    arch = request.arch or pruned.architecture
    place, _, name = arch.rpartition(":")
    is_same = f"{Path(place).name}:{name}" == pruned.architecture
    arguments = request.arguments or (arguments_in(pruned) if is_same else {})
    asked = replace(request, arch=arch, arguments=arguments)
    make, count = maker(asked)
    network = built(asked, narrowing(make, pruned), count)
    name = name if place in ("torchvision", "timm") else network.architecture
    source = f"{len(pruned.widths)} modules are narrower, as {file} says"
    network = replace(network, source=source, pruned=pruned)
    return _published(network, name, pruned, file)
