"""A network of two convolutions, three checkpoints of it, and images: what the tests compare."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

HEIGHT, WIDTH = 20, 28
LABELS = ("cat", "dog", "owl")
CODE = """
from torch import nn

class Tiny(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, stride=2)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(4, width, 3)
        self.relu2 = nn.ReLU()
        self.line = nn.Linear(width, 3)

    def forward(self, x):
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.line(x.mean((2, 3)))
"""


def tiny(state: dict[str, torch.Tensor]) -> nn.Module:
    """The network with these weights, made with nothing of reportgen."""
    code: dict[str, object] = {"__name__": "tiny"}
    exec(CODE, code)
    net = code["Tiny"](width=len(state["conv2.bias"]))
    net.load_state_dict(state)
    return net.eval()


def checkpoints() -> dict[str, dict[str, torch.Tensor]]:
    """`a`, `b` and `c` in training order, and `narrow`, which is `a` without its dead unit.

    Unit 1 of conv2 is dead in `a` alone, unit 2 of conv1 in all but `a`.
    """
    random = torch.Generator().manual_seed(202)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=random)

    shapes = {
        "conv1.weight": (4, 1, 3, 3),
        "conv1.bias": (4,),
        "conv2.weight": (6, 4, 3, 3),
        "conv2.bias": (6,),
        "line.weight": (3, 6),
        "line.bias": (3,),
    }
    a = {name: 0.7 * noise(torch.empty(shape)) for name, shape in shapes.items()}
    a["line.weight"] *= 3
    b = {name: value + 0.3 * noise(value) for name, value in a.items()}
    c = {name: value + 0.1 * noise(value) for name, value in b.items()}
    a["conv2.bias"][1] = -100
    b["conv1.bias"][2] = c["conv1.bias"][2] = -100
    kept = [0, 2, 3, 4, 5]
    narrow = a | {
        "conv2.weight": a["conv2.weight"][kept],
        "conv2.bias": a["conv2.bias"][kept],
        "line.weight": a["line.weight"][:, kept],
    }
    return {"a": a, "b": b, "c": c, "narrow": narrow}


def write_images(folder: Path, count: int = 9, seed: int = 5) -> None:
    """Grey images of blobs, in one folder a class."""
    random = np.random.default_rng(seed)
    for index in range(count):
        coarse = random.integers(0, 256, (4, 4), np.uint8)
        picture = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
        place = folder / LABELS[index % 3] / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        picture.save(place)


def network_input(path: Path) -> torch.Tensor:
    """(1 1 h w), as `--mean 0.5 --std 0.25` makes it."""
    pixels = np.asarray(Image.open(path), dtype=np.float32) / 255
    return torch.from_numpy((pixels - 0.5) / 0.25)[None, None]
