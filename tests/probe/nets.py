"""Small networks whose inside is known by hand, in float64 so that batches of any size agree."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A network with the same weights each time, its batch norms far from the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = build().double().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return net


def photos(count: int, channels: int = 3, height: int = 20, width: int = 29) -> torch.Tensor:
    """Seeded images (b c h w), not square."""
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, channels, height, width, generator=generator, dtype=torch.float64)


def batches_of(images: torch.Tensor) -> Callable[[int], Iterable[torch.Tensor]]:
    """What `Probe.collect` takes."""
    return lambda size: images.split(size)


class Residual(nn.Module):
    """conv, norm, ReLU, conv, norm, sum, ReLU, pool, linear; the kind of ReLU is left open."""

    def __init__(self, is_inplace: bool = False, is_reused: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(is_inplace)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(6)
        self.last = self.relu if is_reused else nn.ReLU(is_inplace)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(6 * 5 * 7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        y += x
        return self.fc(torch.flatten(self.pool(self.last(y)), 1))


class Functional(Residual):
    """The same with functions in place of the modules for ReLU and pooling."""

    def __init__(self, relu: Callable[[torch.Tensor], torch.Tensor] = F.relu) -> None:
        super().__init__()
        self.apply_relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.apply_relu(self.bn1(self.conv1(x)))
        y = self.apply_relu(self.bn2(self.conv2(x)) + x)
        return self.fc(torch.flatten(F.max_pool2d(y, 2), 1))


def literal(net: Residual, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every activation of `Residual` for one image (c h w), written out."""
    seen = {}
    x = seen["conv1"] = F.conv2d(image[None], net.conv1.weight, net.conv1.bias, 2, 1)
    x = seen["bn1"] = _normed(net.bn1, x)
    x = seen["relu"] = x.clamp(min=0)
    y = seen["conv2"] = F.conv2d(x, net.conv2.weight, net.conv2.bias, 1, 1)
    y = seen["bn2"] = _normed(net.bn2, y)
    y = seen["last"] = (x + y).clamp(min=0)
    y = seen["pool"] = y[:, :, :10, :14].unflatten(2, (5, 2)).unflatten(4, (7, 2)).amax((3, 5))
    seen["fc"] = y.flatten(1) @ net.fc.weight.T + net.fc.bias
    return {name: value[0] for name, value in seen.items()}


def _normed(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    def channels(values: torch.Tensor) -> torch.Tensor:
        return values[None, :, None, None]

    scaled = (x - channels(norm.running_mean)) / channels(norm.running_var + norm.eps).sqrt()
    return scaled * channels(norm.weight) + channels(norm.bias)
