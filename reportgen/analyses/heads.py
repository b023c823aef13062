"""The layer that gives the scores, and which units it weighs: what a unit speaks for, by weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from reportgen.analyses.filters import kernels, weighted_module
from reportgen.probe.evidence import Call, CallKey
from reportgen.report.arrays import FloatArray

PASSES = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Flatten", "Identity")
"Types of layers that hand on what they read."


@dataclass(frozen=True, eq=False)
class Head:
    """The linear layer, or the 1 x 1 convolution, that gives one score a class."""

    call: Call
    weight: FloatArray
    "(classes channels)"


def head_of(module: nn.Module, calls: Sequence[Call], classes: int) -> Head | None:
    """The head of a network; None where its scores are made in another way.

    After the head, only poolings and activations such as a softmax may follow.
    """
    by_key = {call.key: call for call in calls}
    scores = [call for call in calls if _is_vector(call, classes)]
    call = scores[-1] if scores else None
    while call is not None and call.kind not in ("conv", "linear"):
        is_plain = call.kind in ("pool", "activation") or call.type in PASSES
        call = by_key[call.inputs[0]] if is_plain and len(call.inputs) == 1 else None
    layer = weighted_module(module, call) if call is not None else None
    weight = kernels(layer) if layer is not None else None
    if call is None or weight is None or getattr(layer, "groups", 1) != 1:
        return None
    if weight.shape[0] != classes or weight[0].size != weight.shape[1]:
        return None
    return Head(call, weight.reshape(classes, -1))


def _is_vector(call: Call, classes: int) -> bool:
    sizes = call.output_shape
    return sizes[:1] == (classes,) and all(size == 1 for size in sizes[1:])


def weights_of(head: Head, calls: Sequence[Call]) -> Mapping[CallKey, FloatArray]:
    """The weights (classes units) by which the head adds up the units of other calls.

    These are the calls that it reads through poolings, flattening and dropout alone. Where it
    reads a concatenation, each call has its part of the weights.
    """
    by_key = {call.key: call for call in calls}
    channels = head.weight.shape[1]
    found: dict[CallKey, FloatArray] = {}
    keys = head.call.inputs
    # As many units as the head has channels: neither a flattened map, nor a sum of several calls.
    while keys and sum(by_key[key].units for key in keys) == channels:
        first = 0
        for key in keys:
            found[key] = head.weight[:, first : first + by_key[key].units]
            first += by_key[key].units
        source = by_key[keys[0]]
        hands_on = source.kind == "pool" or source.type in PASSES
        keys = source.inputs if len(keys) == 1 and hands_on else ()
    return found
