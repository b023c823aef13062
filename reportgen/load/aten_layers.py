"""Functions of a program that were calls of a layer, turned back into that layer of `torch.nn`.

A `conv2d` in the module `conv1` with `conv1.weight` was `nn.Conv2d`. What does not fit exactly
stays a function.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from reportgen.load.aten import filled, overwrites
from reportgen.load.program import Name, Operation, Weight

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"Of parameters and buffers, by path."

_CONVOLUTIONS: Mapping[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "conv_transpose1d": nn.ConvTranspose1d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "conv_transpose3d": nn.ConvTranspose3d,
}
_BATCH_NORMS: Mapping[str, type[nn.Module]] = {
    "BatchNorm1d": nn.BatchNorm1d,
    "BatchNorm2d": nn.BatchNorm2d,
    "BatchNorm3d": nn.BatchNorm3d,
    "SyncBatchNorm": nn.BatchNorm2d,
}
_ANY = object()
# Layers without weights: the function that each calls, and what of its arguments is no setting,
# with the one value that fits the layer.
_PLAIN: Mapping[str, tuple[type[nn.Module], str, Mapping[str, Any]]] = {
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d, "adaptive_avg_pool1d", {}),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d, "adaptive_avg_pool2d", {}),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d, "adaptive_max_pool2d", {}),
    "AvgPool1d": (nn.AvgPool1d, "avg_pool1d", {}),
    "AvgPool2d": (nn.AvgPool2d, "avg_pool2d", {}),
    "AvgPool3d": (nn.AvgPool3d, "avg_pool3d", {}),
    "CELU": (nn.CELU, "celu", {}),
    "ChannelShuffle": (nn.ChannelShuffle, "channel_shuffle", {}),
    "Dropout": (nn.Dropout, "dropout", {"train": _ANY}),
    "Dropout2d": (nn.Dropout2d, "feature_dropout", {"train": _ANY}),
    "ELU": (nn.ELU, "elu", {"scale": 1, "input_scale": 1}),
    "Flatten": (nn.Flatten, "flatten", {}),
    "GELU": (nn.GELU, "gelu", {}),
    "GLU": (nn.GLU, "glu", {}),
    "Hardsigmoid": (nn.Hardsigmoid, "hardsigmoid", {}),
    "Hardswish": (nn.Hardswish, "hardswish", {}),
    "Hardtanh": (nn.Hardtanh, "hardtanh", {}),
    "LeakyReLU": (nn.LeakyReLU, "leaky_relu", {}),
    "LogSoftmax": (nn.LogSoftmax, "log_softmax", {"dtype": None}),
    "MaxPool1d": (nn.MaxPool1d, "max_pool1d", {}),
    "MaxPool2d": (nn.MaxPool2d, "max_pool2d", {}),
    "MaxPool3d": (nn.MaxPool3d, "max_pool3d", {}),
    "Mish": (nn.Mish, "mish", {}),
    "PixelShuffle": (nn.PixelShuffle, "pixel_shuffle", {}),
    "PixelUnshuffle": (nn.PixelUnshuffle, "pixel_unshuffle", {}),
    "ReLU": (nn.ReLU, "relu", {}),
    "ReLU6": (nn.ReLU6, "hardtanh", {"min_val": 0, "max_val": 6}),
    "SELU": (nn.SELU, "selu", {}),
    "SiLU": (nn.SiLU, "silu", {}),
    "Sigmoid": (nn.Sigmoid, "sigmoid", {}),
    "Softmax": (nn.Softmax, "softmax", {"dtype": None}),
    "Softplus": (nn.Softplus, "softplus", {}),
    "Tanh": (nn.Tanh, "tanh", {}),
}
_FIRST_TO_LAST, _LAST_TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def layer(operations: Sequence[Operation], shapes: Shapes) -> nn.Module | None:
    """The layer of `torch.nn` that did these operations in one call; None where none did exactly.

    Args:
        operations: all that happened in the call. It reads one tensor, the first argument of the
            first, and gives the first result of the last.
        shapes: of the network's weights.

    Returns:
        the layer on the meta device, with the names and shapes of its weights.
    """
    values = [filled(operation.target, operation.arguments) for operation in operations]
    names = [operation.target.partition(".")[0] for operation in operations]
    try:
        with torch.device("meta"):
            return _layer(operations, values, names, shapes)
    except (AssertionError, TypeError, ValueError):
        # A layer may refuse settings that its function takes, such as a share of 5 to be dropped.
        return None


def _layer(
    operations: Sequence[Operation],
    values: Sequence[dict[str, Any]],
    names: Sequence[str],
    shapes: Shapes,
) -> nn.Module | None:
    frame = operations[-1].frames[-1]
    if len(operations) == 2 and names[1] == "addmm":
        return _linear(operations, values, frame.path, shapes)
    if not isinstance(next(iter(values[0].values()), None), Name):
        return None
    if len(operations) == 1:
        return _one(names[0], frame.type.rpartition(".")[2], values[0], shapes, operations[0])
    follows = all(
        next(iter(after.values())) == Name(before.results[0])
        for before, after in zip(operations, values[1:], strict=False)
    )
    if follows and names == ["permute", "layer_norm", "permute"]:
        return _norm_of_maps(values, frame.path, shapes)
    if follows and len(names) == 2 and names[0] == "pad" and names[1] in _CONVOLUTIONS:
        return _padded(names[1], frame.path, values, shapes)
    return None


def _one(
    name: str, short: str, given: dict[str, Any], shapes: Shapes, operation: Operation
) -> nn.Module | None:
    """The layer that did one operation."""
    path = operation.frames[-1].path
    weights = {key: value.path for key, value in given.items() if isinstance(value, Weight)}
    if weights:
        return _with_weights(name, short, path, given, weights, shapes)
    if short not in _PLAIN or not operation.frames[-1].type.startswith("torch.nn.modules."):
        return None
    kind, function, fixed = _PLAIN[short]
    name, is_in_place = name.rstrip("_"), overwrites(operation.target)
    if name != function:
        return None
    settings = dict(list(given.items())[1:])
    if is_in_place:
        settings["inplace"] = True
    for key, value in fixed.items():
        # A network that was exported in training mode drops values at random; here it does not.
        if settings.pop(key) != value and value is not _ANY:
            return None
    return _made(kind, settings)


def _made(kind: type[nn.Module], settings: Mapping[str, Any]) -> nn.Module | None:
    """A layer with settings as a program gives them; None where they are not numbers and words."""
    axes = _AXES.get(kind.__name__[-2:], 1)
    plain = {}
    for key, value in settings.items():
        parts = value if isinstance(value, (tuple, list)) else (value,)
        if not all(part is None or isinstance(part, (bool, int, float, str)) for part in parts):
            return None
        if not parts:
            # An empty stride is that of the window.
            value = None
        elif isinstance(value, (tuple, list)):
            value = tuple(value) * (axes if len(value) == 1 and key in _OF_EACH_AXIS else 1)
        plain[key] = value
    return kind(**plain)


_AXES = {"2d": 2, "3d": 3}
"That a layer's window has, by the end of its name; others have one."
_OF_EACH_AXIS = frozenset(
    {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"}
)
"Settings of which a program may give one number for all axes."


def _with_weights(
    name: str,
    short: str,
    path: str,
    given: dict[str, Any],
    weights: Mapping[str, str],
    shapes: Shapes,
) -> nn.Module | None:
    """The layer that did one operation with weights of its own."""
    others = list(given.values())[1:]
    if any(isinstance(value, Name) for value in others):
        return None
    if any(weights[key] != f"{path}.{key}" for key in weights):
        return None
    shape = shapes[weights["weight"]] if "weight" in weights else ()
    if name == "convolution" and not given["transposed"]:
        name = f"conv{len(shape) - 2}d"
    has_bias = given.get("bias") is not None
    if name in _CONVOLUTIONS and shape:
        return _convolution(name, given, shape)
    match name:
        case "linear" if len(shape) == 2:
            return nn.Linear(shape[1], shape[0], bias=has_bias)
        case "batch_norm" | "_native_batch_norm_legit_no_training" if short in _BATCH_NORMS:
            is_tracked, is_affine = "running_mean" in weights, "weight" in weights
            if is_affine != has_bias or is_tracked != ("running_var" in weights):
                return None
            (size,) = shape or shapes[weights["running_mean"]]
            settings = {key: given[key] for key in ("eps", "momentum")}
            settings |= {"num_features": size, "affine": is_affine}
            return _made(_BATCH_NORMS[short], {**settings, "track_running_stats": is_tracked})
        case "layer_norm":
            settings = {"normalized_shape": given["normalized_shape"], "eps": given["eps"]}
            return _made(nn.LayerNorm, {**settings, "bias": has_bias}) if shape else None
        case "group_norm" if shape and has_bias:
            settings = {"num_groups": given["num_groups"], "eps": given["eps"]}
            return _made(nn.GroupNorm, {**settings, "num_channels": shape[0]})
        case "prelu" if len(shape) == 1:
            return nn.PReLU(shape[0])
    return None


def _convolution(name: str, given: dict[str, Any], shape: tuple[int, ...]) -> nn.Module | None:
    is_transposed, groups = "transpose" in name, given["groups"]
    if not isinstance(groups, int):
        return None
    first, second = shape[0], shape[1] * groups
    keys = ("stride", "padding", "dilation", *(("output_padding",) if is_transposed else ()))
    settings = {
        "in_channels": first if is_transposed else second,
        "out_channels": second if is_transposed else first,
        "kernel_size": shape[2:],
        "groups": groups,
        "bias": given["bias"] is not None,
    }
    return _made(_CONVOLUTIONS[name], {**settings, **{key: given[key] for key in keys}})


def _padded(
    name: str, path: str, values: Sequence[dict[str, Any]], shapes: Shapes
) -> nn.Module | None:
    """A convolution that pads by reflecting or repeating, or by going round."""
    padding, given = values
    weights = {key: value.path for key, value in given.items() if isinstance(value, Weight)}
    sides = padding["pad"]
    is_even = sides[::2] == sides[1::2] and not any(given["padding"])
    if not is_even or padding["mode"] == "constant" or "transpose" in name:
        return None
    made = _with_weights(name, "", path, {**given, "padding": sides[::-2]}, weights, shapes)
    if isinstance(made, nn.modules.conv._ConvNd):
        made.padding_mode = padding["mode"]
        # What the layer pads with, last axis first.
        made._reversed_padding_repeated_twice = list(sides)
    return made


def _linear(
    operations: Sequence[Operation],
    values: Sequence[dict[str, Any]],
    path: str,
    shapes: Shapes,
) -> nn.Module | None:
    """A linear layer that was taken apart into a transposition and a product."""
    turned, product = values
    is_turned = operations[0].target == "t.default" or turned.get("dims") == (1, 0)
    weight, bias = turned["self"], product["self"]
    is_own = weight == Weight(f"{path}.weight") and bias == Weight(f"{path}.bias")
    is_product = product["mat2"] == Name(operations[0].results[0])
    if not (is_turned and is_own and is_product and isinstance(product["mat1"], Name)):
        return None
    if product["beta"] != 1 or product["alpha"] != 1:
        return None
    outputs, inputs = shapes[f"{path}.weight"]
    return nn.Linear(inputs, outputs)


def _norm_of_maps(values: Sequence[dict[str, Any]], path: str, shapes: Shapes) -> nn.Module | None:
    """ConvNeXt's norm over the channels of a map, between two permutations."""
    before, given, after = values
    weights = {key: value.path for key, value in given.items() if isinstance(value, Weight)}
    is_permuted = before["dims"] == _FIRST_TO_LAST and after["dims"] == _LAST_TO_FIRST
    if not is_permuted or weights != {"weight": f"{path}.weight", "bias": f"{path}.bias"}:
        return None
    norm: nn.Module = LayerNorm2d(shapes[weights["weight"]], eps=given["eps"])
    return norm
