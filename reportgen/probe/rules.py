"""How each function of PyTorch changes what is known of a tensor: its layout and what it sees.

A function that is not listed here gives an unknown layout and an unknown receptive field.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import torch

from reportgen.probe.flow import Operation, Spans, shifted
from reportgen.probe.layout import Axis, Layout, axis, broadcast, maps, reshape, role_of
from reportgen.probe.receptive_field import gathered, windowed

Known: TypeAlias = tuple[Layout | None, Spans]
Rule: TypeAlias = Callable[[Operation, torch.Tensor, int], Known]
"Takes the operation, one of its results and the number of that result."

UNSEEN: Spans = (None, None)


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
    """(down, across) of a setting given once or twice."""
    if isinstance(value, (tuple, list)):
        return (value[0], value[-1])
    return value, value


def _window(
    operation: Operation, result: torch.Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Known:
    layout = _maps_like(operation, result)
    if result.ndim != 4:
        return layout, UNSEEN
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
    kernel = tuple(operation.argument(1, "weight").shape[2:])
    return _window(
        operation,
        result,
        kernel,
        operation.argument(3, "stride", 1),
        operation.argument(4, "padding", 0),
        operation.argument(5, "dilation", 1),
    )


def _pool(operation: Operation, result: torch.Tensor, _: int) -> Known:
    first = 2 if operation.name.startswith("lp_pool") else 1
    kernel = operation.argument(first, "kernel_size")
    stride = operation.argument(first + 1, "stride") or kernel
    is_max, is_lp = operation.name.startswith("max_pool"), operation.name.startswith("lp_pool")
    padding = 0 if is_lp else operation.argument(3, "padding", 0)
    dilation = operation.argument(4, "dilation", 1) if is_max else 1
    return _window(operation, result, kernel, stride, padding, dilation)


def _adaptive_pool(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = _maps_like(operation, result)
    if result.ndim != 4:
        return layout, UNSEEN
    spans = list(operation.spans)
    for direction in (0, 1):
        before, after = operation.operand.shape[2 + direction], result.shape[2 + direction]
        if after == 1:
            spans[direction] = gathered(spans[direction], before, operation.image[direction])
        elif before % after:
            # The windows differ in size, so there is no one receptive field.
            spans[direction] = None
        else:
            spans[direction] = windowed(spans[direction], before // after, before // after)
    return layout, (spans[0], spans[1])


def _resized_maps(operation: Operation, result: torch.Tensor, _: int) -> Known:
    return _maps_like(operation, result), UNSEEN


def _pixel_unshuffle(operation: Operation, result: torch.Tensor, _: int) -> Known:
    factor = operation.argument(1, "downscale_factor")
    return _window(operation, result, factor, factor, 0, 1)


def _reshape(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    return reshape(layout, result.shape) if layout is not None else None, operation.spans


def _permute(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.spans
    order = _order(operation, len(layout))
    return tuple(layout[i] for i in order), operation.spans


def _order(operation: Operation, ndim: int) -> list[int]:
    """Which old axis each new axis is."""
    if operation.name == "permute":
        dims = operation.argument(1, "dims")
        given = dims if isinstance(dims, (tuple, list)) else operation.args[1:]
        return [dim % ndim for dim in given]
    # The other ways to move axes are read off from the axes of an empty tensor.
    probe = torch.empty(tuple(range(2, ndim + 2)), device="meta")
    operations: dict[str, Callable[..., torch.Tensor]] = {
        "transpose": torch.transpose,
        "swapaxes": torch.transpose,
        "swapdims": torch.transpose,
        "movedim": torch.movedim,
        "moveaxis": torch.movedim,
        "t": torch.t,
        "T": lambda x: x.permute(*range(ndim - 1, -1, -1)),
        "mT": lambda x: x.transpose(-1, -2),
    }
    moved = operations[operation.name](probe, *operation.args[1:], **operation.kwargs)
    return [size - 2 for size in moved.shape]


def _linear(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.spans if result.ndim == 2 else UNSEEN
    others = _unchannelled(layout[:-1])
    return (*others, axis("channel", result.shape[-1])), operation.gathered(layout[-1])


def _unchannelled(layout: Layout) -> Layout:
    """Axes that were channels before a new channel axis was made."""
    return tuple(
        axis("branch", factors[0].size) if role_of(factors) == "channel" and len(factors) == 1 else factors
        for factors in layout
    )


def _matmul(operation: Operation, result: torch.Tensor, _: int) -> Known:
    names = ("input", "other") if operation.name == "matmul" else ("input", "mat2")
    left, right = (operation.flow(operation.argument(i, name)) for i, name in enumerate(names))
    ndims = [operation.argument(i, name).ndim for i, name in enumerate(names)]
    layouts = [flow.layout if flow else None for flow in (left, right)]
    if min(ndims) < 2 or any(flow and not flow.layout for flow in (left, right)):
        return None, UNSEEN
    rows = layouts[0][-2] if layouts[0] else axis("token", result.shape[-2])
    columns = layouts[1][-1] if layouts[1] else axis("channel", result.shape[-1])
    batch = broadcast([layout[:-2] for layout in layouts if layout], result.shape[:-2])
    spans = operation.gathered(layouts[0][-1]) if layouts[0] else operation.spans
    if layouts[1]:
        spans = operation.gathered(layouts[1][-2], spans=spans)
    return (*batch, rows, columns), spans


def _attention(operation: Operation, result: torch.Tensor, number: int) -> Known:
    names = ("query", "key", "value")
    query, key, value = (operation.flow(operation.argument(i, name)) for i, name in enumerate(names))
    if number or not query or not query.layout or not key or not key.layout:
        return None, UNSEEN
    if operation.name == "multi_head_attention_forward":
        # (l b c): positions first.
        return (*query.layout[:-1], axis("channel", result.shape[-1])), operation.gathered(key.layout[0])
    last = value.layout[-1] if value and value.layout else axis("channel", result.shape[-1])
    return (*query.layout[:-1], last), operation.gathered(key.layout[-2])


def _dims(value: Any, ndim: int) -> list[int]:
    """Axes given as a number, several or not at all, which means all."""
    if value is None or value == ():
        return list(range(ndim))
    return [dim % ndim for dim in (value if isinstance(value, (tuple, list)) else (value,))]


def _reduction(operation: Operation, result: torch.Tensor, number: int) -> Known:
    if operation.name in ("max", "min") and isinstance(operation.argument(1, "other"), torch.Tensor):
        return _elementwise(operation, result, number)
    layout = operation.layout
    place = 2 if operation.name == "norm" else 1
    dim = operation.argument(place, "dim", operation.kwargs.get("axis"))
    if layout is None:
        return None, UNSEEN
    dims = _dims(dim, len(layout))
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
        return None, UNSEEN
    match operation.name:
        case "layer_norm" | "rms_norm":
            shape = operation.argument(1, "normalized_shape")
            dims = list(range(len(layout)))[-len(shape) :]
        case "group_norm" | "instance_norm":
            dims = list(range(2, len(layout)))
        case "normalize":
            dims = _dims(operation.argument(2, "dim", 1), len(layout))
        case _:
            dims = _dims(operation.argument(1, "dim", -1), len(layout))
    return layout, operation.gathered(*(layout[i] for i in dims))


def _pad(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout, spans = operation.layout, operation.spans
    if layout is None:
        return None, UNSEEN
    pads = operation.argument(1, "pad")
    if operation.argument(2, "mode", "constant") == "circular":
        spans = UNSEEN
    axes = list(layout)
    for i in range(len(pads) // 2):
        place = len(axes) - 1 - i
        spans = shifted(spans, axes[place], -pads[2 * i])
        axes[place] = _resized(axes[place], result.shape[place])
    return tuple(axes), spans


def _resized(factors: Axis, size: int) -> Axis:
    """The same kind of axis with another length."""
    if sum(factor.size for factor in factors) == size and len(factors) == 1:
        return factors
    return axis(role_of(factors), size)


def _moved_pixels(operation: Operation, result: torch.Tensor, _: int) -> Known:
    return operation.layout, UNSEEN


def _expanded(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.spans
    new = broadcast([layout], result.shape)
    is_tiled = operation.name in ("repeat", "tile")
    return new, UNSEEN if is_tiled and result.shape[-2:] != operation.operand.shape[-2:] else operation.spans


def _cat(operation: Operation, result: torch.Tensor, _: int) -> Known:
    tensors = operation.argument(0, "tensors")
    layouts = [flow.layout for flow in operation.flows]
    if not layouts or any(layout is None for layout in layouts):
        return None, UNSEEN
    known = [layout for layout in layouts if layout is not None]
    dim = _dims(operation.argument(1, "dim", operation.kwargs.get("axis", 0)), result.ndim)[0]
    roles = {role_of(layout[dim]) for layout in known}
    role = roles.pop() if len(roles) == 1 else "token"
    spans = operation.spans
    if len(tensors) > 1:
        spans = (
            None if role == "height" else spans[0],
            None if role == "width" else spans[1],
        )
    axes = list(known[0])
    axes[dim] = axis(role, result.shape[dim])
    return tuple(axes), spans


def _stack(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.flows[0].layout
    if layout is None:
        return None, UNSEEN
    dim = _dims(operation.argument(1, "dim", 0), result.ndim)[0]
    return (*layout[:dim], axis("branch", result.shape[dim]), *layout[dim:]), operation.spans


def _cut(operation: Operation, result: torch.Tensor, number: int) -> Known:
    """Results that are pieces of one axis: chunk, split, unbind, narrow, select."""
    layout = operation.layout
    if layout is None:
        return None, UNSEEN
    place = 2 if operation.name in ("chunk", "split", "tensor_split", "unsafe_chunk", "unsafe_split") else 1
    dim = _dims(operation.argument(place, "dim", 0), len(layout))[0]
    axes, spans = list(layout), operation.spans
    match operation.name:
        case "narrow":
            offset = operation.argument(2, "start")
        case "select":
            offset = operation.argument(2, "index") % operation.operand.shape[dim]
        case "unbind":
            offset = number
        case _:
            offset = -1 if number else 0
    if operation.name in ("select", "unbind"):
        factors = axes.pop(dim)
        return tuple(axes), _fixed(shifted(spans, factors, offset), factors)
    factors = axes[dim]
    # The pieces are alike but for the last, so piece k starts at k times the first one's length.
    axes[dim] = _resized(factors, result.shape[dim])
    is_place = role_of(factors) in ("height", "width", "token")
    return tuple(axes), UNSEEN if is_place and offset else spans


def _fixed(spans: Spans, factors: Axis) -> Spans:
    """What is seen after one position was picked from an axis."""
    result = list(spans)
    for direction, role in enumerate(("height", "width")):
        span = result[direction]
        if span is not None and role_of(factors) == role:
            result[direction] = replace(span, step=0, stride=0)
    return result[0], result[1]


def _getitem(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout, spans = operation.layout, operation.spans
    index = operation.args[1]
    items = list(index) if isinstance(index, tuple) else [index]
    if layout is None or not all(
        item is None or item is Ellipsis or isinstance(item, (int, slice)) for item in items
    ):
        return None, UNSEEN
    taken = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis not in items:
        items.append(Ellipsis)
    dots = items.index(Ellipsis)
    items[dots : dots + 1] = [slice(None)] * (len(layout) - taken)
    axes: list[Axis] = []
    place = 0
    for item in items:
        if item is None:
            axes.append(())
            continue
        factors, size = layout[place], operation.operand.shape[place]
        place += 1
        if isinstance(item, int):
            spans = _fixed(shifted(spans, factors, item % size), factors)
        else:
            start, stop, step = item.indices(size)
            spans = shifted(spans, factors, start, step)
            axes.append(_resized(factors, len(range(start, stop, step))))
    return tuple(axes), spans


def _glu(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, UNSEEN
    dim = _dims(operation.argument(1, "dim", -1), len(layout))[0]
    axes = list(layout)
    axes[dim] = _resized(axes[dim], result.shape[dim])
    is_place = role_of(layout[dim]) in ("height", "width", "token")
    return tuple(axes), UNSEEN if is_place else operation.spans


_NAMES: dict[Rule, str] = {
    _elementwise: (
        "abs add addcdiv addcmul alpha_dropout batch_norm bfloat16 bool celu channel_shuffle clamp clamp_max clamp_min clip clone "
        "contiguous copy cpu cuda data detach div double dropout dropout1d dropout2d dropout3d elu exp expm1 "
        "feature_alpha_dropout feature_dropout float floor floordiv gelu half hardshrink hardsigmoid hardswish "
        "hardtanh iadd idiv imul isub leaky_relu lerp local_response_norm log log1p log2 logsigmoid masked_fill "
        "maximum minimum mish mul multiply nan_to_num neg negative pow prelu radd rdiv reciprocal relu relu6 rmul "
        "rpow rrelu rsqrt rsub rtruediv selu sigmoid sign silu softplus softshrink softsign sqrt square sub subtract "
        "tanh tanhshrink threshold to true_divide truediv type type_as where"
    ),
    _conv: "conv1d conv2d conv3d",
    _pool: "avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d max_pool1d max_pool2d max_pool3d",
    _adaptive_pool: "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d",
    _resized_maps: (
        "conv_transpose1d conv_transpose2d conv_transpose3d fractional_max_pool2d interpolate "
        "pixel_shuffle upsample"
    ),
    _pixel_unshuffle: "pixel_unshuffle",
    _reshape: "flatten ravel reshape reshape_as squeeze unflatten unsqueeze view view_as",
    _permute: "T mT moveaxis movedim permute swapaxes swapdims t transpose",
    _linear: "linear",
    _matmul: "bmm matmul mm",
    _attention: "multi_head_attention_forward scaled_dot_product_attention",
    _reduction: "amax amin logsumexp max mean min norm prod std sum var",
    _normalised: "group_norm instance_norm layer_norm log_softmax normalize rms_norm softmax softmin",
    _pad: "constant_pad_nd pad",
    _moved_pixels: "flip roll",
    _expanded: "broadcast_to expand expand_as repeat tile",
    _cat: "cat concat concatenate",
    _stack: "stack",
    _cut: "chunk narrow select split tensor_split unbind unsafe_chunk unsafe_split",
    _getitem: "getitem",
    _glu: "glu",
}
_RULES: dict[str, Rule] = {name: rule for rule, names in _NAMES.items() for name in names.split()}


def known_after(operation: Operation, result: torch.Tensor, number: int) -> Known:
    """What is known of result `number` of an operation; nothing where there is no rule for it."""
    rule = _RULES.get(operation.name)
    return rule(operation, result, number) if rule else (None, UNSEEN)
