"""Every kind of network: the engines give the map that running it in full for each place gives."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision.models as nets
from torch import nn

from reportgen.options import Engine
from reportgen.probe.occlusion.engine import (
    LEAST_AGREEMENT,
    SAMPLE,
    Run,
    hidden_scores,
)
from reportgen.probe.occlusion.places import positions
from reportgen.probe.occlusion.plain import plain_scores
from reportgen.probe.probe import Probe

CLASSES, TARGET = 7, 3
EFFECT = 2.0
"The largest change of a score, in nats: the clean ones lie from -1 to 1."

FAMILIES: dict[str, tuple[Callable[..., nn.Module], tuple[int, int], dict[str, Any]]] = {
    "alexnet": (nets.alexnet, (97, 130), {}),
    "convnext": (nets.convnext_tiny, (64, 96), {}),
    "densenet": (nets.densenet121, (64, 96), {}),
    "efficientnet": (nets.efficientnet_b0, (96, 128), {}),
    "efficientnet_v2": (nets.efficientnet_v2_s, (64, 96), {}),
    "googlenet": (nets.googlenet, (65, 97), {"init_weights": False}),
    "inception": (nets.inception_v3, (76, 107), {"init_weights": False}),
    "maxvit": (
        nets.MaxVit,
        (64, 64),
        {"input_size": (64, 64), "stem_channels": 16, "partition_size": 4, "head_dim": 8}
        | {"block_channels": [16, 32], "block_layers": [1, 1], "stochastic_depth_prob": 0.2},
    ),
    "mnasnet": (nets.mnasnet0_5, (96, 128), {}),
    "mobilenet_v2": (nets.mobilenet_v2, (95, 129), {}),
    "mobilenet_v3": (nets.mobilenet_v3_small, (96, 128), {}),
    "regnet_x": (nets.regnet_x_400mf, (64, 96), {}),
    "regnet_y": (nets.regnet_y_400mf, (64, 96), {}),
    "resnet": (nets.resnet18, (97, 133), {}),
    "resnet_bottleneck": (nets.resnet50, (64, 96), {}),
    "resnext": (nets.resnext50_32x4d, (64, 96), {}),
    "shufflenet": (nets.shufflenet_v2_x0_5, (96, 128), {}),
    "squeezenet": (nets.squeezenet1_1, (97, 131), {}),
    "swin": (nets.swin_t, (64, 96), {}),
    "swin_v2": (nets.swin_v2_t, (64, 96), {}),
    "vgg": (nets.vgg11, (64, 96), {}),
    "vgg_bn": (nets.vgg11_bn, (64, 96), {}),
    "vit": (nets.vit_b_16, (64, 64), {"image_size": 64}),
    "wide_resnet": (nets.wide_resnet50_2, (64, 96), {}),
}
"The smallest member of each family of classifiers in torchvision, with the size of the image."


class Spread(nn.Module):
    """A network whose scores are moved and stretched: a map of random weights is next to flat."""

    def __init__(self, net: nn.Module, clean: torch.Tensor, scale: float) -> None:
        super().__init__()
        self.net, self.scale = net, scale
        self.register_buffer("clean", clean)
        self.register_buffer("wanted", torch.linspace(-1, 1, clean.shape[1], dtype=clean.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.net(x) - self.clean) * self.scale + self.wanted


def picture(size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Normalised (c h w), smooth and noisy in one, as photos are."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(3, *size, generator=generator) / 4
    for cells in (3, 9):
        coarse = torch.randn(1, 3, cells, cells, generator=generator)
        image += F.interpolate(coarse, size, mode="bicubic", align_corners=False)[0]
    return image


def places_of(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> list[tuple[int, int]]:
    rows, columns = (positions(size[i], window[i], stride[i]) for i in (0, 1))
    return [(row, column) for row in rows for column in columns]


def calibrated(net: nn.Module, size: tuple[int, int]) -> nn.Module:
    """In evaluation mode, its batch norms as after an epoch on pictures."""
    net.eval()
    for part in net.modules():
        if isinstance(part, nn.Linear) and not part.weight.any():
            # A fresh vision transformer answers zero to everything.
            nn.init.normal_(part.weight)
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    if norms:
        for norm in norms:
            norm.momentum = None
            norm.train()
            # Not the identity, so that a norm that is left out is seen.
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
        with torch.no_grad():
            net(torch.stack([picture(size, seed) for seed in range(1, 7)]))
    return net.eval()


def stretched(
    net: nn.Module, image: torch.Tensor, window: tuple[int, int], places: list[tuple[int, int]]
) -> tuple[nn.Module, torch.Tensor]:
    """The network with an effect of `EFFECT`, and its scores with each place hidden."""
    probe = Probe(net, "cpu", 16)
    clean = probe.logits(image[None])
    raw = plain_scores(probe, image, torch.zeros_like(image), window, places)
    scale = EFFECT / float((raw - clean).abs().max())
    dtype = next(net.parameters()).dtype
    spread = Spread(net, clean.to(dtype), scale)
    return spread, (raw - clean) * scale + spread.wanted.float()


def run(
    net: nn.Module,
    image: torch.Tensor,
    window: tuple[int, int],
    places: list[tuple[int, int]],
    asked: Engine,
) -> tuple[torch.Tensor, Run]:
    filling = torch.zeros_like(image)
    return hidden_scores(Probe(net, "cpu", 16), image, filling, window, places, TARGET, asked)


def spearman(first: torch.Tensor, second: torch.Tensor) -> float:
    """Pearson's correlation of the ranks; the maps here have no ties."""
    ranks = [values.argsort().argsort().double() for values in (first, second)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def assert_same_map(scores: torch.Tensor, plain: torch.Tensor) -> None:
    assert scores.shape == plain.shape
    assert scores.dtype == torch.float32
    error = (scores.double().softmax(1) - plain.double().softmax(1)).abs().max()
    assert float(error) <= 1e-4
    if len(plain) > 1:
        assert spearman(scores[:, TARGET], plain[:, TARGET]) >= 0.9999


def state_of(net: nn.Module) -> Any:
    """All that may not have changed afterwards."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    return (
        [(name, part.training, sorted(vars(part))) for name, part in net.named_modules()],
        [(len(p._forward_hooks), len(p._forward_pre_hooks)) for p in net.modules()],
        [(n, t.dtype, t.requires_grad, t.grad, t.stride(), t.data_ptr()) for n, t in tensors],
        [(name, tensor.tolist()) for name, tensor in net.named_buffers()],
        [(name, tensor.double().sum().item()) for name, tensor in tensors],
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_torchvision(family: str) -> None:
    build, size, arguments = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = calibrated(build(num_classes=CLASSES, **arguments), size)
    image, window = picture(size), (size[0] // 6, size[1] // 5)
    places = places_of(size, window, (size[0] // 6, size[1] // 6))
    assert len(places) > 2 * SAMPLE, "else there is no fast map"
    net, plain = stretched(net, image, window, places)
    state = state_of(net)

    exact, how = run(net, image, window, places, "exact")
    assert (how.used, how.reason) == ("exact", "")
    assert_same_map(exact, plain)

    fast, how = run(net, image, window, places, "fast")
    if how.used == "fast":
        assert how.agreement is not None and how.agreement >= LEAST_AGREEMENT
        # The estimate comes from 16 positions; one swap of 36 costs 0.0003.
        assert spearman(fast[:, TARGET], plain[:, TARGET]) >= LEAST_AGREEMENT - 0.001
    else:
        assert how.reason
        assert torch.equal(fast, exact)
    assert state_of(net) == state


GEOMETRIES = {
    "odd": ((13, 9), (11, 7)),
    "a row at a time": ((5, 200), (5, 200)),
    "one pixel": ((1, 1), (1, 1)),
    "sticks out behind": ((30, 30), (29, 23)),
    "nearly all": ((60, 74), (4, 4)),
    "larger than the image": ((99, 150), (99, 150)),
    "as large as the image": ((61, 77), (10, 10)),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("build", [nets.squeezenet1_1, nets.mobilenet_v3_small, nets.resnet18])
def test_windows_and_strides_of_all_kinds(build: Any, geometry: str) -> None:
    size = (61, 77)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = calibrated(build(num_classes=CLASSES), size)
    image, (window, stride) = picture(size), GEOMETRIES[geometry]
    places = places_of(size, window, stride)
    # All four corners, and some in between.
    chosen = {int(i) for i in np.linspace(0, len(places) - 1, 14)}
    rows, columns = ({place[axis] for place in places} for axis in (0, 1))
    corners = {(r, c) for r in (min(rows), max(rows)) for c in (min(columns), max(columns))}
    places = [place for i, place in enumerate(places) if i in chosen or place in corners]
    net, plain = stretched(net, image, window, places)
    scores, how = run(net, image, window, places, "exact")
    assert how.used == "exact"
    assert_same_map(scores, plain)


class Small(nn.Module):
    """A convolution, a branch, and what a subclass makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.again = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.score = nn.Linear(8, CLASSES)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.first(x)))
        y = self.relu(self.again(x))
        y += x
        # The same modules once more, on a map of another size.
        return self.relu(self.again(F.max_pool2d(y, 3, 2)))

    def forward(self, x: torch.Tensor) -> Any:
        return self.score(self.features(x).mean((2, 3)))


