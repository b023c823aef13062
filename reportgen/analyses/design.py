"""What each layer's kernel size, stride and width do to these images, and what they cost."""

from collections.abc import Iterator, Sequence

import numpy as np

from reportgen.analyses.deadness import filters_behind
from reportgen.analyses.design_findings import RULES, Sampled, Wide, design_findings, once
from reportgen.analyses.design_tables import frequency_table, sampling_table, width_table
from reportgen.analyses.filters import kernels, weighted_module
from reportgen.analyses.findings import percent
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.probe.evidence import CallKey
from reportgen.probe.sampling import windowed
from reportgen.probe.spectrum import BANDS, RINGS, Spectrum
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Fact, Panel

IMAGES = 4
"Pictured images whose spectra are taken, evenly spaced: a spectrum sums over channels as well."
DRAWN = 24
"Layers with a picture; all are in the tables."


def run(study: Study) -> Outcome:
    """One panel: which frequencies layers read, pass and fold, and how many dimensions they use."""
    sampled, images = _sampled(study)
    wide = tuple(_wide(study))
    drawn = _drawn(sampled)
    folds = max((r for r in sampled if r.after is not None), key=_after, default=None)
    known = (r for r in wide if r.share is not None and r.has_enough_values)
    uses = min(known, key=_share, default=None)
    facts: dict[str, Fact] = {
        "images": images,
        "bands": BANDS,
        "layers": tuple(row.layer.slug for row in sampled),
        "drawn": tuple(row.layer.slug for row in drawn),
        "forms": tuple(row.form for row in drawn),
        "words": tuple(_words(row) for row in drawn),
        "strides": tuple(max(row.windows.stride) for row in drawn),
        "folds_most": folds.layer.slug if folds else None,
        "folds_share": folds.after if folds else None,
        "uses_least": uses.layer.slug if uses else None,
        "uses_dimensions": uses.dimensions if uses else None,
        "uses_of": uses.most if uses else None,
        "strided": sum(row.windows.is_strided for row in sampled),
        "wide": len(wide),
    }
    arrays = {
        "kernels": _curves([row.kernels for row in drawn]),
        "read": _curves([row.windows.read for row in drawn]),
        "given": _curves([row.windows.given for row in drawn]),
    }
    pictures = [row.layer for row in drawn]
    blocks = {
        "sampling": sampling_table(sampled, pictures),
        "frequencies": frequency_table(sampled),
    }
    if wide:
        blocks["width"] = width_table(wide)
    return Outcome({"": Panel(facts, arrays, blocks)}, design_findings(sampled, wide, pictures))


def _after(row: Sampled) -> float:
    return row.after or 0.0


def _share(row: Wide) -> float:
    return row.share or 0.0


