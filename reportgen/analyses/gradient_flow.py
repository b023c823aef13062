"""How the gradient of the score fares on its way back through the layers, and where it is lost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from reportgen.analyses.activations import histogram
from reportgen.analyses.findings import counted, layer_link
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.targets import targets
from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.gradient_flow import GradientSize, gradient_flow
from reportgen.probe.statistics import LayerStatistics
from reportgen.report.records import Fact, Finding, Layer, Panel, Rule

THOUSANDFOLD = 1e3
"""Healthy networks stay well below: from last to first, the norm changed 3-fold in the trained
samples and ResNet-18, and 300-fold in AlexNet with PyTorch's timid random weights."""

RULES = (
    Rule(
        "vanishing-gradient",
        "Warning: from the last convolution or linear layer back to the first, the norm of the "
        "score’s gradient (median over the pictured images) falls more than a thousandfold, and so "
        "does the straight line fitted to its logarithm over the layers between; or the norm at "
        "the first is exactly zero.",
        "Glorot and Bengio, 2010",
    ),
    Rule(
        "exploding-gradient",
        "Warning: the same, where the norm grows more than a thousandfold.",
        "Glorot and Bengio, 2010",
    ),
    Rule(
        "non-finite-gradient",
        "Error: the gradient of a finite score holds NaN or infinite values; names the layer where "
        "they come up first on the way back.",
    ),
)


@dataclass
class _Flow:
    """The gradients at one call over the images seen so far."""

    sizes: list[GradientSize] = field(default_factory=list)
    images: list[int] = field(default_factory=list)

    @property
    def norm(self) -> float:
        """Median over the images."""
        return float(np.median([size.norm for size in self.sizes]))


@dataclass(frozen=True)
class _Trend:
    """From the last convolution or linear layer back to the first."""

    first: Layer
    last: Layer
    first_norm: float
    last_norm: float
    layers: int
    fitted: float
    "What a line fitted to the logarithms says for first / last; NaN where there is no such line."

    @property
    def ratio(self) -> float:
        """First norm / last norm; NaN where the last is zero."""
        return self.first_norm / self.last_norm if self.last_norm else float("nan")


def run(study: Study) -> Outcome:
    """One panel per observed call that a gradient came by."""
    pictured, explained = study.pictured, targets(study)
    flows: dict[CallKey, _Flow] = {}
    for done, index in enumerate(pictured, 1):
        image = study.images.normalise(study.images.pixels(index))
        for key, size in gradient_flow(study.probe, image, explained[index].index).items():
            flow = flows.setdefault(key, _Flow())
            flow.sizes.append(size)
            flow.images.append(index)
        if study.progress is not None:
            study.progress(done, len(pictured))
    named = {index: target.label for index, target in explained.items()}
    trend = _trend(study, flows)
    panels = {
        layer.slug: _panel(study, flows[call.key], named, trend)
        for call, layer in _layers(study)
        if call.key in flows and call.key in study.evidence.layers
    }
    return Outcome(panels, (*_nonfinite(study, flows), *_lost(study, trend, len(pictured))))


def _layers(study: Study) -> Iterator[tuple[Call, Layer]]:
    return zip(study.evidence.calls, study.layer_records, strict=True)


def _trend(study: Study, flows: Mapping[CallKey, _Flow]) -> _Trend | None:
    """How the norm changes over the layers with weights; None where there are not two of them."""
    seen = [
        (layer, flows[call.key].norm)
        for call, layer in _layers(study)
        if call.key in flows and call.kind in ("conv", "linear")
    ]
    if len(seen) < 2:
        return None
    norms = np.array([norm for _, norm in seen])
    places = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    fitted = float("nan")
    if len(places) > 1:
        slope = np.polyfit(places, np.log10(norms[places]), 1)[0]
        fitted = float(10 ** np.clip(-slope * (len(norms) - 1), -300, 300))
    (first, first_norm), (last, last_norm) = seen[0], seen[-1]
    return _Trend(first, last, first_norm, last_norm, len(seen), fitted)