class Pair(Small):
    """Gives its scores beside something else."""

    def forward(self, x: torch.Tensor) -> Any:
        maps = self.features(x)
        return maps, {"logits": self.score(maps.mean((2, 3))), "loss": maps.mean()}


class Undecided(Small):
    """What it computes depends on what it sees."""

    def forward(self, x: torch.Tensor) -> Any:
        maps = self.features(x)
        if maps.mean() > 1e9:
            maps = -maps
        return self.score(maps.mean((2, 3)))


def small(build: Callable[[], nn.Module], seed: int = 2) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return calibrated(build(), (33, 47))


def check_small(net: nn.Module, image: torch.Tensor, asked: Engine = "exact") -> Run:
    window = (9, 12)
    places = places_of((33, 47), window, (5, 4))
    probe = Probe(net, "cpu", 16)
    plain = plain_scores(probe, image, torch.zeros_like(image), window, places)
    state = state_of(net)
    scores, how = run(net, image, window, places, asked)
    assert state_of(net) == state
    effect = float((plain - probe.logits(image[None])).abs().max())
    assert effect > 0.01
    assert float((scores - plain).abs().max()) <= 1e-5 * max(effect, 1)
    return how


def test_in_place_and_reused_layers_in_a_tuple() -> None:
    how = check_small(small(Pair), picture((33, 47)))
    assert (how.used, how.reason) == ("exact", "")


