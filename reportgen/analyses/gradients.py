"""How a class's score changes with each pixel: four maps of every image, made of gradients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from reportgen.analyses.agreement import occlusion_correlation
from reportgen.analyses.answers import image_link
from reportgen.analyses.findings import few
from reportgen.analyses.gradient_maps import (
    Look,
    Map,
    limit_of,
    picture,
    shown_of,
    strongest,
    summed,
)
from reportgen.analyses.methods import MapOf, Method
from reportgen.analyses.sharing import helping, in_shares, shared
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.targets import Target, targets
from reportgen.probe import saliency
from reportgen.probe.passing import Rows
from reportgen.probe.probe import Probe
from reportgen.probe.rectifiers import why_not
from reportgen.report.arrays import FloatArray
from reportgen.report.places import fullest_place
from reportgen.report.records import Fact, Finding, Image, Panel, Rule

LOOKS: Mapping[str, Look] = {"integrated_gradients": "signed", "guided_backprop": "colour"}
"How maps are drawn, as is the custom for each; all others as magnitudes."

_NUMBERS = "numbers"
"Row of an image: its score, that of the baseline, and the sigma of SmoothGrad's noise."

RULES = (
    Rule(
        "no-gradient",
        "Warning: the gradient of the explained class is zero at every pixel. Not raised where a "
        "network ends in a softmax or sigmoid, whose slope rounds to zero when it is sure.",
    ),
    Rule("gradient-not-finite", "Warning: that gradient holds NaN or infinite values."),
)


@dataclass(frozen=True, eq=False)
class Explained:
    """One image with its maps, the plain gradient first."""

    image: Image
    target: Target
    maps: tuple[Map, ...]
    integrated: saliency.Integrated
    sigma: float
    "Of SmoothGrad's noise."


def _gradient(_: Study, probe: Probe, image: torch.Tensor, index: int) -> FloatArray:
    return strongest(saliency.vanilla(probe, image, index))


def _smoothgrad(study: Study, probe: Probe, image: torch.Tensor, index: int) -> FloatArray:
    return strongest(saliency.smooth_grad(probe, image, index, study.options.seed))


def _integrated(_: Study, probe: Probe, image: torch.Tensor, index: int) -> FloatArray:
    return summed(saliency.integrated_gradients(probe, image, index).attributions)


def _guided(study: Study, probe: Probe, image: torch.Tensor, index: int) -> FloatArray | None:
    if why_not(study.evidence.calls):
        return None
    return strongest(saliency.guided(probe, image, index))


def _method(name: str, title: str, made: MapOf, passes: int) -> Method:
    """A method whose map is None where it is not finite."""

    def map_of(study: Study, probe: Probe, image: torch.Tensor, index: int) -> FloatArray | None:
        values = made(study, probe, image, index)
        return values if values is not None and np.isfinite(values).all() else None

    return Method(name, title, "gradients", map_of, passes)


METHODS = (
    _method("gradient", "Gradient", _gradient, 3),
    _method("smoothgrad", "SmoothGrad", _smoothgrad, 3 * saliency.SAMPLES),
    _method("integrated_gradients", "Integrated gradients", _integrated, 3 * saliency.STEPS + 2),
    _method("guided_backprop", "Guided backpropagation", _guided, 3),
)


def run(study: Study) -> Outcome:
    """One panel per pictured image with a finite answer."""
    wanted, problem = targets(study), why_not(study.evidence.calls)
    panels, seen, maps = {}, [], {}
    for index, rows in zip(study.pictured, results(study), strict=True):
        image = study.image_records[index]
        explained = _explained(image, wanted[index], rows)
        seen.append(explained)
        panels[image.slug] = _panel(study, explained, problem)
        maps[image.slug] = {m.method.name: m.values for m in explained.maps if not m.problem}
    findings = _findings(seen, has_logits=not study.evidence.gives_probabilities)
    return Outcome(panels, findings, maps)


def results(study: Study) -> Iterator[Rows]:
    """Of every pictured image its gradient under each method, and the numbers beside them."""
    probe, explained = study.probe, targets(study)
    has_guided = not why_not(study.evidence.calls)
    team, images = study.team, study.pictured
    mine = shared(team, images)

    def work(index: int) -> Rows:
        of = explained[index].index
        image = study.images.normalise(study.images.pixels(index))
        integrated = saliency.integrated_gradients(probe, image, of)
        found = {
            "gradient": saliency.vanilla(probe, image, of),
            "smoothgrad": saliency.smooth_grad(probe, image, of, study.options.seed),
            "integrated_gradients": integrated.attributions,
        }
        if has_guided:
            found["guided_backprop"] = saliency.guided(probe, image, of)
        if study.progress is not None:
            study.progress(mine.index(index) + 1, len(mine))
        numbers = integrated.score, integrated.baseline_score, saliency.noise_sigma(image)
        return {name: map_.numpy() for name, map_ in found.items()} | {_NUMBERS: np.array(numbers)}

    return in_shares(team, images, work)


def _explained(image: Image, target: Target, rows: Rows) -> Explained:
    """All maps of one image."""
    found = {name: torch.from_numpy(row) for name, row in rows.items() if name != _NUMBERS}
    score, baseline_score, sigma = rows[_NUMBERS].tolist()
    return Explained(
        image,
        target,
        tuple(
            Map(method, found[method.name], LOOKS.get(method.name, "magnitude"))
            for method in METHODS
            if method.name in found
        ),
        saliency.Integrated(found["integrated_gradients"], score, baseline_score),
        sigma,
    )


def _panel(study: Study, explained: Explained, guided_problem: str) -> Panel:
    target, integrated = explained.target, explained.integrated
    drawn = [made for made in explained.maps if not made.problem]
    reasons = {made.method.title: made.problem for made in explained.maps if made.problem}
    if guided_problem:
        reasons[METHODS[-1].title] = guided_problem
    named: dict[str, Fact] = {
        "target": target.index,
        "label": target.label,
        "target_source": target.source,
    }
    if not drawn:
        return Panel({**named, "problem": next(iter(reasons.values()))})
    shown = [shown_of(made) for made in drawn]
    limits = [limit_of(values) for values in shown]
    fullest = [fullest_place(np.abs(made.values)) for made in drawn]
    facts: dict[str, Fact] = {
        **named,
        "problem": "",
        "score": study.score,
        "maps": tuple(made.method.name for made in drawn),
        "low": tuple(made.range[0] for made in drawn),
        "high": tuple(made.range[1] for made in drawn),
        "limit": tuple(limits),
        "looks": tuple(made.look for made in drawn),
        "strongest_places": tuple(place for place, _ in fullest),
        "strongest_shares": tuple(share for _, share in fullest),
        "missing": tuple(reasons),
        "reasons": tuple(reasons.values()),
        "samples": saliency.SAMPLES,
        "noise": saliency.NOISE,
        "sigma": explained.sigma,
        "steps": saliency.STEPS,
        "image_score": integrated.score,
        "baseline_score": integrated.baseline_score,
        "attributed": integrated.total,
        "gap": integrated.gap,
        "relative_gap": integrated.relative_gap,
        "occlusion_correlation": _agreement(study, explained),
    }
    blocks = {
        made.method.name: picture(explained.image, target.label, made, values, limit)
        for made, values, limit in zip(drawn, shown, limits, strict=True)
    }
    kept = {made.method.name: made.values for made in drawn} if study.options.save_arrays else {}
    return Panel(facts, kept, blocks)


def _agreement(study: Study, explained: Explained) -> float | None:
    """Rank correlation of integrated gradients with the drops that occlusion measured."""
    signed = [made for made in explained.maps if made.look == "signed" and not made.problem]
    return occlusion_correlation(study, explained.image, signed[0].values) if signed else None


def _findings(seen: Sequence[Explained], *, has_logits: bool) -> tuple[Finding, ...]:
    kinds: Mapping[str, list[Finding]] = {rule.kind: [] for rule in RULES}
    for explained in seen:
        plain, of = explained.maps[0], explained.target.label
        is_zero = not bool(plain.tensor.any())
        if plain.problem and (has_logits or not is_zero):
            kind = "no-gradient" if is_zero else "gradient-not-finite"
            said = f"no gradient reaches the image for {of}."
            said = said if is_zero else f"the gradient for {of} is not finite."
            text = f"{explained.image.path}: {said}"
            link = image_link(explained.image, "gradients")
            kinds[kind].append(Finding("warning", kind, text, link))
    return tuple(
        finding for found in kinds.values() for finding in few(found, "image", "images/index.html")
    )


ANALYSIS = Analysis(
    name="gradients",
    title="Gradients",
    place="image",
    run=run,
    needs=("score", "picture"),
    help_with=helping(results),
    rules=RULES,
    references=(
        "Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks: Visualising Image "
        "Classification Models and Saliency Maps. arXiv:1312.6034, 2013.",
        "Smilkov, Thorat, Kim, Viégas, Wattenberg: SmoothGrad: removing noise by adding noise. "
        "arXiv:1706.03825, 2017.",
        "Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks. ICML, 2017.",
        "Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity: The All "
        "Convolutional Net. ICLR Workshop, 2015.",
        "Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for Saliency Maps. "
        "NeurIPS, 2018.",
    ),
)
