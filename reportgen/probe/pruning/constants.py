"""Which channels give one and the same value everywhere: by what was seen, or by weights alone."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from reportgen.probe.evidence import Answer, Evidence
from reportgen.probe.pruning.channels import Followed, path_of
from reportgen.probe.pruning.rules import BATCH_NORMS
from reportgen.probe.pruning.slots import Track

Values: TypeAlias = NDArray[np.float64]
"(channels,) the one value of each channel; NaN where it has several, or that is not known."

PRODUCTS = {"mul", "imul"}


def constants(found: Followed, seen: Evidence | None) -> dict[fx.Node, Values]:
    """The constant of every channel of every node.

    Args:
        found: the network, followed.
        seen: what was seen of it: where a call was watched, a channel is constant if its lowest
            value is its highest. None for what follows from the weights, whatever the image.
    """
    calls = {call.key: call for call in seen.calls} if seen else {}
    are_alike = seen is not None and _are_alike(seen.answers)
    values: dict[fx.Node, Values] = {}
    for node in found.nodes:
        track = found.tracks.get(node)
        if track is None:
            continue
        key = found.keys.get(node)
        call = calls.get(key) if key else None
        watched = seen.layers.get(call.key) if seen and call else None
        is_same = call is not None and call.channel_axis == track.axis - 1
        if watched is not None and is_same and len(watched.minimum) == len(track.slots):
            still = (watched.minimum == watched.maximum) & (watched.nonfinite == 0)
            images = 1 if are_alike else watched.images
            values[node] = np.where(still, watched.minimum, np.nan)
            if images * watched.positions < 2:
                # One value alone is always the same; but a unit that is off is off.
                is_off = still & (watched.maximum == 0)
                values[node] = np.where(is_off, 0.0, _derived(found, node, track, values))
        else:
            values[node] = _derived(found, node, track, values)
    return values


def _are_alike(answers: Sequence[Answer]) -> bool:
    """Whether the network said the same of all images, as of copies of one picture.

    To rounding: products of a batch round differently from row to row.
    """
    first = answers[0]
    return all(
        np.array_equal(answer.classes, first.classes)
        and np.allclose(answer.logits, first.logits, rtol=1e-5, atol=1e-6)
        for answer in answers
    )


def _derived(
    found: Followed, node: fx.Node, track: Track, values: Mapping[fx.Node, Values]
) -> Values:
    """The constants after an operation, from those before it and from its weights."""
    unknown = np.full(len(track.slots), np.nan)
    reads = [read for read in node.all_input_nodes if read in values]
    how = found.how[node]
    if how == "mix":
        return _of_rows(found.modules[path_of(node)])
    if not reads or how == "unknown":
        return unknown
    before = values[reads[0]]
    match how:
        case "same":
            return before
        case "zero":
            return np.where(before == 0, 0.0, np.nan)
        case "spread":
            return before.repeat(len(track.slots) // len(before))
        case "cat":
            # Every tensor of the list has its channels known, the same one twice too.
            return np.concatenate([values[read] for read in _listed(node)])
        case "alone":
            return _of_alone(found.modules[path_of(node)], before, found, node)
        case "apply":
            return _applied(found, node, track, {reads[0]: before})
        case "join":
            given = {read: np.broadcast_to(values[read], unknown.shape) for read in reads}
            result = _applied(found, node, track, given)
            if str(getattr(node.target, "__name__", node.target)) in PRODUCTS:
                is_off = np.any([value == 0 for value in given.values()], axis=0)
                result = np.where(is_off, 0.0, result)
            return result
    return unknown


def _listed(node: fx.Node) -> list[fx.Node]:
    given = node.args[0] if node.args else node.kwargs["tensors"]
    assert isinstance(given, (tuple, list))
    return [read for read in given if isinstance(read, fx.Node)]


def _of_rows(module: nn.Module) -> Values:
    """The bias of each output whose weights are all zero."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    is_empty = ~weight.detach().flatten(1).any(1).cpu().numpy()
    bias = module.bias
    given = bias.detach().double().cpu().numpy() if isinstance(bias, torch.Tensor) else 0.0
    return np.where(is_empty, given, np.nan)


def _of_alone(module: nn.Module, before: Values, found: Followed, node: fx.Node) -> Values:
    """What a norm, a depthwise convolution or a PReLU makes of constants."""
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        # Of a zero nothing but the bias is left, as of a filter without weights.
        bias = module.bias.detach().double().cpu().numpy() if module.bias is not None else 0.0
        return np.where(before == 0, bias, _of_rows(module))
    if not isinstance(module, (*BATCH_NORMS, nn.PReLU)):
        return np.full(before.shape, np.nan)
    if isinstance(module, BATCH_NORMS) and module.running_mean is None:
        return np.full(before.shape, np.nan)
    track = found.tracks[node]
    result = _applied(found, node, track, {node.all_input_nodes[0]: before})
    if isinstance(module, BATCH_NORMS) and module.weight is not None:
        scale = module.weight.detach().double().cpu().numpy()
        result = np.where(scale == 0, module.bias.detach().double().cpu().numpy(), result)
    return result


def _applied(
    found: Followed, node: fx.Node, track: Track, given: Mapping[fx.Node, Values]
) -> Values:
    """The results of an operation on each channel by itself, where all its inputs are constant."""
    known = np.all([np.isfinite(value) for value in given.values()], axis=0)
    # Neither a norm nor a PReLU needs more than one position.
    inner = (1,) * (len(found.shapes[node]) - track.axis - 1)
    shape = (*(1,) * track.axis, len(track.slots), *inner)
    tensors = {
        read: torch.from_numpy(np.where(known, value, 0.0)).view(shape).to(found.image)
        for read, value in given.items()
    }
    with torch.no_grad():
        result = found.run(node, tensors)
    return np.where(known, result.double().flatten().cpu().numpy(), np.nan)
