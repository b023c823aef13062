"""Small vision transformers written as people write them, for images that are not square."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from tests.probe.nets import seeded

SIZE = (32, 48)
GRID = (4, 6)
WIDTH = 12


class Attention(nn.Module):
    """Self-attention from one projection, as in timm: `fused`, or with a softmax of its own.

    `explicit` has an axis for the heads, `flat` lists them as images.
    """

    def __init__(self, style: str, heads: int) -> None:
        super().__init__()
        self.style, self.heads = style, heads
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.style == "fused":
            x = F.scaled_dot_product_attention(q, k, v)
        elif self.style == "flat":
            q, k, v = (part.flatten(0, 1) for part in (q, k, v))
            weights = F.softmax(torch.bmm(q, k.mT) / q.shape[-1] ** 0.5, dim=2)
            x = torch.bmm(weights, v).unflatten(0, (b, self.heads))
        else:
            x = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


class Module(nn.Module):
    """`nn.MultiheadAttention` with a third for the heads."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.mha = nn.MultiheadAttention(WIDTH, heads, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mha(x, x, x, need_weights=False)[0]


class Block(nn.Module):
    """Attention and MLP, each behind a norm and added to what it read."""

    def __init__(self, style: str, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = Module(heads) if style == "module" else Attention(style, heads)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 20), nn.GELU(), nn.Linear(20, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """Class token and registers in front of, or behind, the patches; any head."""

    def __init__(
        self, style: str = "fused", front: int = 3, behind: int = 0, head: str = "class"
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, stride=8)
        self.front = nn.Parameter(torch.randn(1, front, WIDTH))
        self.behind = nn.Parameter(torch.randn(1, behind, WIDTH))
        self.position = nn.Parameter(torch.randn(1, GRID[0] * GRID[1], WIDTH) / 3)
        self.blocks = nn.Sequential(*(Block(style, 3) for _ in range(3)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 5)
        self.reads, self.extra = head, front

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        tokens = [self.front.expand(len(x), -1, -1), x, self.behind.expand(len(x), -1, -1)]
        x = self.norm(self.blocks(torch.cat(tokens, dim=1)))
        if self.reads == "class":
            return self.head(x[:, 0])
        return self.head(x[:, self.extra : self.extra + GRID[0] * GRID[1]].mean(1))


class Encoder(nn.Module):
    """PyTorch's own encoder, which normalises behind each sum unless told otherwise."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 3, 20, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        return self.head(self.encoder(x)[:, 0])


def loud(build: Callable[[], nn.Module]) -> nn.Module:
    """A seeded network in float64 whose attention is far from even, and whose head is not zero."""
    net = seeded(build)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 2:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(noise / parameter.shape[1] ** 0.5 * 1.5)
    return net


def torchvision_vit() -> nn.Module:
    return torchvision.models.VisionTransformer(32, 8, 2, 2, 12, 24, num_classes=5)


def small_swin() -> nn.Module:
    return torchvision.models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5)


def small_convnext() -> nn.Module:
    settings = torchvision.models.convnext.CNBlockConfig
    return torchvision.models.ConvNeXt([settings(8, 12, 2), settings(12, None, 2)], num_classes=5)


def photo(size: tuple[int, int] = SIZE) -> torch.Tensor:
    """A seeded image (3 h w)."""
    generator = torch.Generator().manual_seed(11)
    return torch.randn(3, *size, generator=generator, dtype=torch.float64)
