"""One row of the zoo: a report of one architecture, and what was held against it."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

import reportgen
from reportgen.report.records import Panel, Report
from tests.zoo.counting import counted_macs, parameters_of
from tests.zoo.members import Member

LEFT_OUT = ("trust",)
"Runs each method of attribution hundreds of times: minutes for a large network."

TOLERANCE = {"torchvision": 0.01, "timm": 0.05}
"By which share multiplications may differ from published ones: timm's have two decimals."


@dataclass(frozen=True)
class Row:
    """What was measured of one architecture."""

    label: str
    layers: int
    sections: tuple[str, ...]
    "That have something to show."
    absent: Mapping[str, str]
    "Why the others have not, in the report's words; empty where it says nothing of them."
    seconds: float
    "Of the whole report, written."
    megabytes: float
    shapes: tuple[int, int]
    "Outputs of leaf modules that a hook saw: as many have the shape in the report, of so many."
    odd: tuple[str, ...]
    "The first leaf modules whose shape in the report is another."
    parameters: tuple[int, float]
    "At the published size: ours, and as published."
    macs: tuple[int, int]
    "At the size of the report: in the report, and counted once more."
    native_macs: tuple[int, float]
    "At the published size: counted, and as published in billions."
    has_right_answers: bool
    has_right_parameters: bool

    def as_data(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def pictures(size: tuple[int, int]) -> torch.Tensor:
    """Two images of soft noise, (2 3 h w) in [0, 1]."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(2, 3, 5, 7, generator=generator)
    soft = nn.functional.interpolate(coarse, size, mode="bilinear")
    return (soft + 0.2 * torch.rand(2, 3, *size, generator=generator)) / 1.2


def row(member: Member) -> Row:
    """Makes a report of a network with random weights, and holds it against what else is known."""
    net = member.small()
    images = pictures(member.size)
    height, width = (side // 2 for side in member.size)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "report"
        start = time.perf_counter()
        report = reportgen.build(
            net,
            images,
            output=site,
            max_images=1,
            visualise=0,
            exclude=LEFT_OUT,
            occlusion_window=(height, width),
            occlusion_stride=(height, width),
            device="cpu",
        ).record
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    preprocessing = report.model.preprocessing
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std)
    )
    logits, outputs = watched(net, (images - mean) / std)
    odd = odd_shapes(report, outputs)
    native = member.published()
    return Row(
        label=member.label,
        layers=len(report.layers),
        sections=tuple(s.name for s in report.sections if shows(report, s.name)),
        absent={s.name: reason(report, s.name) for s in report.sections if reason(report, s.name)},
        seconds=round(seconds, 1),
        megabytes=round(size / 1e6, 2),
        shapes=(len(outputs) - len(odd), len(outputs)),
        odd=tuple(odd[:5]),
        parameters=(parameters_of(native), member.parameters),
        macs=(report.model.macs, counted_macs(deepcopy(net).to("meta"), member.size)),
        native_macs=(counted_macs(native, member.native), member.gmacs),
        has_right_answers=has_right_answers(report, logits),
        has_right_parameters=report.model.parameters == parameters_of(net),
    )


def shows(report: Report, name: str) -> bool:
    """Whether a section has something to show of the network, a layer or an image."""
    panels = _panels(report, name)
    return any(not panel.facts.get("problem") for panel in panels)


def reason(report: Report, name: str) -> str:
    """Why a section shows nothing, as the report says it; empty where it does, or is silent."""
    section = next(section for section in report.sections if section.name == name)
    said = [str(panel.facts.get("problem", "")) for panel in _panels(report, name)]
    return section.problem or ("" if shows(report, name) else next(filter(None, said), ""))


def _panels(report: Report, name: str) -> list[Panel]:
    section = next(section for section in report.sections if section.name == name)
    subjects = (*report.layers, *report.images)
    found = [subject.panels[name] for subject in subjects if name in subject.panels]
    return [*([section.panel] if section.panel else []), *found]


