"""How a report was made, in sentences for the methods section of a paper, with references."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from reportgen.papers.bibliography import Bibliography, bibliography
from reportgen.papers.latex import escaped
from reportgen.papers.tables import by
from reportgen.report.places import slices_of
from reportgen.report.records import Image, Layer, Panel, Report

FILLS = {
    "mean": "the mean colour",
    "gray": "mid grey",
    "black": "black",
    "blur": "a blurred copy of the image",
}


@dataclass(frozen=True)
class Sentence:
    """What was done, without its full stop, and the keys of the works behind it."""

    text: str
    keys: tuple[str, ...] = ()


def sentences(report: Report) -> tuple[Sentence, ...]:
    """What was done, in order: the network, the images, then each section's method."""
    return tuple(_sentences(report, bibliography(report)))


def methods_text(report: Report) -> str:
    """The paragraph in plain text, with keys of `cite.bib` in square brackets."""
    return " ".join(
        one.text + (f" [{'; '.join(one.keys)}]." if one.keys else ".") for one in sentences(report)
    )


def methods_latex(report: Report) -> str:
    """The same for LaTeX, one sentence a line."""
    return "\n".join(
        escaped(one.text) + (rf"~\cite{{{','.join(one.keys)}}}." if one.keys else ".")
        for one in sentences(report)
    )


def provenance_text(report: Report) -> str:
    """`methods.txt`: the paragraph, then versions, settings and hashes line by line."""
    made, model = report.provenance, report.model
    lines = [
        "How this was made",
        "",
        methods_text(report),
        "",
        f"reportgen {made.reportgen}",
        *(f"{name} {version}" for name, version in made.versions),
        f"command: {made.command}",
        *(f"option {name}: {value}" for name, value in made.options),
        f"device {made.device}, batch size {made.batch_size}, seed {made.seed}",
        f"SHA-256 of {model.file or 'the weights'}: {model.sha256}",
        *(f"SHA-256 of {image.path}: {image.sha256}" for image in report.images),
    ]
    return "\n".join(lines) + "\n"


def images_digest(report: Report) -> str:
    """One SHA-256 for all images: of the line `<sha256>  <path>` of each, in their order."""
    lines = "".join(f"{image.sha256}  {image.path}\n" for image in report.images)
    return hashlib.sha256(lines.encode("utf-8", "backslashreplace")).hexdigest()


def _sentences(report: Report, known: Bibliography) -> Iterator[Sentence]:
    yield _network(report)
    yield _images(report)
    made = report.provenance
    versions = ", ".join(f"{name} {version}" for name, version in made.versions)
    yield Sentence(
        f"The report was made with reportgen {made.reportgen} ({versions}) on {made.device} in "
        f"batches of {made.batch_size} with seed {made.seed}"
    )
    panels = _panels(report)
    for name, write in _WRITERS.items():
        if name in panels:
            yield from write(panels[name], known)


_OUTPUTS = {
    "classify": "classes",
    "multilabel": "classes, each with a probability of its own",
    "regress": "values",
    "segment": "classes, each told by its mean probability over all pixels",
}
"What a network gives, by its task; boxes have no number."


def _network(report: Report) -> Sentence:
    model = report.model
    outputs = f", {model.classes:,} {_OUTPUTS[model.task]}" if model.classes else ""
    return Sentence(
        f"We examined {model.architecture} ({model.parameters:,} parameters, {model.macs:,} "
        f"multiply-accumulates for an image{outputs}) from "
        f"{model.file or 'memory'} (SHA-256 {model.sha256[:16]}), in evaluation mode and float32"
    )


def _images(report: Report) -> Sentence:
    model, count = report.model, len(report.images)
    pre = model.preprocessing
    size = f"{slices_of(pre.slices)}{pre.height} × {pre.width} pixels"
    if not pre.interpolation:  # tensors of a program
        resized = f"taken as they were, {size}"
    elif pre.resize is None:
        resized = f"squeezed to {size} ({pre.interpolation})"
    else:
        resized = (
            f"resized to {pre.resize} pixels on the shorter side ({pre.interpolation}), cropped"
        )
        resized += f" at the centre to {size}"
    mean, std = (", ".join(f"{v:.4g}" for v in values) for values in (pre.mean, pre.std))
    assumed = "; this preprocessing is an assumption" if pre.is_assumed else ""
    noun, verb = ("image", "was") if count == 1 else ("images", "were")
    return Sentence(
        f"{count:,} {noun} (SHA-256 of the list of hashes {images_digest(report)[:16]}) {verb} "
        f"{resized}, and normalised with mean ({mean}) and standard deviation ({std}){assumed}"
    )


def _panels(report: Report) -> dict[str, Panel]:
    """The first panel of each section that found something."""
    found = {section.name: section.panel for section in report.sections if section.panel}
    subjects: tuple[Layer | Image, ...] = (*report.layers, *report.images)
    for subject in subjects:
        for name, panel in subject.panels.items():
            if name not in found and not panel.facts.get("problem"):
                found[name] = panel
    return found


