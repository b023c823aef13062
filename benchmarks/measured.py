"""Builds a report in this process, and notes its time and what it asked of the network."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.transforms.functional import center_crop, normalize, pil_to_tensor, resize

from benchmarks.table import clock, seconds
from reportgen.load.model import LoadedModel, load_model
from reportgen.options import Options
from reportgen.pipeline import build
from reportgen.probe.evidence import Call
from reportgen.probe.occlusion.engine import hidden_scores
from reportgen.probe.reach import output_of
from reportgen.profile import Profile
from reportgen.progress import Progress
from reportgen.report.arrays import Pixels

PHOTOS = Path(__file__).parent.parent / "sample_models" / "photos"
SIDE = 224

Size: TypeAlias = tuple[int, int, int]
"Images, height, width."


def photos(folder: Path, count: int) -> list[torch.Tensor]:
    """The sample photos, and mirrored ones, as files in a folder, and normalised (3 224 224)."""
    folder.mkdir()
    files = sorted(PHOTOS.iterdir())
    found = []
    for number in range(count):
        picture = Image.open(files[number % len(files)]).convert("RGB")
        if number >= len(files):
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture.save(folder / f"{number:02}.png")
        cut = center_crop(resize(picture, [256]), [SIDE, SIDE])
        values = pil_to_tensor(cut).float() / 255
        found.append(normalize(values, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return found


def saved_net(folder: Path, name: str, images: list[torch.Tensor]) -> Path:
    """The file of a network with random weights whose batch norms know these images.

    Its scores are scaled so that the likeliest class has a probability like a trained one's.
    """
    torch.manual_seed(0)
    net: nn.Module = torchvision.models.get_model(name)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
    batch = torch.stack(images)
    with torch.no_grad():
        net.train()(batch)
        scores = net.eval()(batch)
        last = [part for part in net.modules() if isinstance(part, nn.Linear)][-1]
        for parameter in (last.weight, last.bias):
            parameter.mul_(12 / float((scores - scores.mean()).amax()))
    torch.save(net.state_dict(), folder / f"{name}.pth")
    return folder / f"{name}.pth"


def report_options(folder: Path, model: Path, images: list[torch.Tensor]) -> Options:
    """Options of a report with every image pictured and the exact occlusion engine."""
    return Options(
        model=model,
        images=(folder / "photos",),
        output=folder / "report",
        max_images=len(images),
        occlusion_engine="exact",
        device="cpu",
    )


class Passes:
    """What was asked of a network outside of the occlusion engine: calls by size of the batch."""

    def __init__(self) -> None:
        self.forward: Counter[Size] = Counter()
        self.backward: Counter[Size] = Counter()
        self.partial: Counter[tuple[Call, Size]] = Counter()
        "Both ways, as far as a call and no further."

    def __str__(self) -> str:
        forward, backward = (
            sum(size[0] * calls for size, calls in counter.items())
            for counter in (self.forward, self.backward)
        )
        partial = sum(size[0] * calls for (_, size), calls in self.partial.items())
        return (
            f"{forward:,} images forward, {backward:,} backward, {partial:,} both ways as far as "
            "a layer"
        )

    def watch(self, net: nn.Module, is_counting: Callable[[], bool]) -> None:
        """Counts from now on, in copies of the network too."""

        def note(_net: nn.Module, inputs: Any, output: Any) -> None:
            # A network that is followed step by step is given no images.
            if not is_counting() or not isinstance(inputs[0], torch.Tensor):
                return
            size = _size(inputs[0])
            self.forward[size] += 1
            if output.requires_grad:
                output.register_hook(lambda _: self.backward.update([size]))

        net.register_forward_hook(note)

    def seconds(self, net: nn.Module, image: torch.Tensor) -> float:
        """What all of them cost with nothing around: one of each kind is timed, and multiplied."""
        total = 0.0
        for size in {*self.forward, *self.backward}:
            images = _like(image, size)
            forward = _warm_seconds(lambda images=images: _forward(net, images))
            total += self.forward[size] * forward
            if self.backward[size]:
                both = _warm_seconds(lambda images=images: _both_ways(net, images))
                total += self.backward[size] * max(0.0, both - forward)
        for (call, size), calls in self.partial.items():
            images = _like(image, size)
            total += calls * _warm_seconds(
                lambda call=call, images=images: _as_far_as(net, call, images)
            )
        return total


def _size(images: torch.Tensor) -> Size:
    return len(images), images.shape[-2], images.shape[-1]


def _like(image: torch.Tensor, size: Size) -> torch.Tensor:
    """Images (b 3 h w) of a size, made of one (3 h w)."""
    made = nn.functional.interpolate(image[None], size[1:], mode="area")
    return made.repeat(size[0], 1, 1, 1)


def _warm_seconds(work: Callable[[], Any]) -> float:
    """The better of two runs."""
    return min(seconds(work), seconds(work))


def _forward(net: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        net(images)


def _both_ways(net: nn.Module, images: torch.Tensor) -> None:
    leaf = images.clone().requires_grad_()
    torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)


def _as_far_as(net: nn.Module, call: Call, images: torch.Tensor) -> None:
    leaf = images.clone().requires_grad_()
    torch.autograd.grad(output_of(net, call, leaf.clone()).sum(), leaf)


@dataclass(frozen=True)
class Built:
    """One report and what it took."""

    seconds: float
    occlusion: float
    "Seconds inside the occlusion engine."
    passes: Passes
    profile: tuple[str, ...]
    "Lines of `--profile`."


def built(options: Options) -> Built:
    """Builds a report, with everything counted."""
    profile, passes = Profile("Starting"), Passes()
    occlusion, is_occluding = 0.0, False

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal occlusion, is_occluding
        start, is_occluding = clock(), True
        try:
            return hidden_scores(*args, **kwargs)
        finally:
            is_occluding = False
            occlusion += clock() - start

    def loaded(*args: Any, **kwargs: Any) -> LoadedModel:
        found = load_model(*args, **kwargs)
        passes.watch(found.module, lambda: not is_occluding)
        return found

    def reached(net: nn.Module, call: Call, images: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            passes.partial[call, _size(images)] += 1
        return output_of(net, call, images)

    with (
        mock.patch("reportgen.probe.occlusion.occlude.hidden_scores", timed),
        mock.patch("reportgen.making.load_model", loaded),
        mock.patch("reportgen.probe.visualise.output_of", reached),
        mock.patch("reportgen.probe.deconvnet.output_of", reached),
        Progress(quiet=True, profile=profile) as progress,
    ):
        taken = seconds(lambda: build(options, progress, command=""))
        lines = tuple(profile.lines())
    return Built(taken, occlusion, passes, lines)


def encoding_seconds(site: Path) -> float:
    """What it takes to encode the pictures of a report again, from the values in them."""
    files = [path for path in site.rglob("*") if path.suffix in (".png", ".webp")]
    total = 0.0
    for path in files:
        values = np.asarray(Image.open(path))
        encode = Pixels.lossy if path.suffix == ".webp" else Pixels.of
        total += seconds(lambda values=values, encode=encode: encode(values, "again"))
    return total
