"""Operations on one tensor that keep its channels apart: by value, by position, by shape."""

from typing import Any

from torch import fx

from reportgen.probe.occlusion.recognise import POINTWISE
from reportgen.probe.operations import argument
from reportgen.probe.pruning.channels import COPIES, Followed, How, path_of
from reportgen.probe.pruning.slots import Track

_DROPOUTS = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "stochastic_depth"}
_POOLS = {
    f"{adaptive}{kind}_pool{axes}d"
    for adaptive in ("", "adaptive_")
    for kind in ("max", "avg")
    for axes in (1, 2, 3)
}


def keep(found: Followed, node: fx.Node, track: Track, how: How) -> bool:
    """Notes that the channels stay what and where they are; False where their number changed."""
    shape = found.shapes[node]
    if how in ("apply", "join") and any(read not in found.tracks for read in node.all_input_nodes):
        # Weights of the network, one for each channel maybe, or a size.
        return False
    if len(shape) <= track.axis or shape[track.axis] != len(track.slots):
        return False
    found.tracks[node], found.how[node] = track, how
    return True


def apply(found: Followed, node: fx.Node, name: str, track: Track, *, is_module: bool) -> bool:
    """Takes an operation on one tensor by its name; False where it is not followed."""
    before, after = found.shapes[node.args[0]], found.shapes[node]  # type: ignore[index]
    args, kwargs = ((), {}) if is_module else (node.args[1:], node.kwargs)
    if name in POINTWISE - {"prelu"}:
        return keep(found, node, track, "apply")
    if name in _DROPOUTS:
        place = 2 if name == "stochastic_depth" else 1
        is_off = argument(args, kwargs, place, "training", None) is False
        return is_off and keep(found, node, track, "same")
    if name in _POOLS:
        how: How = "zero" if name.startswith("avg") else "same"
        return track.axis == 1 and len(before) == len(after) and keep(found, node, track, how)
    match name:
        case "flatten":
            return _flatten(found, node, args, kwargs, track)
        case "view" | "reshape":
            sizes = args[0] if args and isinstance(args[0], (tuple, list)) else args
            is_free = len(sizes) == 2 and isinstance(sizes[0], fx.Node) and sizes[1] == -1
            return bool(is_free) and track.axis == 1 and _spread(found, node, track)
        case "mean" | "squeeze" | "unsqueeze" | "amax" | "sum":
            dims = argument(args, kwargs, 0, "dim", None)
            dims = dims if isinstance(dims, (tuple, list)) else (dims,)
            count = len(before) + (name == "unsqueeze")
            if not all(isinstance(dim, int) and dim % count > track.axis for dim in dims):
                return False
            return keep(found, node, track, "zero" if name == "sum" else "same")
        case "interpolate":
            return track.axis == 1 and keep(found, node, track, "same")
        case "pad":
            pads = argument(args, kwargs, 0, "pad", ())
            mode = argument(args, kwargs, 1, "mode", "constant")
            is_zero = not argument(args, kwargs, 2, "value", None)
            is_around = (
                isinstance(pads, (tuple, list)) and len(pads) // 2 < len(before) - track.axis
            )
            kept: How = "same" if mode != "constant" else "zero" if is_zero else "unknown"
            return is_around and keep(found, node, track, kept)
        case "getitem":
            parts = args[0] if isinstance(args[0], tuple) else (args[0],)
            is_cut = all(isinstance(part, slice) for part in parts)
            is_whole = is_cut and set(map(str, parts[: track.axis + 1])) == {str(slice(None))}
            return is_whole and keep(found, node, track, "same")
    return False


def _flatten(found: Followed, node: fx.Node, args: Any, kwargs: Any, track: Track) -> bool:
    before = found.shapes[node.args[0]]  # type: ignore[index]
    if node.op == "call_module":
        module = found.modules[path_of(node)]
        args = module.start_dim, module.end_dim
    first = argument(args, kwargs, 0, "start_dim", 0)
    last = argument(args, kwargs, 1, "end_dim", -1)
    if not isinstance(first, int) or not isinstance(last, int):
        return False
    first, last = first % len(before), last % len(before)
    if first > track.axis:
        return keep(found, node, track, "same")
    is_rest = (first, last) == (track.axis, len(before) - 1)
    return is_rest and _spread(found, node, track)


def _spread(found: Followed, node: fx.Node, track: Track) -> bool:
    """Notes that each channel (c h w) became h * w columns."""
    before, after = found.shapes[node.args[0]], found.shapes[node]  # type: ignore[index]
    if track.axis != 1 or len(after) != 2 or after[0] != COPIES:
        return False
    each = after[1] // before[1]
    slots = track.slots.repeat(each)
    return keep(found, node, Track(1, slots), "spread")