def _panel(study: Study, flow: _Flow, labels: Mapping[int, str], trend: _Trend | None) -> Panel:
    statistics = LayerStatistics(units=1)
    for size in flow.sizes:
        statistics.merge(size.statistics)
    seen = statistics.evidence()
    images = [study.image_records[index] for index in flow.images]
    facts: dict[str, Fact] = {
        "score": study.score,
        "images": tuple(image.slug for image in images),
        "targets": tuple(labels[index] for index in flow.images),
        "values": seen.positions,
        "mean_absolute": float(np.mean([size.mean_absolute for size in flow.sizes])),
        "mean_absolute_by_image": tuple(size.mean_absolute for size in flow.sizes),
        "norm": flow.norm,
        "norm_by_image": tuple(size.norm for size in flow.sizes),
        "zero_fraction": seen.zero_fraction,
        "nonfinite": int(seen.nonfinite.sum()),
        "first_layer": trend.first.slug if trend else None,
        "first_norm": trend.first_norm if trend else None,
        "last_layer": trend.last.slug if trend else None,
        "last_norm": trend.last_norm if trend else None,
        "ratio": trend.ratio if trend else None,
    }
    drawn = histogram(seen)
    caption = f"All {sum(drawn.counts):,} finite slopes over {counted(len(images), 'image')}."
    return Panel(facts, blocks={"histogram": replace(drawn, caption=caption)})


def _nonfinite(study: Study, flows: Mapping[CallKey, _Flow]) -> Iterator[Finding]:
    """The layer at which the gradient stops being a number, on its way back."""
    for call, layer in reversed(tuple(_layers(study))):
        sick = [
            size
            for size in flows.get(call.key, _Flow()).sizes
            if not np.isfinite((size.norm, size.mean_absolute)).all()
        ]
        if sick:
            text = f"The gradient of the score is NaN or infinite from {layer.title} on back, for "
            text += f"{counted(len(sick), 'image')} with a finite score."
            yield Finding("error", "non-finite-gradient", text, _link(study, layer))
            return


def _lost(study: Study, trend: _Trend | None, images: int) -> Iterator[Finding]:
    """A gradient that vanishes or explodes."""
    if trend is None:
        return
    first, last = trend.first.title, trend.last.title
    seen = f"(median over {counted(images, 'image')})"
    if trend.first_norm == 0 < trend.last_norm:
        text = f"No gradient reaches {first}: its norm is exactly zero there and "
        text += f"{trend.last_norm:.2g} at {last} {seen}."
        yield Finding("warning", "vanishing-gradient", text, _link(study, trend.first))
        return
    if not np.isfinite((trend.ratio, trend.fitted)).all():
        return
    if max(trend.ratio, trend.fitted) < 1 / THOUSANDFOLD:
        kind, words = "vanishing-gradient", ("vanishes", "falls")
    elif min(trend.ratio, trend.fitted) > THOUSANDFOLD:
        kind, words = "exploding-gradient", ("explodes", "grows")
    else:
        return
    text = f"The gradient {words[0]} on its way back: its norm {words[1]} from "
    text += f"{trend.last_norm:.2g} at {last} to {trend.first_norm:.2g} at {first}, over "
    text += f"{trend.layers} convolution and linear layers {seen}."
    yield Finding("warning", kind, text, _link(study, trend.first))


def _link(study: Study, layer: Layer) -> str:
    """Address of the section on a layer's page, or of the page where the layer is not observed."""
    observed = {str(key) for key in study.evidence.layers}
    return layer_link(layer) + ("#gradient_flow" if layer.title in observed else "")


ANALYSIS = Analysis(
    name="gradient_flow",
    title="Gradient",
    place="layer",
    run=run,
    needs=("score",),
    rules=RULES,
    references=(
        "Glorot, Bengio: Understanding the difficulty of training deep feedforward neural "
        "networks. AISTATS, 2010.",
    ),
)
