"""One row of the zoo: a report of one architecture, and what was held against it."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

import reportgen
from reportgen.report.records import Panel, Report
from tests.zoo.counting import counted_macs, counter_for, parameters_of
from tests.zoo.members import Member, is_first

NEVER = ("trust",)
"Runs each method of attribution hundreds of times: minutes for a large network."

BRIEF = (*NEVER, "patches", "redundancy", "design", "gradient_flow", "gradcam", "gradients")
"Left out of all networks of a family but the smallest."

TOLERANCE = {"torchvision": 0.01, "timm": 0.05}
"By which share multiplications may differ from published ones: timm's have two decimals."

Shapes: TypeAlias = Mapping[tuple[str, int], tuple[int, ...]]
"By name and number of a call."


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
    left_out: tuple[str, ...] = NEVER
    "Sections that were not made, to save time."

    def as_data(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def pictures(size: tuple[int, int]) -> torch.Tensor:
    """Two images of soft noise, (2 3 h w) in [0, 1]."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(2, 3, 5, 7, generator=generator)
    soft = nn.functional.interpolate(coarse, size, mode="bilinear")
    return (soft + 0.2 * torch.rand(2, 3, *size, generator=generator)) / 1.2


def row(member: Member, left_out: tuple[str, ...]) -> Row:
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
            exclude=left_out,
            layers=some_layers(net, images) if left_out == BRIEF and not is_first(member) else (),
            occlusion_window=(height, width),
            occlusion_stride=(height, width),
            device="cpu",
            threads=1,
        ).record
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    preprocessing = report.model.preprocessing
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std)
    )
    batch = (images - mean) / std
    is_detection = member.task == "detect"
    # A report follows two copies of the first image, and of each as many objects are found.
    output, outputs = watched(net, batch[:1].expand_as(batch) if is_detection else batch)
    fixed = outputs if is_detection else watched(net, batch[:1])[1]
    odd = odd_shapes(report, outputs, fixed)
    parameters = report.model.parameters == parameters_of(net)
    if is_detection:
        counted = counter_for(net, batch[:1]).macs
    else:
        counted = counted_macs(net.to("meta"), member.size)
    del net
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
        macs=(report.model.macs, counted),
        native_macs=(_native_macs(member, native), member.gmacs),
        has_right_answers=has_right_answers(report, scores_of(output)),
        has_right_parameters=parameters,
        left_out=left_out,
    )


def usually_left_out(member: Member) -> tuple[str, ...]:
    """Sections that are not made of a network, unless all are asked for."""
    return NEVER if is_first(member) else BRIEF


def some_layers(net: nn.Module, images: torch.Tensor) -> tuple[str, ...]:
    """Names of every eighth leaf module of torch.nn that is called."""
    return tuple(dict.fromkeys(name for name, _ in watched(net, images)[1]))[::8]


REQUIRED = frozenset({"overview", "architecture", "activations", "weights", "dead_filters"})
"Sections that have something to show of any network."

OF_SCORES = frozenset({"occlusion", "gradcam", "gradients", "gradient_flow"})
"Sections that a network which gives boxes cannot have, and has to say why."


def _native_macs(member: Member, native: nn.Module) -> int:
    if member.task == "detect":
        return counter_for(native, pictures(member.native)[:1]).macs
    return counted_macs(native, member.native)


def scores_of(output: Any) -> torch.Tensor:
    """One score a class of each image (images classes): none of boxes, of a map the log share."""
    if isinstance(output, list):
        return torch.empty(len(output), 0)
    scores: torch.Tensor = output
    if isinstance(output, dict):
        scores = output["out"].softmax(1).mean((2, 3)).log()
    return scores


def shows(report: Report, name: str) -> bool:
    """Whether a section has something to show of the network, a layer or an image."""
    panels = _panels(report, name)
    return any(not panel.facts.get("problem") for panel in panels)


def reason(report: Report, name: str) -> str:
    """Why a section shows nothing, as the report says it; empty where it does, or is silent."""
    section = next(section for section in report.sections if section.name == name)
    said = [str(panel.facts.get("problem", "")) for panel in _panels(report, name)]
    return (
        section.problem
        or section.absent
        or ("" if shows(report, name) else next(filter(None, said), ""))
    )


def _panels(report: Report, name: str) -> list[Panel]:
    section = next(section for section in report.sections if section.name == name)
    subjects = (*report.layers, *report.images)
    found = [subject.panels[name] for subject in subjects if name in subject.panels]
    return [*([section.panel] if section.panel else []), *found]


def watched(net: nn.Module, batch: torch.Tensor) -> tuple[Any, Shapes]:
    """What is given for a batch, and the shapes that leaf modules of torch.nn gave in each call."""
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
        # An empty Sequential, as GhostNet has, does nothing.
        is_leaf = not any(True for _ in module.children()) and not isinstance(module, nn.Sequential)
        if is_known and is_leaf:
            handles.append(module.register_forward_hook(hook(name)))
    with torch.no_grad():
        output = net(batch)
    for handle in handles:
        handle.remove()
    return output, outputs


def _kinds(module: nn.Module) -> list[type]:
    return [kind for kind in type(module).__mro__ if kind is not nn.Module]


def odd_shapes(report: Report, outputs: Shapes, fixed: Shapes) -> list[str]:
    """Modules that a hook saw, and whose shape in the report is another or missing.

    Args:
        report: of the network.
        outputs: shapes that were seen.
        fixed: where the same shape stands here, it may be whole in the report: it is the same for
            one image, as that of positions in XCiT, or has a row an object.
    """
    told = {(layer.name, layer.call): layer.output_shape for layer in report.layers}
    found = []
    for key, shape in outputs.items():
        shown = told.get(key)
        is_whole = shown == shape == fixed.get(key)
        if shown is None or not (is_whole or fits(shown, shape, len(report.images))):
            found.append(f"{key[0]}#{key[1]}: {shown} of {shape}")
    return found


def fits(shown: tuple[int, ...], shape: tuple[int, ...], images: int) -> bool:
    """Whether a shape of one image is that of a batch: without it, or with it split into parts."""
    if shown == shape[1:] and shape[0] == images:
        return True
    # Windows of all images lie on one axis: (images x windows, ...) is (windows, ...) for one.
    return shape[0] % images == 0 and math.prod(shown) * images == math.prod(shape)


def has_right_answers(report: Report, logits: torch.Tensor) -> bool:
    """Whether the best classes and their scores are those that the network gives by itself."""
    for image, scores in zip(report.images, logits, strict=True):
        best = [guess.index for guess in image.predictions]
        if not len(scores) and not best:  # boxes
            continue
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
    expected = REQUIRED | (set() if member.task == "detect" else {"answers", "occlusion"})
    if missing := expected - set(measured.sections):
        found.append(f"nothing in {', '.join(sorted(missing))}")
    silent = OF_SCORES - set(measured.left_out) - measured.absent.keys()
    if member.task == "detect" and silent:
        found.append(f"no reason for the absence of {', '.join(sorted(silent))}")
    if not measured.has_right_answers:
        found.append("answers")
    return found


def has_published_macs(native_macs: Sequence[float], member: Member) -> bool:
    """Whether the multiplications at the published size, counted, are the published ones."""
    counted, published = native_macs
    return abs(counted / 1e9 - published) <= TOLERANCE[member.library] * published + 0.0051
