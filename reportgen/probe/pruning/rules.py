"""What each operation does to the channels that it reads; what is not known for sure keeps them.

An operation that is not listed freezes the channels that go into it, and nothing is known of those
that come out.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from reportgen.probe.occlusion.recognise import (
    CONCATENATIONS,
    JOINS,
    POINTWISE_MODULES,
    has_hooks,
    name_of,
)
from reportgen.probe.operations import argument, tensors_in
from reportgen.probe.pruning.channels import (
    Alone,
    Followed,
    Mixing,
    path_of,
)
from reportgen.probe.pruning.single import apply, keep
from reportgen.probe.pruning.slots import Track

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORMS = (*BATCH_NORMS, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_POOL_MODULES: dict[type[nn.Module], str] = {
    getattr(nn, f"{adaptive}{kind.capitalize()}Pool{axes}d"): f"{prefix}{kind}_pool{axes}d"
    for adaptive, prefix in (("", ""), ("Adaptive", "adaptive_"))
    for kind in ("max", "avg")
    for axes in (1, 2, 3)
}
_WORDS = {
    **{name: f"a change of shape ({name})" for name in ("view", "reshape", "flatten")},
    **dict.fromkeys(("permute", "transpose", "movedim"), "a new order of the axes"),
    **dict.fromkeys(("chunk", "split", "unbind", "getitem"), "a choice among the channels"),
    **dict.fromkeys(("matmul", "bmm", "einsum"), "a product of matrices"),
    **dict.fromkeys(("softmax", "log_softmax"), "a softmax"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "linear"), "a layer that is no module"),
    **dict.fromkeys(("batch_norm", "layer_norm"), "a norm that is no module"),
    "scaled_dot_product_attention": "attention",
}


def follow(found: Followed, node: fx.Node, value: Any) -> None:
    """Takes the next node: which channels it joins, makes, reads or freezes.

    Args:
        found: what is known of the nodes before; added to.
        node: the next in order.
        value: what it gives for a batch of two.
    """
    if isinstance(value, torch.Tensor):
        found.shapes[node] = tuple(value.shape)
    if node.op == "output":
        for read in node.all_input_nodes:
            _freeze(found, read, "it is a score of the network")
        return
    if node.op == "placeholder":
        slots = found.forest.new(value.shape[1])
        found.forest.freeze(slots.tolist(), "it is joined with the image")
        found.tracks[node], found.how[node] = Track(1, slots), "unknown"
        return
    reads = [read for read in node.all_input_nodes if read in found.tracks or read in found.opaque]
    if not reads or next(tensors_in(value), None) is None:
        # A constant, or a size.
        return
    module = found.modules[path_of(node)] if node.op == "call_module" else None
    name = _pool_name(module) if module is not None else name_of(node)
    problem = _problem(found, node, module)
    is_done = not problem and isinstance(value, torch.Tensor)
    if is_done and name in JOINS:
        is_done = _join(found, node, reads)
    elif is_done and name in CONCATENATIONS:
        is_done = _concatenate(found, node, reads)
    elif is_done:
        is_alone = len(reads) == 1 and bool(node.args) and node.args[0] is reads[0]
        track = found.tracks.get(reads[0]) if is_alone else None
        if is_alone and module is not None:
            is_done = _call(found, node, module, name, track)
        else:
            is_done = track is not None and apply(found, node, name, track, is_module=False)
    if not is_done:
        reason = problem or f"{_words(node, module, name)} reads it"
        if not problem and len(reads) > 1 and not found.opaque.keys().isdisjoint(reads):
            reason = "it is joined with channels that are not followed"
        for read in reads:
            _freeze(found, read, reason)
        found.opaque[node] = next((found.opaque[r] for r in reads if r in found.opaque), reason)


def _words(node: fx.Node, module: nn.Module | None, name: str) -> str:
    if module is not None:
        return f"{path_of(node)} ({type(module).__name__})"
    return _WORDS.get(name, f"the operation {name or node.name}")


def _freeze(found: Followed, node: fx.Node, reason: str) -> None:
    if node in found.tracks:
        found.forest.freeze(found.tracks[node].slots.tolist(), reason)


def _pool_name(module: nn.Module) -> str:
    """The function behind a pooling module, or one that flattens."""
    return "flatten" if type(module) is nn.Flatten else _POOL_MODULES.get(type(module), "")


def _problem(found: Followed, node: fx.Node, module: nn.Module | None) -> str:
    """Why the weights of a module cannot be told apart or changed; empty where they can."""
    if module is None:
        return ""
    path = path_of(node)
    if path in found.is_shared:
        return found.is_shared[path]
    if has_hooks(module):
        return f"{path} has hooks, which may do anything"
    if "parametrizations" in module._modules:
        return f"{path} computes its weights from others"
    return ""


def _call(
    found: Followed, node: fx.Node, module: nn.Module, name: str, track: Track | None
) -> bool:
    """Takes the call of a module that reads one tensor; False where it is not followed."""
    path, kind = path_of(node), type(module)
    if kind is nn.Linear or kind in CONVOLUTIONS:
        return _mix(found, node, module, track)
    if track is None or len(node.args) > 1 or node.kwargs:
        return False
    if kind in NORMS or (isinstance(module, nn.PReLU) and module.num_parameters > 1):
        if track.axis != 1:
            return False
        found.alone.append(Alone(path, node, track.slots))
        found.tracks[node], found.how[node] = track, "alone"
        return True
    if kind in POINTWISE_MODULES:
        return keep(found, node, track, "apply")
    if kind is nn.Upsample:
        return track.axis == 1 and keep(found, node, track, "same")
    return bool(name) and apply(found, node, name, track, is_module=True)


def _outputs(module: nn.Module) -> int:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return len(weight)


def _mix(found: Followed, node: fx.Node, module: nn.Module, track: Track | None) -> bool:
    path, shape = path_of(node), found.shapes[node]
    axis = 1 if type(module) in CONVOLUTIONS else len(shape) - 1
    if (track is not None and track.axis != axis) or shape[axis] != _outputs(module):
        # Such as a convolution of one image without its batch.
        return False
    groups = int(getattr(module, "groups", 1))
    if groups > 1:
        is_depthwise = groups == module.in_channels == module.out_channels
        if track is None or not is_depthwise:
            text = f"{path} is a convolution in {groups} groups"
            if track is not None:
                found.forest.freeze(track.slots.tolist(), text)
            rows = found.forest.new(shape[1])
            found.forest.freeze(rows.tolist(), text)
            found.mixings.append(Mixing(path, node, rows, None))
            found.tracks[node], found.how[node] = Track(1, rows), "unknown"
            return True
        found.alone.append(Alone(path, node, track.slots))
        found.tracks[node], found.how[node] = track, "alone"
        return True
    rows = found.forest.new(shape[axis])
    found.mixings.append(Mixing(path, node, rows, track.slots if track else None))
    found.tracks[node], found.how[node] = Track(axis, rows), "mix"
    return True


def _join(found: Followed, node: fx.Node, reads: Sequence[fx.Node]) -> bool:
    """Elementwise operations of two: both have the same channels from now on."""
    tracks = [found.tracks.get(read) for read in reads]
    shapes = {len(found.shapes.get(read, ())) for read in reads}
    axes = {track.axis for track in tracks if track is not None}
    others = [given for given in node.args[:2] if given not in reads]
    if (
        None in tracks
        or len(axes) > 1
        or len(shapes) > 1
        or any(not isinstance(other, (int, float)) for other in others)
    ):
        return False
    wide = [track for track in tracks if track is not None]
    widest = max(wide, key=lambda track: len(track.slots))
    for track in wide:
        if len(track.slots) == len(widest.slots):
            found.forest.join(widest.slots, track.slots)
        elif len(track.slots) == 1:
            found.forest.freeze(track.slots.tolist(), "it is spread over all channels of a layer")
        else:
            return False
    return keep(found, node, widest, "join" if len(reads) > 1 else "apply")


def _concatenate(found: Followed, node: fx.Node, reads: Sequence[fx.Node]) -> bool:
    tensors = argument(node.args, node.kwargs, 0, "tensors", ())
    dim = argument(node.args, node.kwargs, 1, "dim", 0)
    if not isinstance(tensors, (tuple, list)) or not set(tensors) <= set(reads):
        return False
    if not isinstance(dim, int):
        return False
    axis = dim % len(found.shapes[node])
    parts = []
    for read in tensors:
        track = found.tracks.get(read)
        if track is None and (shape := found.shapes.get(read)):
            slots = found.forest.new(shape[axis])
            found.forest.freeze(slots.tolist(), found.opaque[read])
            track = found.tracks[read] = Track(axis, slots)
            found.how[read] = "unknown"
        if track is None or track.axis != axis:
            return False
        parts.append(track)
    slots = torch.cat([torch.from_numpy(track.slots) for track in parts]).numpy()
    return keep(found, node, Track(axis, slots), "cat")
