"""Tells of each node of a traced network what kind of operation it is.

What is not known for sure is `Whole`: slower, never wrong.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn

from reportgen.probe.occlusion.kinds import (
    Concatenation,
    Join,
    Kind,
    Mean,
    Measure,
    Pointwise,
    Whole,
    convolution,
    pooling,
)

POINTWISE_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Hardshrink, nn.Softshrink),
    *(nn.Tanhshrink, nn.Threshold, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Sigmoid, nn.Tanh),
    *(nn.Identity, nn.BatchNorm2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)
POINTWISE = {
    *("relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("hardswish", "hardsigmoid", "hardtanh", "hardshrink", "softshrink", "tanhshrink"),
    *("threshold", "softplus", "softsign", "logsigmoid", "sigmoid", "tanh", "erf", "exp", "log"),
    *("abs", "neg", "sqrt", "rsqrt", "square", "reciprocal", "clamp", "clamp_min", "clamp_max"),
    *("clip", "clone", "detach", "float", "double", "half", "bfloat16"),
}
"Names of functions and of methods."
JOINS = {"add", "sub", "mul", "truediv", "div", "true_divide", "maximum", "minimum", "pow"}
CONCATENATIONS = {"cat", "concat", "concatenate"}
_POOLING = ("input", "kernel_size", "stride", "padding")
_DROPOUT = ("input", "p", "training")
_NORM = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
ARGUMENTS = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "max_pool2d": (*_POOLING, "dilation", "ceil_mode", "return_indices"),
    "avg_pool2d": (*_POOLING, "ceil_mode", "count_include_pad", "divisor_override"),
    "adaptive_avg_pool2d": ("input", "output_size"),
    "mean": ("input", "dim", "keepdim"),
    "batch_norm": ("input", *_NORM),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "linear": ("input", "weight", "bias"),
    **dict.fromkeys(("dropout", "dropout2d", "dropout3d", "alpha_dropout"), _DROPOUT),
    "stochastic_depth": ("input", "p", "mode", "training"),
    **dict.fromkeys(CONCATENATIONS, ("tensors", "dim")),
}
"Names of the arguments of functions, in order."
MODULES: dict[type[nn.Module], str] = {
    nn.MaxPool2d: "max_pool2d",
    nn.AvgPool2d: "avg_pool2d",
    nn.AdaptiveAvgPool2d: "adaptive_avg_pool2d",
    nn.LayerNorm: "layer_norm",
    nn.Linear: "linear",
}
"The functions that modules call; their arguments are attributes."
FIRST_TO_LAST, LAST_TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
ONE = (1, (1, 1), [1, 1])


def has_hooks(module: nn.Module) -> bool:
    """Whether more than `forward` runs when a module is called."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


