"""The functions of PyTorch that do a layer's work, under one name however they are spelled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn import modules

from reportgen.probe.evidence import Kind

_ACTIVATIONS = (
    "celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_softmax logsigmoid "
    "mish prelu relu relu6 rrelu selu sigmoid silu softmax softmin softplus softshrink softsign "
    "tanh tanhshrink threshold"
)
_POOLS = (
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d "
    "fractional_max_pool2d lp_pool1d lp_pool2d max_pool1d max_pool2d max_pool3d"
)
_CONVS = "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"
_NORMS = "batch_norm group_norm instance_norm layer_norm local_response_norm rms_norm"

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(_CONVS.split(), "conv"),
    **dict.fromkeys(_NORMS.split(), "norm"),
    **dict.fromkeys(_ACTIVATIONS.split(), "activation"),
    **dict.fromkeys(_POOLS.split(), "pool"),
    "bilinear": "linear",
    "linear": "linear",
    "multi_head_attention_forward": "other",
    "scaled_dot_product_attention": "other",
}
"Functions that are reported as calls of their own, outside of modules that are."

_SPELLINGS = {
    "adaptive_max_pool2d_with_indices": "adaptive_max_pool2d",
    "log_sigmoid": "logsigmoid",
    "max_pool2d_with_indices": "max_pool2d",
    "special_expit": "sigmoid",
    "special_log_softmax": "log_softmax",
    "special_softmax": "softmax",
}

_KINDS_BY_FILE: Mapping[str, Kind] = {
    modules.conv.__name__: "conv",
    modules.batchnorm.__name__: "norm",
    modules.instancenorm.__name__: "norm",
    modules.normalization.__name__: "norm",
    modules.activation.__name__: "activation",
    modules.pooling.__name__: "pool",
    modules.linear.__name__: "linear",
}
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def operation_name(function: Callable[..., Any]) -> str:
    """`relu` for `F.relu`, `torch.relu`, `Tensor.relu` and `relu_`; `T` for the property."""
    name = getattr(function, "__name__", "")
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", "")
    name = name.strip("_")
    return _SPELLINGS.get(name, name)


def argument(
    args: Sequence[Any], kwargs: Mapping[str, Any], index: int, name: str, default: Any
) -> Any:
    """An argument that may be given by place or by name."""
    return args[index] if index < len(args) else kwargs.get(name, default)


def rectifies(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a function turns negative values into zeros: ReLU and its bounded kin."""
    match name:
        case "relu" | "relu6":
            return True
        case "hardtanh":
            return bool(argument(args, kwargs, 1, "min_val", -1.0) == 0)
        case "threshold":
            threshold = argument(args, kwargs, 1, "threshold", None)
            return bool(argument(args, kwargs, 2, "value", None) == 0 == threshold)
        case "clamp" | "clip" | "clamp_min":
            low = argument(args, kwargs, 1, "min", None)
            return isinstance(low, (int, float)) and low == 0
    return False


def kind_of_function(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Kind | None:
    """What a function does; None where it is no layer's work, such as a sum or a reshape."""
    return KINDS.get(name) or ("activation" if rectifies(name, args, kwargs) else None)


def kind_of(module: nn.Module) -> Kind:
    """What a module does, by the torch.nn class that it is or comes from."""
    if isinstance(module, (nn.MultiheadAttention, nn.Identity)):
        return "other"
    for base in type(module).__mro__:
        if base.__module__ in _KINDS_BY_FILE:
            return _KINDS_BY_FILE[base.__module__]
    return "other"


def is_leaf(module: nn.Module) -> bool:
    """Whether a module has no modules inside, parametrizations of its weights aside."""
    return not isinstance(module, _CONTAINERS) and all(
        name == "parametrizations" for name, _ in module.named_children()
    )


def is_atomic(module: nn.Module) -> bool:
    """Whether a module is one layer as a whole: a leaf of torch.nn, or attention.

    What goes on inside is not reported. A user's own leaf is looked into, for it may hold anything.
    """
    if isinstance(module, nn.MultiheadAttention):
        return True
    return _are_of_torch(type(module).__mro__) and is_leaf(module)


@lru_cache(256)  # parametrizations make a class for each module
def _are_of_torch(classes: tuple[type, ...]) -> bool:
    """Whether one of the classes that a module is of is a layer of torch.nn."""
    return any(
        base.__module__.startswith("torch.nn.modules.") and base is not nn.Module
        for base in classes
    )


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested tuples, lists and mappings, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