def _cited(text: str, known: Bibliography, *works: tuple[str, int]) -> Sentence:
    keys = (known.key(*work) for work in works)
    return Sentence(text, tuple(key for key in keys if key is not None))


def _dead_filters(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    yield _cited(
        "A unit is called dead where it is never above zero, at any position of any image, after "
        "its rectifier; with N images it fires on at most 3/N of images like these, with 95 % "
        "confidence",
        known,
        ("Hanley", 1983),
    )
    if panel.facts.get("curve_layers"):
        yield _cited(
            "How the count of dead units falls with the number of images is the mean over all "
            "orders of the images",
            known,
            ("Hurlbert", 1971),
            ("Good", 1953),
        )


def _occlusion(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    facts = panel.facts
    fill = FILLS.get(str(facts["fill"]), str(facts["fill"]))
    yield _cited(
        f"Occlusion maps show how much the score of the class falls where {fill} hides a window of "
        f"{_size(facts['window'])} pixels, moved by {_size(facts['stride'])} pixels "
        f"({facts['engine']} engine)",
        known,
        ("Zeiler", 2014),
        ("Nakandala", 2019),
    )


def _gradcam(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    maps = panel.facts.get("maps")
    names = maps if isinstance(maps, tuple) else ()
    titles = {"gradcam": "Grad-CAM", "layercam": "LayerCAM", "hirescam": "HiResCAM", "cam": "CAM"}
    works = {
        "gradcam": ("Selvaraju", 2017),
        "layercam": ("Jiang", 2021),
        "hirescam": ("Draelos", 2020),
        "cam": ("Zhou", 2016),
    }
    drawn = [name for name in titles if name in names]
    if drawn:
        words = ", ".join(titles[name] for name in drawn)
        text = f"Class activation maps are {words}, at the last tensor with maps that all paths "
        text += "from the image to the score pass through"
        yield _cited(text, known, *(works[name] for name in drawn))


def _gradients(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    facts = panel.facts
    maps = facts.get("maps")
    names = maps if isinstance(maps, tuple) else ()
    words = {
        "gradient": (f"the gradient of the {facts.get('score')}", ("Simonyan", 2013)),
        "smoothgrad": (
            f"SmoothGrad ({facts.get('samples')} copies, noise of "
            f"{_share(facts.get('noise'))} of the range)",
            ("Smilkov", 2017),
        ),
        "integrated_gradients": (
            f"integrated gradients from the mean colour ({facts.get('steps')} steps)",
            ("Sundararajan", 2017),
        ),
        "guided_backprop": ("guided backpropagation", ("Springenberg", 2015)),
    }
    drawn = [words[name] for name in words if name in names]
    if drawn:
        text = f"Maps of pixels are {', '.join(text for text, _ in drawn)}"
        yield _cited(text, known, *(work for _, work in drawn))


def _attention(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    yield _cited("Attention is shown by rollout over all layers", known, ("Abnar", 2020))


def _trust(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    facts = panel.facts
    if facts.get("methods"):
        yield _cited(
            f"Each attribution method was tested by deletion and insertion in {facts['steps']} "
            f"steps against {facts['random_maps']} random maps an image that are as coarse as its "
            "own, and by the rank correlation with its maps once all weights are initialised again",
            known,
            ("Petsiuk", 2018),
            ("Adebayo", 2018),
        )


def _design(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    yield _cited(
        "Spectra are radial means of the energy of kernels and of maps under a Hann window, and a "
        "stride folds what lies beyond its limit of the output at stride 1",
        known,
        ("Zeiler", 2014),
        ("Zhang", 2019),
    )


def _patches(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    yield _cited(
        "Units are shown by the nine image patches on which they are strongest, with deconvnet "
        "projections",
        known,
        ("Zeiler", 2014),
    )


def _visualisation(panel: Panel, known: Bibliography) -> Iterator[Sentence]:
    yield _cited(
        f"Pictures that excite a unit were painted by {panel.facts.get('steps')} steps of gradient "
        "ascent on Fourier coefficients, under random shifts, scales and turns",
        known,
        ("Olah", 2017),
        ("Erhan", 2009),
    )


def _size(fact: object) -> str:
    return by(tuple(int(side) for side in fact)) if isinstance(fact, tuple) else str(fact)


def _share(fact: object) -> str:
    return f"{100 * fact:.3g} %" if isinstance(fact, int | float) else "?"


_WRITERS = {
    "dead_filters": _dead_filters,
    "occlusion": _occlusion,
    "gradcam": _gradcam,
    "gradients": _gradients,
    "attention": _attention,
    "trust": _trust,
    "design": _design,
    "patches": _patches,
    "visualisation": _visualisation,
}
"By section, in the order of the paragraph."
