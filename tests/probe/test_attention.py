"""Attention weights against a literal softmax, and rollout against a literal loop and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe import attention
from reportgen.probe.attention import Attended, attended, rollout
from reportgen.probe.layout import TokenGrid
from reportgen.probe.probe import Probe
from tests.probe.nets import seeded
from tests.probe.test_tokens import outputs
from tests.probe.transformers import (
    GRID,
    SIZE,
    WIDTH,
    Vit,
    loud,
    photo,
    small_convnext,
    small_swin,
    torchvision_vit,
)

TOKENS = GRID[0] * GRID[1] + 3


def seen(net: nn.Module, size: tuple[int, int] = SIZE, target: int = 1) -> Attended:
    return attended(Probe(net, "cpu"), photo(size), target)


def literal(net: nn.Module, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (heads queries keys) of a block of `Vit` and what its attention gives (queries c)."""
    name = f"blocks.{block}"
    x = outputs(net, photo()[None], [f"{name}.norm1"])[f"{name}.norm1"][0]
    attend = net.get_submodule(f"{name}.attn")
    is_module = hasattr(attend, "mha")
    one = attend.mha if is_module else attend.qkv
    weight, bias = (one.in_proj_weight, one.in_proj_bias) if is_module else (one.weight, one.bias)
    out = one.out_proj if is_module else attend.proj
    projected = x @ weight.T + bias
    side = WIDTH // 3
    weights, values = [], []
    for head in range(3):
        q, k, v = (projected[:, part * WIDTH + head * side :][:, :side] for part in range(3))
        rows = []
        for query in range(TOKENS):
            scores = torch.stack([(q[query] * k[key]).sum() / side**0.5 for key in range(TOKENS)])
            rows.append(scores.exp() / scores.exp().sum())
        weights.append(torch.stack(rows))
        values.append(weights[-1] @ v)
    return torch.stack(weights).detach(), (torch.cat(values, 1) @ out.weight.T + out.bias).detach()


@pytest.mark.parametrize("style", ["module", "fused", "explicit", "flat"])
@pytest.mark.parametrize(("front", "behind", "head"), [(3, 0, "class"), (1, 2, "mean")])
def test_weights_are_those_of_the_forward_pass(
    style: str, front: int, behind: int, head: str
) -> None:
    net = loud(lambda: Vit(style, front, behind, head))
    found = seen(net)
    assert found.tokens == TokenGrid(0, front, *GRID) and found.problem == ""
    names = {"module": "mha", "fused": "F.scaled_dot_product_attention", "explicit": "F.softmax"}
    names["flat"] = "F.softmax"
    for i, layer in enumerate(found.layers):
        assert (str(layer.key), layer.heads) == (f"blocks.{i}.attn.{names[style]}", 3)
        weights, given = literal(net, i)
        np.testing.assert_allclose(layer.weights, weights.mean(0), rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer.weights.sum(1), 1, rtol=0, atol=1e-12)
        # The literal weights give what the network's own attention gave.
        own = outputs(net, photo()[None], [f"blocks.{i}.attn"])[f"blocks.{i}.attn"][0]
        torch.testing.assert_close(own, given)
        # Attention is not close to even, so that a wrong token would be noticed.
        assert layer.weights.max() > 5 / TOKENS
    assert len(found.layers) == 3
    np.testing.assert_allclose(found.last, literal(net, 2)[0], rtol=0, atol=1e-6)
    read = np.zeros(TOKENS, bool)
    read[[0] if head == "class" else range(front, front + GRID[0] * GRID[1])] = True
    np.testing.assert_array_equal(found.read, read)


def test_the_vit_of_torchvision() -> None:
    net = loud(torchvision_vit)
    found = seen(net, (32, 32))
    keys = [f"encoder.layers.encoder_layer_{i}.self_attention" for i in range(2)]
    assert [str(layer.key) for layer in found.layers] == keys
    assert found.tokens == TokenGrid(0, 1, 4, 4)
    assert found.read.tolist() == [True] + [False] * 16
    image = photo((32, 32))[None]
    for layer, key in zip(found.layers, keys, strict=True):
        norm = key.replace("self_attention", "ln_1")
        x = outputs(net, image, [norm])[norm]
        _, weights = net.get_submodule(key)(x, x, x, average_attn_weights=True)
        np.testing.assert_allclose(layer.weights, weights[0].detach(), rtol=0, atol=1e-12)