class Recogniser:
    """Goes through the nodes of a network in their order."""

    def __init__(self, modules: Mapping[str, nn.Module], constants: Mapping[fx.Node, Any]) -> None:
        """Starts at the image.

        Args:
            modules: by path.
            constants: results of the nodes that do not depend on the image; may grow meanwhile.
        """
        self._modules = modules
        self._constants = constants
        self._is_last: dict[fx.Node, bool] = {}

    def mixes_images(self, node: fx.Node) -> bool:
        """Whether a node is a batch norm by the statistics of the images themselves."""
        if node.op == "call_module":
            module = self._modules[str(node.target)]
            return isinstance(module, nn.modules.batchnorm._BatchNorm) and (
                module.running_mean is None or module.training
            )
        if name_of(node) != "batch_norm":
            return False
        given = self._arguments(node)
        return given is None or given.get("running_mean") is None or bool(given.get("training"))

    def kind(self, node: fx.Node, reads: Sequence[fx.Node]) -> tuple[Kind, bool]:
        """The kind of a node, and whether its result is a map with its channels last.

        Args:
            node: the next in order.
            reads: its inputs that depend on the image.
        """
        is_last = self._is_last.get(reads[0], False)
        is_same = all(self._is_last.get(read, False) == is_last for read in reads)
        name = name_of(node)
        kind: Kind = Whole()
        if self._permutation(node) == (LAST_TO_FIRST if is_last else FIRST_TO_LAST):
            kind, is_last = Pointwise(), not is_last
        elif name in ("size", "dim") or (name == "getattr" and node.args[1] in ("shape", "ndim")):
            kind = Measure()
        elif name in JOINS and is_same:
            kind = self._join(node, reads, is_last)
        elif name in CONCATENATIONS and is_same:
            given = self._arguments(node) or {}
            is_along_channels = given.get("dim", 0) in ((3, -1) if is_last else (1, -3))
            tensors = node.args[0] if node.args else None
            order = tuple(tensors) if isinstance(tensors, (list, tuple)) else ()
            if is_along_channels and set(order) == set(reads):
                kind = Concatenation(order)
        elif len(reads) == 1 and node.args and node.args[0] is reads[0]:
            kind = self._kind_of_one(node, is_last)
        self._is_last[node] = is_last and isinstance(kind, (Pointwise, Join, Concatenation))
        return kind, self._is_last[node]

    def _kind_of_one(self, node: fx.Node, is_last: bool) -> Kind:
        """The kind of what reads one map."""
        if node.op != "call_module":
            name, given = name_of(node), self._arguments(node)
            is_pointwise = name in POINTWISE
        else:
            module = self._modules[str(node.target)]
            is_convolution = isinstance(module, nn.Conv2d) and (
                type(module).forward is nn.Conv2d.forward and module.padding_mode == "zeros"
            )
            name = "conv2d" if is_convolution else MODULES.get(type(module), "")
            given = {key: getattr(module, key, None) for key in ARGUMENTS.get(name, ())}
            is_pointwise = type(module) in POINTWISE_MODULES
            if has_hooks(module) or len(node.args) > 1 or node.kwargs:
                return Whole()
            if is_last and type(module) in (nn.BatchNorm2d, nn.PReLU):
                # These read the channels from the second axis.
                return Whole()
        if is_pointwise:
            return Pointwise() if not (is_last and name == "prelu") else Whole()
        if given is None:
            return Whole()
        if is_last:
            is_norm = name == "layer_norm" and len(given["normalized_shape"]) == 1
            return Pointwise() if is_norm or name == "linear" else Whole()
        return _kind_of_function(name, given)

    def _join(self, node: fx.Node, reads: Sequence[fx.Node], is_last: bool) -> Kind:
        given = (*node.args, *node.kwargs.values())
        others = [argument for argument in given if argument not in reads]
        if not all(self._is_same_everywhere(other, is_last) for other in others):
            return Whole()
        return Pointwise() if len(reads) == 1 else Join()

    def _is_same_everywhere(self, operand: Any, is_last: bool) -> bool:
        """Whether an operand does not depend on the place."""
        value = self._constants.get(operand) if isinstance(operand, fx.Node) else operand
        if not isinstance(value, torch.Tensor):
            return isinstance(value, (int, float))
        sizes = (1,) * (4 - value.ndim) + tuple(value.shape)
        places = sizes[1:3] if is_last else sizes[2:4]
        return len(sizes) == 4 and sizes[0] == 1 and places == (1, 1)

    def _permutation(self, node: fx.Node) -> tuple[int, ...] | None:
        """The new order of the axes, where a node only permutes them."""
        if name_of(node) != "permute" or node.kwargs:
            return None
        axes = node.args[1] if len(node.args) == 2 else node.args[1:]
        if isinstance(axes, (tuple, list)) and all(isinstance(axis, int) for axis in axes):
            return tuple(int(axis) % len(axes) for axis in axes)
        return None

    def _arguments(self, node: fx.Node) -> dict[str, Any] | None:
        """The arguments of a call but the first, by name; None where others depend on the image."""
        names = ARGUMENTS.get(name_of(node), ())
        given: dict[str, Any] = dict(zip(names[1:], node.args[1:], strict=False)) | node.kwargs
        for key, value in given.items():
            if isinstance(value, fx.Node):
                if value not in self._constants:
                    return None
                given[key] = self._constants[value]
            elif isinstance(value, (tuple, list)) and any(isinstance(v, fx.Node) for v in value):
                return None
        return given


def _kind_of_function(name: str, given: Mapping[str, Any]) -> Kind:
    """The kind of a function of a map with its channels first, by its arguments."""
    match name:
        case "conv2d":
            return convolution(**given) or Whole()
        case "max_pool2d":
            return Whole() if given.get("return_indices") else pooling(True, **given)
        case "avg_pool2d":
            return pooling(False, **given)
        case "adaptive_avg_pool2d":
            return Mean(keeps_axes=True) if given.get("output_size") in ONE else Whole()
        case "mean":
            axes = given.get("dim")
            is_over_map = isinstance(axes, (tuple, list)) and {a % 4 for a in axes} == {2, 3}
            is_known = is_over_map and set(given) <= {"dim", "keepdim"}
            return Mean(bool(given.get("keepdim", False))) if is_known else Whole()
        case "batch_norm":
            return Pointwise()
        case "dropout" | "dropout2d" | "dropout3d" | "alpha_dropout" | "stochastic_depth":
            return Pointwise() if given.get("training") is False else Whole()
    return Whole()


def name_of(node: fx.Node) -> str:
    """The name of a function or a method of PyTorch or Python; empty for all other nodes."""
    if node.op == "call_method":
        return str(node.target)
    origin = getattr(node.target, "__module__", None) or "torch"
    is_known = origin.partition(".")[0] in ("torch", "torchvision", "_operator", "builtins")
    return str(getattr(node.target, "__name__", "")) if is_known else ""
