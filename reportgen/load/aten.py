"""The functions that a program may call: a closed list, each a known function of PyTorch.

`torch.export` names functions as PyTorch does inside (`aten`). Each name here stands for the public
function that does the same, so that the watch sees it as if a user had called it.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Function: TypeAlias = Callable[..., Any]

# Functions of `torch` and methods of tensors that take what aten takes, in the same order.
_OF_TORCH = (
    "abs.default adaptive_avg_pool1d.default add.Scalar add.Tensor addmm.default amax.default "
    "amin.default argmax.default avg_pool1d.default bmm.default cat.default celu.default "
    "celu_.default channel_shuffle.default chunk.default clamp.Tensor clamp.default "
    "clamp_.default clamp_max.default clamp_max_.default clamp_min.default clamp_min_.default "
    "clone.default concat.default conv1d.default conv1d.padding conv2d.default conv2d.padding "
    "conv3d.default conv3d.padding conv_transpose1d.default conv_transpose2d.input "
    "conv_transpose3d.input cos.default cumsum.default detach.default detach_.default div.Scalar "
    "div.Tensor div.Tensor_mode dropout.default dropout_.default eq.Scalar erf.default "
    "exp.default expm1.default feature_dropout.default feature_dropout_.default "
    "flatten.using_ints flip.default floor.default group_norm.default index_select.default "
    "layer_norm.default log.default log1p.default log_softmax.int logsumexp.default "
    "masked_fill.Scalar matmul.default max.dim max.other max_pool1d.default max_pool2d.default "
    "max_pool3d.default maximum.default mean.default mean.dim min.dim min.other minimum.default "
    "mm.default movedim.int movedim.intlist mul.Scalar mul.Tensor narrow.default ne.Scalar "
    "neg.default neg_.default permute.default pixel_shuffle.default pixel_unshuffle.default "
    "pow.Tensor_Scalar pow.Tensor_Tensor prelu.default reciprocal.default relu.default "
    "relu_.default reshape.default rms_norm.default roll.default round.default rsqrt.default "
    "rsub.Scalar rsub.Tensor select.int selu.default selu_.default sigmoid.default "
    "sigmoid_.default sign.default sin.default softmax.int split.Tensor split_with_sizes.default "
    "sqrt.default square.default squeeze.default squeeze.dim squeeze.dims stack.default "
    "std.correction std.dim sub.Scalar sub.Tensor sum.default sum.dim_IntList swapaxes.default "
    "t.default tanh.default tanh_.default tile.default transpose.int unbind.int unflatten.int "
    "unsqueeze.default var.correction var.dim where.self"
)
_OF_TENSORS = (
    "add_.Scalar add_.Tensor contiguous.default div_.Scalar div_.Tensor expand.default "
    "fill_.Scalar mul_.Scalar mul_.Tensor new_full.default new_ones.default new_zeros.default "
    "repeat.default sub_.Scalar sub_.Tensor type_as.default unsqueeze_.default view.default"
)
_OF_NETWORKS = (
    "adaptive_avg_pool2d.default adaptive_avg_pool3d.default avg_pool2d.default "
    "avg_pool3d.default gelu.default glu.default hardsigmoid.default hardswish.default "
    "hardtanh.default leaky_relu.default linear.default mish.default pad.default relu6.default "
    "scaled_dot_product_attention.default silu.default softplus.default"
)
_OF_PYTHON = "add sub mul floordiv mod neg eq ne lt le gt ge"
_MOST_AXES = 64
"That a tensor of PyTorch may have."


def _of_tensor(name: str, tensor: Tensor, /, *rest: Any, **named: Any) -> Any:
    # Looked up on what it is called with, which may stand in for a tensor while a network is
    # traced.
    return getattr(tensor, name)(*rest, **named)


def _same(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


def _sliced(
    tensor: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    if abs(dim) > _MOST_AXES:
        raise IndexError(f"there is no axis {dim}")
    places = [slice(None)] * dim if dim >= 0 else [Ellipsis]
    after = [slice(None)] * (-1 - dim) if dim < 0 else []
    result: Tensor = tensor[(*places, slice(start, end, step), *after)]
    return result


def _resampled(mode: str, tensor: Tensor, size: Any, /, *rest: Any) -> Tensor:
    corners, factors = rest if len(rest) == 2 else (None, *rest)
    return F.interpolate(tensor, size, factors, mode, corners)


def _cast(tensor: Tensor, dtype: torch.dtype | None = None, *_: Any, **__: Any) -> Tensor:
    return tensor if dtype is None else tensor.to(dtype)


def _convolution(
    x: Tensor, w: Tensor, b: Tensor | None, s: Any, p: Any, d: Any, t: bool, o: Any, g: int
) -> Tensor:
    axes = w.ndim - 2
    if t:
        result: Tensor = getattr(F, f"conv_transpose{axes}d")(x, w, b, s, p, o, g, d)
    else:
        result = getattr(F, f"conv{axes}d")(x, w, b, s, p, d, g)
    return result


_SPECIAL: Mapping[str, Function] = {
    "_softmax.default": lambda tensor, dim, _: torch.softmax(tensor, dim),
    "_log_softmax.default": lambda tensor, dim, _: torch.log_softmax(tensor, dim),
    "_to_copy.default": _cast,
    "_unsafe_view.default": torch.reshape,
    "adaptive_max_pool2d.default": partial(F.adaptive_max_pool2d, return_indices=True),
    "alias.default": _same,
    "constant_pad_nd.default": lambda tensor, pad, value=0.0: F.pad(tensor, pad, value=value),
    "_native_batch_norm_legit_no_training.default": lambda x, w, b, mean, var, momentum, eps: (
        F.batch_norm(x, mean, var, w, b, False, momentum, eps),
        None,
        None,
    ),
    "batch_norm.default": lambda x, w, b, mean, var, training, momentum, eps, _: F.batch_norm(
        x, mean, var, w, b, training, momentum, eps
    ),
    "convolution.default": _convolution,
    "elu.default": torch._C._nn.elu,
    "elu_.default": torch._C._nn.elu_,
    "hardtanh_.default": partial(F.hardtanh, inplace=True),
    "leaky_relu_.default": partial(F.leaky_relu, inplace=True),
    "index.Tensor": lambda tensor, indices: tensor[
        tuple(slice(None) if index is None else index for index in indices)
    ],
    "instance_norm.default": lambda x, w, b, mean, var, own, momentum, eps, _: F.instance_norm(
        x, mean, var, w, b, own, momentum, eps
    ),
    "hardsigmoid_.default": partial(F.hardsigmoid, inplace=True),
    "hardswish_.default": partial(F.hardswish, inplace=True),
    "lift_fresh_copy.default": torch.clone,
    "linalg_vector_norm.default": torch.linalg.vector_norm,
    "max_pool2d_with_indices.default": partial(F.max_pool2d, return_indices=True),
    "mish_.default": partial(F.mish, inplace=True),
    "native_layer_norm.default": lambda *given: (F.layer_norm(*given), None, None),
    "relu6_.default": partial(F.relu6, inplace=True),
    "silu_.default": partial(F.silu, inplace=True),
    "slice.Tensor": _sliced,
    "sym_size.int": lambda tensor, dim: tensor.size(dim),
    "to.dtype": _cast,
    "to.dtype_layout": _cast,
    "upsample_bicubic2d.vec": partial(_resampled, "bicubic"),
    "upsample_bilinear2d.vec": partial(_resampled, "bilinear"),
    "upsample_nearest2d.vec": partial(_resampled, "nearest"),
}
FUNCTIONS: Mapping[str, Function] = {
    **{name: getattr(torch, name.partition(".")[0]) for name in _OF_TORCH.split()},
    **{name: partial(_of_tensor, name.partition(".")[0]) for name in _OF_TENSORS.split()},
    **{name: getattr(F, name.partition(".")[0]) for name in _OF_NETWORKS.split()},
    **{f"_operator.{name}": getattr(operator, name) for name in _OF_PYTHON.split()},
    **_SPECIAL,
}
"What may be called, by the name that a program has for it. There is nothing else."

CHECKS = frozenset(
    {
        "_assert_scalar.default",
        "_assert_tensor_metadata.default",
        "sym_constrain_range.default",
        "sym_constrain_range_for_size.default",
    }
)
"What gives nothing: promises about sizes, which the program keeps without them."


def overwrites(target: str) -> bool:
    """Whether a function writes its result into its first argument."""
    return target.partition(".")[0].endswith("_")


@cache
def parameters_of(target: str) -> tuple[Any, ...]:
    """The parameters of a listed function of PyTorch: each has a name, and maybe a default."""
    name, overload = target.split(".")
    return tuple(getattr(getattr(torch.ops.aten, name), overload)._schema.arguments)


def filled(target: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a call by name, in order, those not given with their defaults.

    Raises:
        ValueError: if one is given that the function has not, or one is missing.
    """
    if target.startswith("_operator."):
        return dict(given)
    known = {parameter.name: parameter for parameter in parameters_of(target)}
    for name in given:
        if name not in known:
            raise ValueError(f"{target} has no argument {name[:40]!r}")
    for name, parameter in known.items():
        if name not in given and not parameter.has_default_value():
            raise ValueError(f"{target} lacks its argument {name!r}")
    return {name: given.get(name, p.default_value) for name, p in known.items()}


def placed(target: str, given: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Arguments by place and arguments by name, as the function takes them.

    Raises:
        ValueError: if they do not suit it.
    """
    if target.startswith("_operator."):
        return tuple(given.values()), {}
    everything = filled(target, given)
    only_named = {p.name for p in parameters_of(target) if p.kwarg_only}
    by_place = {name: value for name, value in everything.items() if name not in only_named}
    last = max((i for i, name in enumerate(by_place) if name in given), default=-1)
    named = {name: given[name] for name in given if name in only_named and given[name] is not None}
    # Where tensors are made and in what order they lie is not the program's business.
    for name in ("device", "layout", "pin_memory", "memory_format", "non_blocking"):
        named.pop(name, None)
    return tuple(by_place.values())[: last + 1], named