def test_the_network_is_given_back_as_it_was_and_computes_the_same() -> None:
    net = loud(Vit).requires_grad_(False)
    net.blocks[1].train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    seen(net)
    assert [module.training for module in net.blocks] == [False, True, False]
    assert all(not module._forward_hooks for module in net.modules())
    assert all(p.grad is None and not p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


MASK = torch.rand(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": 0.3},
        {"is_causal": True},
        {"attn_mask": MASK},
        {"attn_mask": (MASK > 0.3) | torch.eye(6, dtype=torch.bool)},
        {"enable_gqa": True},
    ],
    ids=["plain", "scale", "causal", "added", "boolean", "grouped"],
)
def test_weights_of_the_function_give_what_it_gives(settings: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(4)
    q, k, v = torch.randn(3, 2, 4, 6, 5, generator=generator, dtype=torch.float64) * 2
    if "enable_gqa" in settings:
        k, v = k[:, :2], v[:, :2]
    weights = attention._weights(q, k, v, **settings)
    if "enable_gqa" in settings:
        v = v[:, [0, 0, 1, 1]]
        settings, k = {}, k[:, [0, 0, 1, 1]]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 6, dtype=torch.float64))
    torch.testing.assert_close(weights @ v, F.scaled_dot_product_attention(q, k, v, **settings))


def test_rollout_by_hand() -> None:
    """Two layers: the second token takes all from the first, then the first all from the second."""
    first = np.array([[1.0, 0.0], [1.0, 0.0]])
    second = np.array([[0.0, 1.0], [0.0, 1.0]])
    # Half attention, half itself: [[1, 0], [1/2, 1/2]], then [[1/2, 1/2], [0, 1]] on top of it.
    np.testing.assert_allclose(rollout([first, second]), [[0.75, 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(rollout([second, first]), [[0.5, 0.5], [0.25, 0.75]])


def test_rollout_is_the_sum_over_all_ways_through_the_layers() -> None:
    layers = [layer.weights for layer in seen(loud(Vit)).layers]
    made = rollout(layers)
    halves = [(weights + np.eye(TOKENS)) / 2 for weights in layers]
    for end, start in ((0, 7), (5, 0), (12, 12), (26, 3)):
        ways = sum(
            halves[2][end, second] * halves[1][second, first] * halves[0][first, start]
            for second in range(TOKENS)
            for first in range(TOKENS)
        )
        assert made[end, start] == pytest.approx(ways, abs=1e-12)
    np.testing.assert_allclose(made.sum(1), 1, rtol=0, atol=1e-12)


class Dropping(nn.Module):
    """Attention that drops weights whatever the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, WIDTH, 8, stride=8), nn.Linear(WIDTH, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).mT
        return self.head(F.scaled_dot_product_attention(x, x, x, dropout_p=0.2).mean(1))


class Reduced(Dropping):
    """Every position looks at a coarser grid, as in PVT."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x)
        coarse = F.avg_pool2d(x, 2).flatten(2).mT
        x = x.flatten(2).mT
        return self.head(F.scaled_dot_product_attention(x, coarse, coarse).mean(1))


class Infinite(Dropping):
    """Scores too large for a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).mT
        return self.head(F.scaled_dot_product_attention(x * torch.inf, x, x).mean(1))


class Idle(Dropping):
    """Attention whose result counts for nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).mT
        return self.head((x + 0 * F.scaled_dot_product_attention(x, x, x)).mean(1))


class Padded(Dropping):
    """A key of zeros that all may look at."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(WIDTH, 3, add_zero_attn=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).mT
        return self.head(self.attend(x, x, x)[0].mean(1))


@pytest.mark.parametrize(
    ("build", "size", "problem"),
    [
        (small_swin, (64, 96), attention.WINDOWS),
        # Here the second stage is one window as a whole, and the first is not.
        (small_swin, (32, 32), attention.WINDOWS),
        (Dropping, SIZE, attention.RANDOM),
        (Reduced, SIZE, attention.OTHER_KEYS),
        (Idle, SIZE, attention.UNUSED),
        (Padded, SIZE, attention.OTHER_KEYS),
        (Infinite, SIZE, "The attention of this image is not finite; none is shown."),
        (small_convnext, (64, 96), ""),
    ],
)
def test_where_there_is_no_rollout_one_sentence_says_why(
    build: Callable[[], nn.Module], size: tuple[int, int], problem: str
) -> None:
    found = seen(seeded(build), size)
    assert found.layers == () and found.tokens is None
    assert found.problem == problem
