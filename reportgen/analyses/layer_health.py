"""What a layer's values tell is wrong with it: not finite, saturated, idle or out of scale."""

from collections.abc import Iterator

import numpy as np

from reportgen.analyses.findings import counted, few, layer_link, percent
from reportgen.analyses.study import Study
from reportgen.probe.evidence import Call, LayerEvidence
from reportgen.report.records import Finding, Rule

SATURATED_SHARE = 0.5
END = 1 / 64
"How close to an end of its range a sigmoid or tanh is saturated."

NEARLY_INPUT = 0.99
GATES = frozenset({"sigmoid", "hardsigmoid", "logsigmoid", "softmax", "logsoftmax"})
"Activations that give weights or probabilities: alike in shape, but not what they take."

SCALE_RATIO = 1e3

RULES = (
    Rule("non-finite-values", "Error: a layer gives NaN or infinite values; names the first."),
    Rule(
        "saturated-layers",
        "Warning: more than 50 % of a bounded activation's values are at an end of its range "
        "(ReLU6: exactly 6; sigmoid, tanh and hardtanh: within 1/64 of an end).",
    ),
    Rule(
        "identity-layers",
        "Warning: the output of a convolution, linear layer or activation (gates such as the "
        "sigmoid aside) correlates more than 0.99 with its input on the first image.",
    ),
    Rule(
        "activation-scale",
        "Warning: the standard deviations of two convolution or linear layers differ more than "
        "a thousandfold.",
    ),
)


def layer_findings(study: Study) -> tuple[Finding, ...]:
    """All that the rules above find, in their order."""
    return (
        *_nonfinite(study),
        *few(tuple(_saturated(study)), "layer", "layers/index.html"),
        *few(tuple(_nearly_input(study)), "layer", "layers/index.html"),
        *_scale_range(study),
    )


def _nonfinite(study: Study) -> Iterator[Finding]:
    sick = [
        (layer, seen)
        for call, layer in zip(study.evidence.calls, study.layer_records, strict=True)
        if (seen := study.evidence.layers.get(call.key)) is not None and seen.nonfinite.any()
    ]
    if not sick:
        return
    layer, seen = sick[0]
    count, total = int(seen.nonfinite.sum()), seen.images * seen.positions * layer.units
    text = f"{layer.title} is the first to give NaN or infinite values: {count:,} of {total:,}"
    if len(sick) > 1:
        text += f"; {counted(len(sick) - 1, 'layer')} after it do too"
    unit = int(np.argmax(seen.nonfinite > 0))
    yield Finding("error", "non-finite-values", f"{text}.", layer_link(layer, unit))


def saturation(call: Call, seen: LayerEvidence) -> tuple[float, str] | None:
    """Share of values at the ends of a bounded activation's range, and what the ends are.

    Counted in the bins of the histogram, whose edges are multiples of a power of two: the bounds
    6 and 1 - 1/64 are such edges. None for activations without bounds.
    """
    name = _plain_type(call)
    edges = (np.arange(256) - 128) * 2.0**seen.histogram.exponent
    width = 2.0**seen.histogram.exponent
    upper = edges >= 1 - END
    if name == "relu6":
        ends, words = edges >= 6, "exactly at 6"
    elif name == "sigmoid":
        ends, words = upper | (edges + width <= END), "within 1/64 of 0 or 1"
    elif name in {"tanh", "hardtanh"}:
        ends, words = upper | (edges + width <= END - 1), "within 1/64 of -1 or 1"
    else:
        return None
    total = int(seen.histogram.counts.sum())
    return (float(seen.histogram.counts[ends].sum()) / total, words) if total else None


def _plain_type(call: Call) -> str:
    """`relu6` for `ReLU6`, `F.relu6` and `relu6_`."""
    return call.type.rsplit(".", 1)[-1].replace("_", "").casefold()


def _saturated(study: Study) -> Iterator[Finding]:
    shares = []
    for call, layer in zip(study.evidence.calls, study.layer_records, strict=True):
        seen = study.evidence.layers.get(call.key)
        found = None if seen is None else saturation(call, seen)
        if found is not None and found[0] > SATURATED_SHARE:
            shares.append((*found, layer))
    for share, words, layer in sorted(shares, key=lambda item: -item[0]):
        text = f"{layer.title} is saturated: {percent(share)} of its values are {words}."
        yield Finding("warning", "saturated-layers", text, layer_link(layer))


def _nearly_input(study: Study) -> Iterator[Finding]:
    for call, layer in zip(study.evidence.calls, study.layer_records, strict=True):
        similarity = study.evidence.input_similarity.get(call.key)
        # A norm rescales each channel and a pooling layer blurs: like their input by design.
        is_meant_to_change = call.kind in {"conv", "linear", "activation"}
        is_meant_to_change &= _plain_type(call) not in GATES
        if similarity is not None and is_meant_to_change and similarity > NEARLY_INPUT:
            text = f"{layer.title} gives nearly what it takes: correlation {similarity:.4f} "
            text += f"between its input and output on {study.image_records[0].path}."
            yield Finding("warning", "identity-layers", text, layer_link(layer))


def _scale_range(study: Study) -> Iterator[Finding]:
    weighted = [
        layer
        for layer in study.layer_records
        if layer.kind in {"conv", "linear"} and layer.std is not None and layer.std > 0
    ]
    if not weighted:
        return
    small = min(weighted, key=lambda layer: layer.std or 0.0)
    large = max(weighted, key=lambda layer: layer.std or 0.0)
    assert small.std is not None and large.std is not None
    if large.std > SCALE_RATIO * small.std:
        text = f"Activations range over {large.std / small.std:,.0f} times in scale: standard "
        text += f"deviation {small.std:.2g} in {small.title}, {large.std:.2g} in {large.title}."
        yield Finding("warning", "activation-scale", text, layer_link(large))