def watched(
    net: nn.Module, batch: torch.Tensor
) -> tuple[torch.Tensor, dict[tuple[str, int], tuple[int, ...]]]:
    """The scores of a batch, and shapes that leaf modules of torch.nn gave, by name and call."""
    outputs: dict[tuple[str, int], tuple[int, ...]] = {}
    calls: dict[str, int] = {}
    handles = []

    def hook(name: str):
        def seen(module: nn.Module, given: object, output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(output, torch.Tensor):
                outputs[name, calls[name]] = tuple(output.shape)

        return seen

    for name, module in net.named_modules():
        # A leaf of timm's own is no layer: the report shows what it computes with.
        is_known = any(base.__module__.startswith("torch.nn.modules.") for base in _kinds(module))
        if is_known and not any(True for _ in module.children()):
            handles.append(module.register_forward_hook(hook(name)))
    with torch.no_grad():
        scores = net(batch)
    for handle in handles:
        handle.remove()
    return scores, outputs


def _kinds(module: nn.Module) -> list[type]:
    return [kind for kind in type(module).__mro__ if kind is not nn.Module]


def odd_shapes(report: Report, outputs: Mapping[tuple[str, int], tuple[int, ...]]) -> list[str]:
    """Modules that a hook saw, and whose shape in the report is another or missing."""
    told = {(layer.name, layer.call): layer.output_shape for layer in report.layers}
    found = []
    for (name, call), shape in outputs.items():
        shown = told.get((name, call))
        if shown is not None and fits(shown, shape, len(report.images)):
            continue
        found.append(f"{name}#{call}: {shown} of {shape}")
    return found


def fits(shown: tuple[int, ...], shape: tuple[int, ...], images: int) -> bool:
    """Whether a shape of one image is that of a batch: without it, or with it split into parts."""
    if shown == shape[1:] and shape[0] == images:
        return True
    if shown == shape and shape[0] == 1:  # made once for all images, as XCiT's positions
        return True
    # Windows of all images lie on one axis: (images x windows, ...) is (windows, ...) for one.
    return shape[0] % images == 0 and math.prod(shown) * images == math.prod(shape)


def has_right_answers(report: Report, logits: torch.Tensor) -> bool:
    """Whether the best classes and their scores are those that the network gives by itself."""
    for image, scores in zip(report.images, logits, strict=True):
        best = [guess.index for guess in image.predictions]
        told = torch.tensor([guess.logit for guess in image.predictions])
        top = scores.topk(len(best))
        scale = float(scores.abs().max())
        if not best or float((top.values - told).abs().max()) > 1e-4 * scale:
            return False
        if float((scores[best] - told).abs().max()) > 1e-4 * scale:
            return False
    return True


def failures(measured: Row, member: Member) -> list[str]:
    """What does not hold, one phrase each; empty where all does."""
    found = []
    if measured.shapes[0] != measured.shapes[1]:
        found.append(f"shapes: {'; '.join(measured.odd)}")
    ours, published = measured.parameters
    # timm's are in millions, with two decimals.
    is_same = (
        ours == published
        if member.library == "torchvision"
        else abs(ours / 1e6 - published) < 0.006
    )
    if not is_same or not measured.has_right_parameters:
        found.append(f"parameters: {ours} of {published}")
    if measured.macs[0] != measured.macs[1]:
        found.append(
            f"multiplications: {measured.macs[0]} in the report, {measured.macs[1]} counted"
        )
    if not has_published_macs(measured.native_macs, member) and not member.note:
        counted, published = measured.native_macs
        found.append(f"MACs: {counted / 1e9:.3f} G counted, {published} G published")
    if not measured.has_right_answers:
        found.append("answers")
    return found


def has_published_macs(native_macs: Sequence[float], member: Member) -> bool:
    """Whether the multiplications at the published size, counted, are the published ones."""
    counted, published = native_macs
    return abs(counted / 1e9 - published) <= TOLERANCE[member.library] * published + 0.0051
