"""Tells of each node of a traced network what kind of operation it is.

What is not known for sure is `Whole`: slower, never wrong.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from reportgen.probe.occlusion.kinds import (
    Concatenation,
    Convolution,
    Join,
    Kind,
    Mean,
    Measure,
    Pointwise,
    Pooling,
    Whole,
)
from reportgen.probe.occlusion.windows import Reach

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
RANDOM = {"dropout", "dropout2d", "dropout3d", "alpha_dropout", "stochastic_depth"}
"Names of functions that do nothing where their argument `training` is false."
JOINS = {"add", "sub", "mul", "truediv", "div", "true_divide", "maximum", "minimum", "pow"}
FIRST_TO_LAST, LAST_TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def has_hooks(module: nn.Module) -> bool:
    """Whether more than `forward` runs when a module is called."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


class Recogniser:
    """Goes through the nodes of a network in their order."""

    def __init__(self, modules: Mapping[str, nn.Module], constants: dict[fx.Node, Any]) -> None:
        """Starts at the image.

        Args:
            modules: by path.
            constants: results of the nodes that do not depend on the image; it may grow meanwhile.
        """
        self._modules = modules
        self.constants = constants
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
        found = self._named(node, ("input", "mean", "var", "weight", "bias", "training"))
        return found is None or found.get("mean") is None or bool(found.get("training"))

    def kind(self, node: fx.Node, reads: Sequence[fx.Node]) -> tuple[Kind, bool]:
        """The kind of a node, and whether its result is a map with its channels last.

        Args:
            node: the next in order.
            reads: its inputs that depend on the image.
        """
        is_last = self._is_last.get(reads[0], False)
        kind: Kind = Whole()
        if node.op == "call_module" and len(reads) == 1 and node.args == tuple(reads):
            kind = self._kind_of_module(self._modules[str(node.target)], is_last)
        elif node.op in ("call_function", "call_method"):
            kind = self._kind_of_call(node, reads, is_last)
        order = self._permutation(node)
        if order == (LAST_TO_FIRST if is_last else FIRST_TO_LAST):
            kind, is_last = Pointwise(), not is_last
        elif not isinstance(kind, (Pointwise, Join, Concatenation)):
            is_last = False
        self._is_last[node] = is_last
        return kind, is_last

    def _kind_of_module(self, module: nn.Module, is_last: bool) -> Kind:
        if has_hooks(module):
            return Whole()
        if is_last:
            is_pointwise = type(module) in (*POINTWISE_MODULES, nn.Linear)
            is_norm = type(module) is nn.LayerNorm and len(module.normalized_shape) == 1
            # These two read the channels from the second axis.
            is_other = type(module) in (nn.BatchNorm2d, nn.PReLU)
            return Pointwise() if (is_pointwise or is_norm) and not is_other else Whole()
        if type(module) in POINTWISE_MODULES:
            return Pointwise()
        if isinstance(module, nn.Conv2d) and type(module).forward is nn.Conv2d.forward:
            if module.padding_mode != "zeros":
                return Whole()
            return _convolution(
                module.weight,
                module.bias,
                module.stride,
                module.padding,
                module.dilation,
                module.groups,
            )
        if type(module) is nn.MaxPool2d and not module.return_indices:
            return _pooling(
                module.kernel_size, module.stride, module.padding, module.dilation, is_maximum=True
            )
        if type(module) is nn.AvgPool2d:
            return _pooling(
                module.kernel_size,
                module.stride,
                module.padding,
                1,
                is_maximum=False,
                counts_padding=module.count_include_pad,
                divisor=module.divisor_override,
            )
        if type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1), [1, 1]):
            return Mean(keeps_axes=True)
        return Whole()

    def _kind_of_call(self, node: fx.Node, reads: Sequence[fx.Node], is_last: bool) -> Kind:
        name = name_of(node)
        if name in ("size", "dim") or (name == "getattr" and node.args[1] in ("shape", "ndim")):
            return Measure()
        if name in ("cat", "concat", "concatenate"):
            found = self._named(node, ("tensors", "dim"))
            tensors = list(node.args[0]) if node.args and isinstance(node.args[0], list) else []
            axes = (3, -1) if is_last else (1, -3)
            same = all(self._is_last.get(read, False) == is_last for read in reads)
            is_known = found is not None and found.get("dim", 0) in axes and same
            return Concatenation() if is_known and set(tensors) == set(reads) else Whole()
        if name in JOINS:
            return self._sum(node, reads, is_last)
        if len(reads) != 1 or not node.args or node.args[0] is not reads[0]:
            return Whole()
        if name in POINTWISE:
            return Pointwise() if not (is_last and name == "prelu") else Whole()
        if name in RANDOM:
            names = (
                ("input", "p", "mode", "training")
                if "stoch" in name
                else ("input", "p", "training")
            )
            found = self._named(node, names)
            return Pointwise() if found and found.get("training") is False else Whole()
        if name == "mean" or name == "adaptive_avg_pool2d":
            return self._mean(node, is_last)
        if is_last:
            return self._kind_of_last(node)
        return self._kind_of_first(node)

    def _sum(self, node: fx.Node, reads: Sequence[fx.Node], is_last: bool) -> Kind:
        if any(self._is_last.get(read, False) != is_last for read in reads):
            return Whole()
        others = [argument for argument in node.args if argument not in reads]
        if not all(self._is_same_everywhere(other, is_last) for other in others):
            return Whole()
        return Pointwise() if len(reads) == 1 else Join()

    def _is_same_everywhere(self, operand: Any, is_last: bool) -> bool:
        """Whether an operand does not depend on the place."""
        value = self.constants.get(operand) if isinstance(operand, fx.Node) else operand
        if not isinstance(value, torch.Tensor):
            return isinstance(value, (int, float))
        sizes = (1,) * (4 - value.ndim) + tuple(value.shape)
        places = sizes[1:3] if is_last else sizes[2:4]
        return len(sizes) == 4 and sizes[0] == 1 and places == (1, 1)

    def _mean(self, node: fx.Node, is_last: bool) -> Kind:
        if name_of(node) == "adaptive_avg_pool2d":
            found = self._named(node, ("input", "size"))
            size = found.get("size") if found else None
            is_one = size in (1, (1, 1), [1, 1]) and not is_last
            return Mean(keeps_axes=True) if is_one else Whole()
        found = self._named(node, ("input", "dim", "keepdim"))
        axes = found.get("dim") if found else None
        if found is None or "dtype" in found or not isinstance(axes, (tuple, list)):
            return Whole()
        wanted = (1, 2) if is_last else (2, 3)
        if sorted(axis % 4 for axis in axes) != list(wanted):
            return Whole()
        return Mean(keeps_axes=bool(found.get("keepdim", False))) if not is_last else Whole()

    def _kind_of_last(self, node: fx.Node) -> Kind:
        """The kind of a function of a map with its channels last."""
        if name_of(node) == "linear":
            found = self._named(node, ("input", "weight", "bias"))
            return Pointwise() if found else Whole()
        if name_of(node) == "layer_norm":
            found = self._named(node, ("input", "shape", "weight", "bias", "eps"))
            return Pointwise() if found and len(found["shape"]) == 1 else Whole()
        return Whole()

    def _kind_of_first(self, node: fx.Node) -> Kind:
        """The kind of a function of a map with its channels first."""
        name = name_of(node)
        if name == "batch_norm":
            names = ("input", "mean", "var", "weight", "bias", "training", "momentum", "eps")
            return Pointwise() if self._named(node, names) else Whole()
        if name == "conv2d":
            names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            found = self._named(node, names)
            if not found:
                return Whole()
            settings = (found.get(key, value) for key, value in zip(names[3:], (1, 0, 1, 1)))
            return _convolution(found["weight"], found.get("bias"), *settings)
        if name == "max_pool2d":
            names = ("input", "kernel", "stride", "padding", "dilation", "ceil_mode")
            found = self._named(node, (*names, "return_indices"), {"kernel_size": "kernel"})
            if not found or found.get("return_indices"):
                return Whole()
            return _pooling(
                found["kernel"],
                found.get("stride"),
                found.get("padding", 0),
                found.get("dilation", 1),
                is_maximum=True,
            )
        if name == "avg_pool2d":
            names = ("input", "kernel", "stride", "padding", "ceil_mode")
            more = ("count_include_pad", "divisor_override")
            found = self._named(node, (*names, *more), {"kernel_size": "kernel"})
            if not found:
                return Whole()
            return _pooling(
                found["kernel"],
                found.get("stride"),
                found.get("padding", 0),
                1,
                is_maximum=False,
                counts_padding=found.get("count_include_pad", True),
                divisor=found.get("divisor_override"),
            )
        return Whole()

    def _permutation(self, node: fx.Node) -> tuple[int, ...] | None:
        """The new order of the axes, where a node only permutes them."""
        if name_of(node) != "permute" or node.kwargs:
            return None
        axes = node.args[1] if len(node.args) == 2 else node.args[1:]
        if isinstance(axes, (tuple, list)) and all(isinstance(axis, int) for axis in axes):
            return tuple(axis % len(axes) for axis in axes)
        return None

    def _named(
        self, node: fx.Node, names: Sequence[str], renamed: Mapping[str, str] = {}
    ) -> dict[str, Any] | None:
        """The arguments of a call by name, constants as values; None where one moves.

        The first, which is the map itself, is left as it is.
        """
        given = dict(zip(names, node.args, strict=False))
        given.update({renamed.get(key, key): value for key, value in node.kwargs.items()})
        found = {}
        for key, value in given.items():
            if key == names[0]:
                continue
            if isinstance(value, fx.Node):
                if value not in self.constants:
                    return None
                value = self.constants[value]
            elif isinstance(value, (tuple, list)):
                if any(isinstance(item, fx.Node) for item in value):
                    return None
                value = tuple(value)
            found[key] = value
        return found