@pytest.mark.parametrize("asked", ["exact", "fast"])
def test_a_network_that_cannot_be_traced_is_run_in_full_and_says_so(asked: Engine) -> None:
    how = check_small(small(Undecided), picture((33, 47)), asked)
    assert (how.asked, how.used) == (asked, "plain")
    assert how.reason.startswith("The network cannot be followed step by step (")
    assert how.reason.endswith(".") and "\n" not in how.reason


def test_double_precision_stays_double() -> None:
    net = small(Small).double()
    image = picture((33, 47))
    window, places = (9, 12), places_of((33, 47), (9, 12), (5, 4))
    filling = torch.zeros_like(image)
    plain = plain_scores(Probe(net, "cpu", 16), image, filling, window, places)
    scores, how = run(net, image, window, places, "exact")
    assert how.used == "exact"
    # Not bitwise: scores are rounded to float32 at the end.
    torch.testing.assert_close(scores, plain, rtol=2e-7, atol=1e-7)


def test_half_precision_and_frozen_networks() -> None:
    net = small(Small)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    assert check_small(net, picture((33, 47))).used == "exact"
    half = copy.deepcopy(net).half()
    image = picture((33, 47))
    window, places = (9, 12), places_of((33, 47), (9, 12), (5, 4))
    plain = plain_scores(Probe(half, "cpu", 16), image, torch.zeros_like(image), window, places)
    state = state_of(half)
    scores, _ = run(half, image, window, places, "exact")
    assert state_of(half) == state
    # Sums are rounded at other places: some units in the last of eleven bits.
    torch.testing.assert_close(scores, plain, rtol=0, atol=4e-3 * float(plain.abs().max()))


def test_a_network_in_training_mode_with_hooks_comes_back_as_it_was() -> None:
    net = small(Small).train()
    seen: list[str] = []
    net.relu.register_forward_hook(lambda *_: seen.append("relu"))
    check_small(net, picture((33, 47)))
    assert net.training
    assert len(net.relu._forward_hooks) == 1


def test_weights_that_change_between_two_runs_are_seen() -> None:
    """No copy of the network outlives its run: the trust section starts layers anew."""
    net, image = small(Small), picture((33, 47))
    window, places = (9, 12), places_of((33, 47), (9, 12), (5, 4))
    filling, probe = torch.zeros_like(image), Probe(net, "cpu", 16)
    for change in (None, "data", "in place", "norm"):
        with torch.no_grad():
            if change == "data":
                net.again.weight.data = net.again.weight.data.flip(0)
            elif change == "in place":
                net.first.weight.neg_()
            elif change == "norm":
                net.norm.running_mean.add_(0.3)
        plain = plain_scores(probe, image, filling, window, places)
        scores, how = hidden_scores(probe, image, filling, window, places, TARGET)
        assert how.used == "exact"
        torch.testing.assert_close(scores, plain, rtol=1e-5, atol=1e-5)
