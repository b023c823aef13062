"""A small network with something for every part of a report, and images that it takes."""

from typing import Any

import torch
from PIL import Image
from torch import nn

HEIGHT, WIDTH = 12, 18
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
LABELS = ("cat", "<b>dog</b>", "owl")
DEAD = 2
"Unit of the first layer that nothing wakes."

QUICK: dict[str, Any] = {
    "sections": ("answers", "activations", "occlusion", "dead_filters", "kernels"),
    "occlusion_window": (4, 6),
    "occlusion_stride": (4, 6),
    "mean": MEAN,
    "std": STD,
    "device": "cpu",
}


class Small(nn.Module):
    """A ReLU that is used twice, a norm with statistics, dropout, and one dead unit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, 3, padding=1)
        self.bn = nn.BatchNorm2d(5)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(5, 6, 3, stride=2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(6 * 5 * 8, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn(self.conv1(x)))
        x = self.relu(self.conv2(x))
        return self.head(self.drop(x))


def small() -> Small:
    """The same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = Small()
        net.bn.running_mean.normal_(std=0.1)
        net.bn.running_var.uniform_(0.5, 1.5)
        with torch.no_grad():
            net.bn.bias[DEAD] = -100
    return net


def pixels(count: int = 5) -> torch.Tensor:
    """Pixels in [0, 1], (n 3 h w), no two images alike."""
    drawn = torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))
    return drawn * torch.linspace(0.3, 1, count).view(-1, 1, 1, 1)


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (images - mean) / std


def pictures(count: int = 5) -> list[Image.Image]:
    """The same as 8-bit Pillow images."""
    levels = (pixels(count) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture) for picture in levels]
