"""Makes layers of a network narrower: room for the weights that are left after pruning."""

import copy
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from reportgen.errors import ModelError

Widths: TypeAlias = Mapping[str, int]
"`out`, `in` and `groups` of one module; what is not named stays."

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_FEATURES = (nn.modules.batchnorm._NormBase,)
_TENSORS = frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})


def narrowed(module: nn.Module, widths: Mapping[str, Widths]) -> nn.Module:
    """A copy of a network in which some modules have fewer units, their weights filled with zeros.

    Everything else of these modules (stride, padding, eps, dtype, mode ...) and all other modules
    are as in `module`, which stays as it is.

    Args:
        module: the network, on any device, the meta device too.
        widths: for each module by its path what it is made to: `out` (output channels, features),
            `in` (input channels; of convolutions and linear layers) and `groups`.

    Raises:
        ModelError: if a module or a width does not exist, or would be wider than it is.
    """
    owners = Counter(id(t) for part in module.modules() for t in _own(part).values())
    kept: dict[int, object] = {}
    settings: dict[str, dict[str, object]] = {}
    for path, wanted in widths.items():
        part = _part(module, path)
        shapes, settings[path] = _narrow(path, part, wanted)
        for name, tensor in _own(part).items():
            if tensor.ndim == 0:
                continue
            fresh = _fresh(tensor, shapes[name])
            if owners[id(tensor)] > 1 and fresh.shape != tensor.shape:
                raise ModelError(f"{path}.{name} is shared with another module; it stays as it is.")
            if kept.setdefault(id(tensor), fresh).shape != fresh.shape:  # type: ignore[attr-defined]
                raise ModelError(f"{path} is listed twice, with different widths.")
    # A tensor that the memo holds is taken from there, so that only the others are copied.
    smaller = copy.deepcopy(module, kept)
    for path, values in settings.items():
        vars(smaller.get_submodule(path)).update(values)
    return smaller


def _own(part: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a module without its children."""
    held = {**part._parameters, **part._buffers}
    return {name: tensor for name, tensor in held.items() if tensor is not None}


def _part(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError as error:
        raise ModelError(f"The network has no module {path[:200]} to be narrowed.") from error


def _fresh(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    zeros = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(zeros, requires_grad=tensor.requires_grad)
    return zeros


def _narrow(
    path: str, part: nn.Module, wanted: Widths
) -> tuple[dict[str, tuple[int, ...]], dict[str, object]]:
    """The shapes of a module's tensors at other widths, and the settings that say these widths."""
    kind = type(part).__name__
    has = _widths(path, part)
    # A parametrised weight is a child module, which computes it from others.
    strangers = sorted({*_own(part), *part._modules} - _TENSORS)
    if strangers:
        raise ModelError(f"{path} ({kind}) holds {strangers[0]}, which cannot be narrowed.")
    for name, width in wanted.items():
        if name not in has:
            raise ModelError(f"{path} ({kind}) has no width `{name}`; it has {', '.join(has)}.")
        if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= has[name]:
            raise ModelError(
                f"{path} ({kind}) has {name} {has[name]} and cannot be made to {str(width)[:20]}."
            )
    new = {**has, **wanted}
    groups = new.get("groups", 1)
    if new["out"] % groups or new.get("in", 0) % groups:
        raise ModelError(f"{path} ({kind}) cannot be split into {groups} groups at these widths.")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_TENSORS, (new["out"],))
    settings: dict[str, object]
    if isinstance(part, _CONVOLUTIONS):
        shapes["weight"] = (new["out"], new["in"] // groups, *part.kernel_size)
        settings = {"out_channels": new["out"], "in_channels": new["in"], "groups": groups}
    elif isinstance(part, _TRANSPOSED):
        shapes["weight"] = (new["in"], new["out"] // groups, *part.kernel_size)
        settings = {"out_channels": new["out"], "in_channels": new["in"], "groups": groups}
    elif isinstance(part, nn.Linear):
        shapes["weight"] = (new["out"], new["in"])
        settings = {"out_features": new["out"], "in_features": new["in"]}
    elif isinstance(part, _FEATURES):
        settings = {"num_features": new["out"]}
    elif isinstance(part, nn.GroupNorm):
        settings = {"num_channels": new["out"], "num_groups": groups}
    elif isinstance(part, nn.LayerNorm):
        settings = {"normalized_shape": (new["out"],)}
    elif isinstance(part, nn.PReLU):
        settings = {"num_parameters": new["out"]}
    else:
        settings = {}
    return shapes, settings


def _widths(path: str, part: nn.Module) -> dict[str, int]:
    """The widths that a module has now.

    Raises:
        ModelError: if it is of a kind that has none.
    """
    if isinstance(part, (*_CONVOLUTIONS, *_TRANSPOSED)):
        return {"out": part.out_channels, "in": part.in_channels, "groups": part.groups}
    if isinstance(part, nn.Linear):
        return {"out": part.out_features, "in": part.in_features}
    if isinstance(part, _FEATURES):
        return {"out": part.num_features}
    if isinstance(part, nn.GroupNorm):
        return {"out": part.num_channels, "groups": part.num_groups}
    if isinstance(part, nn.LayerNorm) and len(part.normalized_shape) == 1:
        return {"out": part.normalized_shape[0]}
    if isinstance(part, nn.PReLU):
        return {"out": part.num_parameters}
    if isinstance(part, FrozenBatchNorm2d):
        return {"out": len(part.weight)}
    raise ModelError(f"{path} is a {type(part).__name__}, which has no width to be made narrower.")