def name_of(node: fx.Node) -> str:
    """The name of a function or a method of PyTorch or Python; empty for all other nodes."""
    if node.op == "call_method":
        return str(node.target)
    origin = getattr(node.target, "__module__", None) or "torch"
    is_known = origin.partition(".")[0] in ("torch", "torchvision", "_operator", "builtins")
    return str(getattr(node.target, "__name__", "")) if is_known else ""


def _pair(value: Any) -> tuple[int, int]:
    first, second = (value, value) if isinstance(value, int) else (*value, *value)[:2]
    return int(first), int(second)


def _convolution(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Kind:
    strides, dilations = _pair(stride), _pair(dilation)
    kernel = (weight.shape[2], weight.shape[3])
    if padding == "same":
        beyond = [dilations[i] * (kernel[i] - 1) for i in (0, 1)]
        if any(cells % 2 for cells in beyond):
            return Whole()
        padding = (beyond[0] // 2, beyond[1] // 2)
    paddings = (0, 0) if padding == "valid" else _pair(padding)
    down, across = (Reach(kernel[i], strides[i], paddings[i], dilations[i]) for i in (0, 1))
    return Convolution(weight, bias, (down, across), groups)


def _pooling(
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    *,
    is_maximum: bool,
    counts_padding: bool = True,
    divisor: int | None = None,
) -> Pooling:
    kernels, paddings, dilations = _pair(kernel), _pair(padding), _pair(dilation)
    strides = _pair(stride) if stride not in (None, (), []) else kernels
    down, across = (Reach(kernels[i], strides[i], paddings[i], dilations[i]) for i in (0, 1))
    return Pooling((down, across), is_maximum, counts_padding, divisor)
