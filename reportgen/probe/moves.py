"""Functions that move values and compute nothing: what becomes of layout and receptive field."""

from collections.abc import Callable

import torch

from reportgen.probe.flow import DIRECTIONS, Known, Operation, Rule, Spans, picked, shifted
from reportgen.probe.layout import (
    Axis,
    Layout,
    Role,
    axis,
    broadcast,
    grid_in,
    length,
    reshape,
    resized,
    role_of,
    sliced,
    with_grid,
)


def _reshape(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    return reshape(layout, result.shape) if layout is not None else None, operation.spans


def _permute(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.spans
    return tuple(layout[i] for i in _order(operation, len(layout))), operation.spans


def _order(operation: Operation, ndim: int) -> list[int]:
    """Which old axis each new axis is, read off from a tensor without data and of telling sizes."""
    probe = torch.empty(tuple(range(2, ndim + 2)), device="meta")
    functions: dict[str, Callable[..., torch.Tensor]] = {
        "T": lambda x: x.permute(*range(ndim - 1, -1, -1)),
        "mT": lambda x: x.transpose(-1, -2),
        "moveaxis": torch.movedim,
        "movedim": torch.movedim,
        "permute": torch.Tensor.permute,
        "swapaxes": torch.transpose,
        "swapdims": torch.transpose,
        "t": torch.t,
        "transpose": torch.transpose,
    }
    kwargs = {name: value for name, value in operation.kwargs.items() if name != "input"}
    moved = functions[operation.name](probe, *operation.args[1:], **kwargs)
    return [size - 2 for size in moved.shape]


def _pad(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout, spans = operation.layout, operation.spans
    if layout is None:
        return None, operation.settled
    pads = operation.argument(1, "pad")
    if operation.argument(2, "mode", "constant") == "circular":
        spans = operation.settled
    axes = list(layout)
    for i in range(len(pads) // 2):
        place = len(axes) - 1 - i
        spans = shifted(spans, axes[place], -pads[2 * i])
        axes[place] = resized(axes[place], result.shape[place])
    return tuple(axes), spans


def _shuffled(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    # Rows of a grid may trade places as a whole, but not the tokens of a row of tokens.
    axes = [
        axis("token", length(factors)) if role_of(factors) == "token" else factors
        for factors in layout
    ]
    return tuple(axes), operation.settled


def _expanded(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    return broadcast([layout], result.shape) if layout else None, operation.spans


def _tiled(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.layout
    return broadcast([layout], result.shape) if layout else None, operation.settled


def _cat(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layouts = [flow.layout for flow in operation.flows if flow.layout is not None]
    if len(layouts) < len(operation.flows):
        return None, operation.settled
    (dim,) = operation.dims(1, 0)
    roles = {role_of(layout[dim]) for layout in layouts}
    role = roles.pop() if len(roles) == 1 else "token"
    spans = list(operation.spans)
    if role != "token" and len(operation.argument(0, "tensors")) > 1:
        # Tokens that are added to those of the image, such as ViT's class token, see nothing new.
        for direction in DIRECTIONS.get(role, ()):
            spans[direction] = operation.settled[direction]
    axes = list(layouts[0])
    axes[dim] = axis(role, result.shape[dim])
    before, grid = _joined_grid(operation, dim)
    if grid:
        axes[dim] = with_grid(before, grid, result.shape[dim])
    return tuple(axes), (spans[0], spans[1])


def _joined_grid(operation: Operation, dim: int) -> tuple[int, Axis]:
    """The one grid among tokens that are put in a row, and the number of tokens before it."""
    found: list[tuple[int, Axis]] = []
    start = 0
    for part in operation.argument(0, "tensors"):
        flow = operation.flow(part)
        if flow is not None and flow.layout is not None:
            before, grid = grid_in(flow.layout[dim])
            if grid:
                found.append((start + before, grid))
            elif role_of(flow.layout[dim]) not in ("token", "branch"):
                return 0, ()
        start += part.shape[dim]
    return found[0] if len(found) == 1 else (0, ())


def _stack(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout = operation.flows[0].layout
    if layout is None:
        return None, operation.settled
    dim = operation.argument(1, "dim", 0) % result.ndim
    # What holds no axis of images is of one image, so that these are put together again.
    is_of_one = all(role_of(factors) != "batch" for factors in layout)
    role: Role = "batch" if is_of_one else "branch"
    new: Layout = (*layout[:dim], axis(role, result.shape[dim]), *layout[dim:])
    return new, operation.spans


_PARTS = {"chunk": "chunks", "unsafe_chunk": "chunks", "tensor_split": "indices_or_sections"}


def _split(operation: Operation, result: torch.Tensor, number: int) -> Known:
    (dim,) = operation.dims(2, 0)
    size = operation.operand.shape[dim]
    name = _PARTS.get(operation.name, "split_size")
    parts = operation.argument(1, name, operation.kwargs.get("split_size_or_sections"))
    if isinstance(parts, (tuple, list)):
        is_at = operation.name == "tensor_split"
        start = (0, *parts)[number] if is_at else sum(parts[:number])
    elif operation.name == "tensor_split":
        # The first parts are longer by one where they cannot be equal.
        whole, over = divmod(size, parts)
        start = number * whole + min(number, over)
    else:
        start = number * (-(-size // parts) if operation.name.endswith("chunk") else parts)
    return _cut(operation, dim, start, result.shape[dim])


def _narrow(operation: Operation, result: torch.Tensor, _: int) -> Known:
    (dim,) = operation.dims(1, 0)
    start = operation.argument(2, "start") % operation.operand.shape[dim]
    return _cut(operation, dim, start, result.shape[dim])


def _cut(operation: Operation, dim: int, start: int, size: int) -> Known:
    """What is known of neighbouring positions of one axis."""
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    new = sliced(layout[dim], start, size)
    return (*layout[:dim], new, *layout[dim + 1 :]), _after(
        operation.spans, layout[dim], new, start
    )


def _after(spans: Spans, old: Axis, new: Axis, start: int, step: int = 1) -> Spans:
    """What is seen after an axis was cut; a grid that is still whole sees what it saw."""
    return spans if grid_in(old)[1] and grid_in(new)[1] else shifted(spans, old, start, step)


def _pick(operation: Operation, result: torch.Tensor, number: int) -> Known:
    layout = operation.layout
    if layout is None:
        return None, operation.settled
    (dim,) = operation.dims(1, 0)
    position = number
    if operation.name == "select":
        position = operation.argument(2, "index") % operation.operand.shape[dim]
    new = (*layout[:dim], *layout[dim + 1 :])
    return new, picked(operation.spans, layout[dim], position)


def _getitem(operation: Operation, result: torch.Tensor, _: int) -> Known:
    layout, spans = operation.layout, operation.spans
    index = operation.args[1]
    items = list(index) if isinstance(index, tuple) else [index]
    is_plain = all(item is None or item is ... or type(item) in (int, slice) for item in items)
    if layout is None or not is_plain:
        return None, operation.settled
    taken = sum(item is not None and item is not ... for item in items)
    if ... not in items:
        items.append(...)
    dots = items.index(...)
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
            spans = picked(spans, factors, item % size)
        else:
            start, stop, step = item.indices(size)
            axes.append(sliced(factors, start, len(range(start, stop, step)), step))
            spans = _after(spans, factors, axes[-1], start, step)
    return tuple(axes), spans


MOVES: dict[str, Rule] = {
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    **dict.fromkeys(("chunk", "split", "tensor_split", "unsafe_chunk", "unsafe_split"), _split),
    **dict.fromkeys(("broadcast_to", "expand", "expand_as"), _expanded),
    **dict.fromkeys(("flatten", "ravel", "reshape", "reshape_as", "squeeze"), _reshape),
    **dict.fromkeys(("unflatten", "unsqueeze", "view", "view_as"), _reshape),
    **dict.fromkeys(("T", "mT", "moveaxis", "movedim", "permute"), _permute),
    **dict.fromkeys(("swapaxes", "swapdims", "t", "transpose"), _permute),
    **dict.fromkeys(("constant_pad_nd", "pad"), _pad),
    **dict.fromkeys(("flip", "roll"), _shuffled),
    **dict.fromkeys(("repeat", "repeat_interleave", "tile"), _tiled),
    **dict.fromkeys(("select", "unbind"), _pick),
    "getitem": _getitem,
    "narrow": _narrow,
    "stack": _stack,
}
