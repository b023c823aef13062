"""Builds the model files that the tests of loading read: honest, wrapped, damaged and hostile."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models


def small_net(name: str = "squeezenet1_1", classes: int = 7, **arguments: Any) -> nn.Module:
    """A torchvision classifier with seeded weights, norm statistics included, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(name) + classes)
        net: nn.Module = models.get_model(name, num_classes=classes, **arguments)
        for buffer_name, buffer in net.named_buffers():
            if buffer_name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
    return net.eval()


def answers(net: nn.Module, channels: int = 3, height: int = 65, width: int = 96) -> torch.Tensor:
    """What a network says to one non-square picture of noise."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(1, channels, height, width, generator=generator)
    with torch.inference_mode():
        output = net(picture)
    assert isinstance(output, torch.Tensor)
    return output


def with_records(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a zip file in which `change` gives each record's new content, None to drop it."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for info in archive.infolist():
            content = change(info.filename, archive.read(info))
            if content is not None:
                copy.writestr(info.filename, content)
    return target


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


class UserNet(nn.Module):
    """A network that is none of torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3)
        self.head = nn.Linear(3, 4)
        self.register_buffer("scratch", torch.ones(2), persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.stem(pixels).mean((2, 3)))
        return result
