"""Networks as `.pt2` files, and those files changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig

from sample_models.lenet import LeNet
from sample_models.small_resnet import SmallResNet
from tests.load.model_files import with_records


class Odd(nn.Module):
    """Functions instead of layers, a layer used twice, constants, sizes that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.reflecting = nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode="reflect")
        self.act = nn.ReLU(inplace=True)
        self.nothing = nn.Identity()
        self.same = nn.Conv2d(4, 4, (3, 5), padding="same", groups=2, bias=False)
        self.scale = nn.Parameter(torch.rand(4))
        self.register_buffer("shift", torch.rand(4), persistent=False)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.pool = nn.AdaptiveMaxPool2d((2, 1))
        self.norm = nn.GroupNorm(2, 4)
        self.prelu = nn.PReLU(4)
        self.head = nn.Linear(20, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.nothing(self.act(self.reflecting(x))) * torch.tensor(0.5)
        x = self.act(self.same(x) - 0.1) * self.scale[:, None, None]
        x = x + self.shift[None, :, None, None]
        x = self.prelu(self.norm(nn.functional.leaky_relu(x - 0.2, 0.3)))
        high, low = self.up(x).chunk(2, 1)
        pooled = self.pool(x).view(x.shape[0], -1)
        mean = high.mean((2, 3)).reshape(x.size(0), 2)
        top = low.amax((2, 3))
        rows = nn.functional.max_pool2d(x, 2)[:, :2, :2, :2].flatten(1)
        return self.head(torch.cat([pooled, mean, top, rows], 1)).softmax(1)


def convnext() -> nn.Module:
    settings = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)]
    return models.ConvNeXt(settings, num_classes=5)


def mobilenet() -> nn.Module:
    return models.MobileNetV2(5, inverted_residual_setting=[[1, 8, 1, 1], [6, 12, 2, 2]])


def transformer() -> nn.Module:
    net = models.VisionTransformer(16, 4, 2, 2, 12, 20, num_classes=5)
    nn.init.normal_(net.heads[0].weight)
    return net


# The network, and the (c h w) of its images: not square where that can be.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "lenet": (LeNet, (1, 28, 28)),
    "small_resnet": (lambda: SmallResNet(width=4), (1, 28, 20)),
    "odd": (Odd, (3, 18, 25)),
    "resnet18": (lambda: models.resnet18(num_classes=5), (3, 64, 40)),
    "squeezenet": (lambda: models.squeezenet1_1(num_classes=5), (3, 64, 40)),
    "mobilenet": (mobilenet, (3, 64, 40)),
    "densenet": (lambda: models.DenseNet(4, (2, 2, 2), 8, num_classes=5), (3, 64, 40)),
    "convnext": (convnext, (3, 64, 40)),
    "transformer": (transformer, (3, 16, 16)),
}


def seeded(name: str) -> nn.Module:
    """A network with seeded weights, norm statistics included, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(name))
        net = NETWORKS[name][0]()
        for buffer_name, buffer in net.named_buffers():
            if buffer_name.endswith("running_mean"):
                buffer.uniform_(-0.3, 0.3)
            elif buffer_name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return net.eval()


def noise(name: str, images: int) -> torch.Tensor:
    """Seeded images (b c h w) that a network takes."""
    return torch.randn(images, *NETWORKS[name][1], generator=torch.Generator().manual_seed(images))


def export(
    net: nn.Module, images: torch.Tensor, file: Path, *, is_fixed: bool = False, extra: str = ""
) -> Path:
    """Saves a network as a program for batches of any size, or of that of `images` alone."""
    shapes = None if is_fixed else ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net, (images,), dynamic_shapes=shapes)
    torch.export.save(program, file, extra_files={"reportgen.json": extra} if extra else None)
    return file


def edited(source: Path, target: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a `.pt2` file whose program `edit` has changed."""

    def change(name: str, content: bytes) -> bytes:
        if "/models/" not in name:
            return content
        program = json.loads(content)
        edit(program)
        return json.dumps(program).encode()

    return with_records(source, target, change)
