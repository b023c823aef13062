"""A network that a Python program holds in its memory, known by its class and its weights."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy

import torch
from torch import nn
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy

from reportgen.errors import ModelError
from reportgen.load import timm_nets, torchvision_nets
from reportgen.load.architectures import recognise, shapes_of
from reportgen.load.dense_nets import own_preprocessing
from reportgen.load.model import LoadedModel, input_of, takes_volumes
from reportgen.load.request import BY_SHAPES
from reportgen.load.sizes import size_in

FORMAT = "nn.Module"


def given_network(module: nn.Module) -> LoadedModel:
    """The network as a program holds it: not copied, unless its weights are not in float32.

    Wrappers of `torch.compile` and of training on several devices are left aside. What torchvision
    publishes for one of its own networks is an assumption here, for the weights may be anyone's.

    Raises:
        ModelError: if it has no values, or is TorchScript.
    """
    module = _unwrapped(module)
    _check(module)
    kinds = {p.dtype for p in _values(module) if p.is_floating_point()}
    channels, size, notes = input_of(module)
    name, source = type(module).__name__, "its class in the program"
    publication = None
    matches = list(recognise(shapes_of(module.state_dict())))
    if len(matches) == 1 and type(module).__module__.startswith("torchvision.models."):
        (architecture, sizes), source = matches[0], BY_SHAPES
        name = architecture.name
        publication = torchvision_nets.published(
            name, "", size, sizes["channels"], sizes["classes"]
        )
    known = getattr(module, "pretrained_cfg", None)
    if type(module).__module__.startswith("timm.") and isinstance(known, Mapping):
        name = str(known.get("architecture") or name)
        # What it was made for, which need not be what its published weights are for: what cuts
        # images into patches knows it.
        stated = (size_in(getattr(part, "img_size", None)) for part in module.children())
        size = size or next(filter(None, stated), None) or timm_nets.fixed_size(known, {})
        publication = timm_nets.publication(
            known,
            channels=channels,
            classes=0,
            size=size,
            source=f"published with timm's weights for {name}; assumed for this network",
            is_assumed=True,
        )
    return LoadedModel(
        module=module if kinds <= {torch.float32} else deepcopy(module).float(),
        file="",
        sha256=weights_hash(module),
        architecture=name,
        architecture_source=source,
        format=FORMAT,
        dtype=", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds)) or "float32",
        preprocessing=publication.preprocessing if publication else own_preprocessing(module),
        labels=(),
        labels_source="",
        in_channels=channels,
        input_size=size,
        notes=notes,
        takes_volumes=takes_volumes(module),
    )


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names, shapes, kinds and values of the parameters and buffers of a network."""
    digest = hashlib.sha256()
    for name, tensor in _named_values(module):
        head = json.dumps([name, list(tensor.shape), str(tensor.dtype)])
        digest.update(f"{head}\n".encode())
        flat = tensor.detach().to("cpu").reshape(-1).contiguous()
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _named_values(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    # Not the state_dict, which may hold what is no tensor, and leave buffers out.
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _values(module: nn.Module) -> Iterator[torch.Tensor]:
    return (tensor for _, tensor in _named_values(module))


def _unwrapped(module: nn.Module) -> nn.Module:
    """The network itself, from behind `torch.compile` and DataParallel."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module


def _check(module: nn.Module) -> None:
    """Refuse what cannot be watched.

    Raises:
        ModelError: if it is such a network.
    """
    name = type(module).__name__
    if any(isinstance(part, ScriptModule) for part in module.modules()):
        raise ModelError(
            f"The network {name} is TorchScript, which cannot be watched at work; give the "
            "nn.Module that it was made from."
        )
    if any(is_lazy(tensor) for tensor in module.parameters()):
        raise ModelError(f"The network {name} has lazy layers: run it once on an image before.")
    if any(tensor.is_meta for tensor in _values(module)):
        raise ModelError(f"The network {name} lies on the meta device and has no values yet.")