def _sampled(study: Study) -> tuple[tuple[Sampled, ...], int]:
    """The layers with windows, in the order of execution, and how many images they were seen on."""
    evidence = study.evidence
    pictured = sorted(evidence.pictures)
    n = min(IMAGES, len(pictured))
    chosen = [pictured[index * len(pictured) // n] for index in range(n)]
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        if study.progress is not None:
            study.progress(done, n)

    found = windowed(
        study.probe,
        (study.images.normalise(study.images.pixels(index)) for index in chosen),
        frozenset(c.key for c in evidence.calls if c.key in evidence.layers),
        told,
    )
    first = next((call for call in evidence.calls if call.kind == "conv"), None)
    rows = tuple(
        Sampled(layer, found[call.key], call is first)
        for call, layer in zip(evidence.calls, study.layer_records, strict=True)
        if call.key in found
    )
    return rows, n


def _wide(study: Study) -> Iterator[Wide]:
    """Convolutions, with what earlier sections found of their units."""
    evidence = study.evidence
    alike = study.earlier.get("redundancy", Outcome()).panels
    dead: dict[CallKey, int] = {}
    pairs = tuple(zip(evidence.calls, study.layer_records, strict=True))
    for call, layer in pairs:
        behind = filters_behind(evidence, call.key) if call.rectifies else None
        if behind is not None and layer.dead_filters is not None:
            dead.setdefault(behind.key, layer.dead_filters)
    for call, layer in pairs:
        module = weighted_module(study.loaded.module, call)
        weight = kernels(module) if module is not None and call.kind == "conv" else None
        if weight is None or call.key not in evidence.layers or call.channel_axis is None:
            continue
        facts = alike[layer.slug].facts if layer.slug in alike else {}
        inputs = weight[0].size * int(getattr(module, "groups", 1))
        yield Wide(
            layer,
            call.units,
            min(call.units, inputs),
            _number(facts.get("answers_dimensions")),
            int(_number(facts.get("answers_values")) or 0),
            dead.get(call.key),
            _count(facts.get("copies")),
            _count(facts.get("near")),
        )


def _number(fact: Fact) -> float | None:
    return fact if isinstance(fact, int | float) else None


def _count(fact: Fact) -> int | None:
    return fact if isinstance(fact, int) else None


def _drawn(sampled: Sequence[Sampled]) -> tuple[Sampled, ...]:
    """All of them, or those with a stride and as many others as there is room for."""
    others = [row for row in sampled if not row.windows.is_strided]
    room = max(0, DRAWN - (len(sampled) - len(others)))
    kept = min(room, len(others))
    chosen = {id(others[index * len(others) // kept]) for index in range(kept)}
    rows = [row for row in sampled if row.windows.is_strided or id(row) in chosen]
    return tuple(rows[:DRAWN])


def _curves(spectra: Sequence[Spectrum | None]) -> FloatArray:
    """(layers RINGS) radial averages, the largest of each 1; NaN where there is none."""
    curves = np.full((len(spectra), RINGS), np.nan, dtype=np.float32)
    for curve, spectrum in zip(curves, spectra, strict=True):
        if spectrum is not None and spectrum.total > 0:
            radial = spectrum.radial()
            # All of it may lie in the corners.
            curve[:] = radial / (np.nanmax(radial) or np.nan)
    return curves


def _words(row: Sampled) -> str:
    """What is to be said of one layer, in a sentence or four."""
    said = []
    if row.kernel_bands is not None:
        low, middle, high = (percent(share) for share in row.kernel_bands)
        said.append(f"Kernels: {low} of the energy is coarse, {middle} middle, {high} fine.")
    if row.read_bands is not None:
        low, middle, high = (percent(share) for share in row.read_bands)
        said.append(f"It reads {low} coarse, {middle} middle, {high} fine.")
    if row.windows.is_patches:
        said.append(_patches(row))
    elif row.after is not None and row.before is not None:
        stride = once(row.windows.stride)
        said.append(
            f"Too fine for stride {stride}: {percent(row.before)} of what it reads, "
            f"{percent(row.after)} of what it samples{_instead(row)}."
        )
    if not said:
        said.append("Its maps are too small, or not finite: there is no spectrum to show.")
    return " ".join(said)


def _instead(row: Sampled) -> str:
    words = []
    if row.smaller_stride != (1, 1) and row.with_smaller is not None:
        words.append(f"{percent(row.with_smaller)} with stride {once(row.smaller_stride)}")
    if row.with_blur is not None:
        words.append(f"{percent(row.with_blur)} with a blur in between")
    return f" ({', '.join(words)})" if words else ""


def _patches(row: Sampled) -> str:
    """Windows side by side fold by design: what one map cannot carry, their units can."""
    assert row.windows.weight is not None
    units, inputs = len(row.windows.weight), row.windows.weight[0].size
    text = "Windows lie side by side, so that each value is read once"
    if row.before is not None:
        text += f"; {percent(row.before)} of the energy is finer than one number a patch can carry"
    return (
        f"{text}. That is the design: {units:,} units stand for the {inputs:,} values of a patch."
    )


ANALYSIS = Analysis(
    name="design",
    title="Design",
    place="page",
    run=run,
    needs=("picture",),
    rules=RULES,
    references=(
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV, 2014.",
        "Zhang: Making Convolutional Networks Shift-Invariant Again. ICML, 2019.",
        "Field: Relations between the statistics of natural images and the response properties "
        "of cortical cells. Journal of the Optical Society of America A 4 (12), 1987.",
        "Harris: On the use of windows for harmonic analysis with the discrete Fourier transform. "
        "Proceedings of the IEEE 66 (1), 1978.",
        "Ribeiro, Schön: How convolutional neural networks deal with aliasing. arXiv "
        "2102.07757, 2021.",
        "Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy, Ganguli: A theory of multineuronal "
        "dimensionality, dynamics and measurement. bioRxiv 214262, 2017.",
        "Garg, Panda, Roy: A Low Effort Approach to Structured CNN Design Using PCA. IEEE Access "
        "8, 2020.",
        "Chun, Canatar, Chung, Lee: Estimating Dimensionality of Neural Representations from "
        "Finite Samples. arXiv 2509.26560, 2025.",
    ),
)
