"""How each function of PyTorch changes what is known of a tensor: its layout and what it sees.

A function that is not listed gives an unknown layout and an unknown receptive field.
"""

from collections.abc import Mapping
from typing import Any

import torch

from reportgen.probe.flow import DIRECTIONS, Known, Operation, Rule
from reportgen.probe.layout import Axis, Layout, Role, axis, broadcast, maps, resized, role_of
from reportgen.probe.moves import MOVES
from reportgen.probe.operations import tensors_in
from reportgen.probe.receptive_field import gathered, windowed

_WITH_PLACES = (4, 5)
"Axes of (b c h w) and (b c slices h w), whose last two are followed."


def _elementwise(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layouts = [flow.layout for flow in operation.flows if flow.layout is not None]
    return broadcast(layouts, result.shape) if layouts else None, operation.spans


def _maps_like(operation: Operation, result: torch.Tensor) -> Layout | None:
    """(b c h w), with the batch axis of the operand, which may hold windows too."""
    if result.ndim != operation.operand.ndim or result.ndim < 3:
        return None
    before = operation.layout
    new = maps(result.shape)
    return (before[0], *new[1:]) if before else new


def _pair(value: Any) -> tuple[int, int]:
    """(down, across) of a setting given once, or for each direction, from the slices on."""
    if isinstance(value, (tuple, list)):
        return value[-2:][0], value[-1]
    return value, value


def _window(
    operation: Operation,
    result: torch.Tensor,
    kernel: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Known:
    layout = _maps_like(operation, result)
    if result.ndim not in _WITH_PLACES:
        return layout, operation.settled
    sizes, steps, gaps = _pair(kernel), _pair(stride), _pair(dilation)
    if padding == "same":
        # An odd total leaves its extra pixel at the far end.
        pads = tuple(gap * (size - 1) // 2 for size, gap in zip(sizes, gaps, strict=True))
    else:
        pads = (0, 0) if padding == "valid" else _pair(padding)
    down, across = (
        windowed(span, *settings)
        for span, *settings in zip(operation.spans, sizes, steps, pads, gaps, strict=True)
    )
    return layout, (down, across)


def _conv(operation: Operation, result: torch.Tensor, _: int) -> Known:
    return _window(
        operation,
        result,
        kernel=tuple(operation.argument(1, "weight").shape[2:]),
        stride=operation.argument(3, "stride", 1),
        padding=operation.argument(4, "padding", 0),
        dilation=operation.argument(5, "dilation", 1),
    )


def _pool(operation: Operation, result: torch.Tensor, _: int) -> Known:
    is_max, is_lp = operation.name.startswith("max"), operation.name.startswith("lp")
    first = 2 if is_lp else 1
    kernel = operation.argument(first, "kernel_size")
    return _window(
        operation,
        result,
        kernel,
        stride=operation.argument(first + 1, "stride") or kernel,
        padding=0 if is_lp else operation.argument(3, "padding", 0),
        dilation=operation.argument(4, "dilation", 1) if is_max else 1,
    )


def _adaptive_pool(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = _maps_like(operation, result)
    if result.ndim not in _WITH_PLACES:
        return layout, operation.settled
    spans = list(operation.spans)
    for direction in (0, 1):
        before, after = operation.operand.shape[direction - 2], result.shape[direction - 2]
        if after == 1:
            spans[direction] = gathered(spans[direction], before, operation.image[direction])
        elif before % after:
            # The windows differ in size, so there is no one receptive field.
            spans[direction] = operation.settled[direction]
        else:
            spans[direction] = windowed(spans[direction], before // after, before // after)
    return layout, (spans[0], spans[1])


def _resampled(operation: Operation, result: torch.Tensor, _: int) -> Known:
    return _maps_like(operation, result), operation.settled


def _pixel_unshuffle(operation: Operation, result: torch.Tensor, _: int) -> Known:
    factor = operation.argument(1, "downscale_factor")
    return _window(operation, result, factor, factor)


def _linear(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    others = tuple(
        axis("branch", factors[0].size) if role_of(factors) == "channel" else factors
        for factors in layout[:-1]
    )
    return (*others, axis("channel", result.shape[-1])), operation.gathered(layout[-1])


def _matmul(operation: Operation, result: torch.Tensor, _: int) -> Known:
    second = "other" if operation.name == "matmul" else "mat2"
    factors = operation.argument(0, "input"), operation.argument(1, second)
    if min(factor.ndim for factor in factors) < 2:
        return None, operation.settled
    left, right = (operation.flow(factor) for factor in factors)
    if (left and left.layout is None) or (right and right.layout is None):
        return None, operation.settled
    above = left.layout if left else None
    below = right.layout if right else None
    rows = above[-2] if above else axis("token", result.shape[-2])
    columns = below[-1] if below else axis("channel", result.shape[-1])
    batch = broadcast([known[:-2] for known in (above, below) if known], result.shape[:-2])
    spans = operation.gathered(above[-1]) if above else operation.spans
    if below:
        spans = operation.gathered(below[-2], spans=spans)
    return (*batch, rows, columns), spans


def _einsum(operation: Operation, result: torch.Tensor, _: int) -> Known:
    equation = operation.args[0].replace(" ", "")
    given, made = equation.split("->")
    axes: dict[str, Axis] = {}
    spans = operation.spans
    role: Role = "token"
    for letters, factor in zip(given.split(","), tensors_in(operation.args[1:]), strict=True):
        flow = operation.flow(factor)
        if flow is None:
            continue
        if flow.layout is None:
            return None, operation.settled
        named = dict(zip(letters, flow.layout, strict=True))
        summed = [factors for name, factors in named.items() if name not in made]
        spans = operation.gathered(*summed, spans=spans)
        if any(role_of(factors) == "channel" for factors in summed):
            # As in a linear layer, what channels are turned into is channels again.
            role = "channel"
        axes = {**named, **axes}
    sizes = dict(zip(made, result.shape, strict=True))
    layout = tuple(axes.get(name, axis(role, size)) for name, size in sizes.items())
    return layout, spans


def _attention(operation: Operation, result: torch.Tensor, number: int) -> Known:
    names = ("query", "key", "value")
    flows = (operation.flow(operation.argument(i, name)) for i, name in enumerate(names))
    query, key, value = (flow.layout if flow else None for flow in flows)
    if number or query is None or key is None:
        return None, operation.settled
    if operation.name == "multi_head_attention_forward":
        # (l b c): positions come first.
        positions, channels = key[0], axis("channel", result.shape[-1])
    else:
        positions = key[-2]
        channels = value[-1] if value else axis("channel", result.shape[-1])
    return (*query[:-1], channels), operation.gathered(positions)


def _reduction(operation: Operation, result: torch.Tensor, number: int) -> Known:
    second = operation.argument(1, "other")
    if operation.name in ("max", "min") and isinstance(second, torch.Tensor):
        return _elementwise(operation, result, number)
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    dims = operation.dims(2 if operation.name == "norm" else 1, None)
    is_kept = result.ndim == len(layout)
    kept: list[Axis] = [
        factors if i not in dims else axis(role_of(factors), 1)
        for i, factors in enumerate(layout)
        if i not in dims or is_kept
    ]
    return tuple(kept), operation.gathered(*(layout[i] for i in dims))


def _normalised(operation: Operation, result: torch.Tensor, _: int) -> Known:
    """Functions that mix values along some axes and keep the shape: softmax, layer norm ..."""
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    match operation.name:
        case "layer_norm" | "rms_norm":
            dims = list(range(len(layout)))[-len(operation.argument(1, "normalized_shape")) :]
        case "group_norm" | "instance_norm":
            dims = list(range(2, len(layout)))
        case "normalize":
            dims = operation.dims(2, 1)
        case _:
            dims = operation.dims(1, -1)
    return layout, operation.gathered(*(layout[i] for i in dims))


def _glu(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    (dim,) = operation.dims(1, -1)
    spans = operation.settled if role_of(layout[dim]) in DIRECTIONS else operation.spans
    return (*layout[:dim], resized(layout[dim], result.shape[dim]), *layout[dim + 1 :]), spans


_NAMES: tuple[tuple[Rule, str], ...] = (
    (_elementwise, "abs add addcdiv addcmul alpha_dropout batch_norm bfloat16 celu clamp"),
    (_elementwise, "channel_shuffle clamp_max clamp_min clip clone contiguous copy cpu cuda data"),
    (_elementwise, "detach div double dropout dropout1d dropout2d dropout3d elu exp expm1"),
    (_elementwise, "feature_alpha_dropout feature_dropout float floordiv gelu half hardshrink"),
    (_elementwise, "hardsigmoid hardswish hardtanh iadd idiv imul isub leaky_relu lerp"),
    (_elementwise, "local_response_norm log log1p log2 logsigmoid masked_fill maximum minimum"),
    (_elementwise, "mish mul multiply nan_to_num neg negative pow prelu radd rdiv reciprocal relu"),
    (_elementwise, "relu6 rmul rpow rrelu rsqrt rsub rtruediv selu sigmoid sign silu softplus"),
    (_elementwise, "softshrink softsign sqrt square sub subtract tanh tanhshrink threshold to"),
    (_elementwise, "requires_grad true_divide truediv type type_as where"),
    (_conv, "conv1d conv2d conv3d"),
    (_pool, "avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d"),
    (_pool, "max_pool1d max_pool2d max_pool3d"),
    (_adaptive_pool, "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    (_adaptive_pool, "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    (_resampled, "conv_transpose1d conv_transpose2d conv_transpose3d fractional_max_pool2d"),
    (_resampled, "interpolate pixel_shuffle upsample"),
    (_pixel_unshuffle, "pixel_unshuffle"),
    (_linear, "linear"),
    (_matmul, "bmm matmul mm"),
    (_einsum, "einsum"),
    (_attention, "multi_head_attention_forward scaled_dot_product_attention"),
    (_reduction, "amax amin logsumexp max mean min norm prod std sum var"),
    (_normalised, "group_norm instance_norm layer_norm log_softmax normalize rms_norm"),
    (_normalised, "softmax softmin"),
    (_glu, "glu"),
)
_RULES: Mapping[str, Rule] = {
    **{name: rule for rule, names in _NAMES for name in names.split()},
    **MOVES,
}

ELEMENTWISE = frozenset(name for name, rule in _RULES.items() if rule is _elementwise)
"Functions that take each value for itself, so that all axes stay what they are."


def known_after(operation: Operation, result: torch.Tensor, number: int) -> Known:
    """What is known of result `number` of an operation; nothing where there is no rule for it."""
    rule = _RULES.get(operation.name)
    if rule is None:
        return None, operation.settled
    try:
        return rule(operation, result, number)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # A function may be called in ways that no rule foresees; then its result is not known.
        return None, operation.settled
