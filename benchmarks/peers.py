"""The content of a report made as users script it: Captum, torchcam, one subplot a channel."""

import io
from dataclasses import dataclass, fields

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import torch
from captum.attr import Occlusion
from torch import nn
from torchcam.methods import GradCAM

from benchmarks.table import seconds
from reportgen.report.arrays import FloatArray

WINDOW, STRIDE = 32, 16
CHANNELS = 64
"Most channels of a layer that get a subplot."
POSITIONS = ((224 - WINDOW) // STRIDE + 1) ** 2
BATCHES = (4, 8, 16)
"Perturbations at a time from which Captum may choose the best."


@dataclass(frozen=True)
class Scripted:
    """Seconds of each part, for all images."""

    forward: float
    occlusion: float
    cams: float
    subplots: float
    histograms: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(getattr(self, part.name) for part in fields(self))

    def __str__(self) -> str:
        parts = (f"{part.name} {getattr(self, part.name):.1f} s" for part in fields(self))
        return ", ".join(parts)


def scripted(net: nn.Module, images: list[torch.Tensor]) -> Scripted:
    """What the parts of a script cost for these images (3 h w), scaled from what is measured."""
    maps: dict[str, torch.Tensor] = {}
    convs = {name: part for name, part in net.named_modules() if isinstance(part, nn.Conv2d)}
    hooks = [
        part.register_forward_hook(lambda _, __, output, name=name: maps.update({name: output[0]}))
        for name, part in convs.items()
    ]

    def forward() -> None:
        with torch.no_grad():
            for image in images:
                net(image[None])

    taken = seconds(forward)
    for hook in hooks:
        hook.remove()
    return Scripted(
        forward=taken,
        occlusion=len(images) * (POSITIONS + 1) * _occlusion_seconds(net, images[0]),
        cams=_cam_seconds(net, images),
        subplots=len(images) * _subplot_seconds(list(maps.values())),
        histograms=_histogram_seconds(net),
    )


def _occlusion_seconds(net: nn.Module, image: torch.Tensor) -> float:
    """Of one position, with the best of `BATCHES`; measured on the positions of a wide stride.

    The clean image goes through the network once for each map, and counts as a position.
    """
    wide = 2 * STRIDE
    positions = ((224 - WINDOW) // wide + 1) ** 2
    occlusion = Occlusion(net)

    def attribute(batch: int) -> None:
        with torch.no_grad():
            occlusion.attribute(
                image[None],
                sliding_window_shapes=(3, WINDOW, WINDOW),
                strides=(3, wide, wide),
                baselines=0,
                target=0,
                perturbations_per_eval=batch,
            )

    return min(seconds(lambda batch=batch: attribute(batch)) for batch in BATCHES) / (positions + 1)


def _cam_seconds(net: nn.Module, images: list[torch.Tensor]) -> float:
    """Of Grad-CAM at the last convolution of every image, drawn over it."""

    def maps() -> None:
        with GradCAM(net) as method:
            for image in images:
                scores = net(image[None].requires_grad_())
                heat = method(int(scores.argmax()), scores)[0]
                figure, axes = plt.subplots()
                axes.imshow(image.detach().movedim(0, 2).numpy().clip(0, 1))
                axes.imshow(heat[0].numpy(), alpha=0.5, extent=(0, 224, 224, 0), cmap="jet")
                _save(figure)

    return seconds(maps)


def _subplot_seconds(maps: list[torch.Tensor]) -> float:
    """Of one subplot a channel for all layers (channels h w), from one layer of each map size."""
    total = 0.0
    sizes = sorted({tuple(one.shape[1:]) for one in maps})
    for size in sizes:
        alike = [one for one in maps if tuple(one.shape[1:]) == size]
        shown = alike[0][:CHANNELS].numpy()
        taken = seconds(lambda shown=shown: _draw_subplots(shown))
        total += taken * sum(min(CHANNELS, len(one)) for one in alike) / len(shown)
    return total


def _draw_subplots(maps: FloatArray) -> None:
    figure = plt.figure(figsize=(20, 20))
    for place, values in enumerate(maps, 1):
        axes = figure.add_subplot(8, 8, place)
        axes.imshow(values)
        axes.axis("off")
    _save(figure)


def _histogram_seconds(net: nn.Module) -> float:
    """Of one `plt.hist` a parameter, from every sixteenth of them."""
    parameters = [one.detach().flatten().numpy() for one in net.parameters()]
    measured = parameters[::16]

    def draw() -> None:
        for values in measured:
            figure, axes = plt.subplots()
            axes.hist(values, bins=50)
            _save(figure)

    return seconds(draw) * len(parameters) / len(measured)


def _save(figure: plt.Figure) -> None:
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)
