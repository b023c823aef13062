"""Class activation maps of tokens, against gradients taken by hand, and on a planted patch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.gradcam import run
from reportgen.analyses.token_stages import stages_in
from reportgen.report.records import Panel
from tests.analyses.test_gradcam import study_with
from tests.probe.transformers import (
    GRID,
    SIZE,
    Encoder,
    Vit,
    loud,
    small_convnext,
    small_swin,
    torchvision_vit,
)


def by_hand(
    net: nn.Module, image: torch.Tensor, module: nn.Module, side: str, target: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values at a module and the gradient of a score, by hooks and `backward`."""
    kept: list[torch.Tensor] = []

    def take(_: nn.Module, args: Any, result: Any = None) -> None:
        tensor = args[0] if side == "input" else result
        tensor.retain_grad()
        kept.append(tensor)

    if side == "input":
        hook = module.register_forward_pre_hook(take)
    else:
        hook = module.register_forward_hook(take)
    net(image[None].clone().requires_grad_())[0, target].backward()
    hook.remove()
    net.zero_grad()
    return kept[0].detach(), kept[0].grad


def check(panel: Panel, values: np.ndarray, slope: np.ndarray) -> None:
    """The three maps from (units h w), written out."""
    expected = {
        "gradcam": (slope.mean((1, 2))[:, None, None] * values).sum(0),
        "layercam": (np.where(slope > 0, slope, 0) * values).sum(0),
        "hirescam": (slope * values).sum(0),
    }
    for name, literal in expected.items():
        spread = np.ptp(literal)
        assert spread > 1e-6
        np.testing.assert_allclose(panel.arrays[name], literal, rtol=0, atol=1e-4 * spread)


VITS: list[tuple[Callable[[], nn.Module], tuple[int, int], int, str]] = [
    (torchvision_vit, (32, 32), 1, "encoder.layers.encoder_layer_1.ln_1"),
    (Vit, SIZE, 3, "blocks.2.norm1"),
    (lambda: Vit("module", 1, 2), SIZE, 1, "blocks.2.norm1"),
    (lambda: Vit("explicit", 2, 0, "mean"), SIZE, 2, "norm"),
    (lambda: Encoder(norm_first=True), SIZE, 1, "encoder.layers.1.norm1"),
    (lambda: Encoder(norm_first=False), SIZE, 1, "encoder.layers.0.norm2"),
]


@pytest.mark.parametrize(("build", "size", "front", "name"), VITS)
def test_maps_of_tokens_are_taken_where_patches_matter_last(
    build: Callable[[], nn.Module], size: tuple[int, int], front: int, name: str
) -> None:
    net = loud(build).float()
    study = study_with(net, size=size)
    grid = (size[0] // 8, size[1] // 8)
    for index, panel in enumerate(run(study).panels.values()):
        assert (panel.facts["layers"][0], panel.facts["sides"][0]) == (name, "output")
        image = study.images.normalise(study.images.pixels(index))
        target = panel.facts["target"]
        values, slope = by_hand(net, image, net.get_submodule(name), "output", target)
        check(
            panel,
            *(
                tensor[0, front : front + grid[0] * grid[1]].T.unflatten(1, grid).double().numpy()
                for tensor in (values, slope)
            ),
        )
        if name.endswith(("ln_1", "norm1")):
            # Behind the last attention the patches have no slope: this is the last place that has.
            later = net.get_submodule(name.replace("ln_1", "ln_2").replace("norm1", "norm2"))
            _, none = by_hand(net, image, later, "input", target)
            assert not none[0, front:].any() and none[0, 0].any()
            # All of the slope in front of the norm comes through it.
            before, slope_before = by_hand(net, image, net.get_submodule(name), "input", target)
            through = torch.autograd.grad(
                net.get_submodule(name)(before.requires_grad_()), before, slope
            )[0]
            torch.testing.assert_close(slope_before[0, front:], through[0, front:])
        first, last = panel.blocks["gradcam"].middles
        assert (first, last) == ((3.5, 3.5), (size[0] - 4.5, size[1] - 4.5))


@pytest.mark.parametrize(
    ("build", "size", "name", "grid", "is_last"),
    [
        (small_swin, (64, 96), "norm", (8, 12), True),
        (small_convnext, (64, 96), "features.3.1", (8, 12), False),
    ],
)
def test_maps_of_swin_and_convnext(
    build: Callable[[], nn.Module],
    size: tuple[int, int],
    name: str,
    grid: tuple[int, int],
    is_last: bool,
) -> None:
    net = loud(build).float()
    study = study_with(net, size=size)
    for index, panel in enumerate(run(study).panels.values()):
        assert panel.arrays["gradcam"].shape == grid
        image = study.images.normalise(study.images.pixels(index))
        values, slope = by_hand(
            net, image, net.get_submodule(name), "output", panel.facts["target"]
        )
        if is_last:
            values, slope = (tensor.permute(0, 3, 1, 2) for tensor in (values, slope))
        check(panel, values[0].double().numpy(), slope[0].double().numpy())


class Planted(nn.Module):
    """A class token that takes the brightness of all patches, and scores that read it."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 8, stride=8, bias=False)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.norm = nn.BatchNorm1d(4)
        self.attend = nn.MultiheadAttention(4, 1, batch_first=True)
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        x = x + self.attend(*[self.norm(x.mT).mT] * 3, need_weights=False)[0]
        return self.head(x[:, 0])


@pytest.mark.parametrize("place", [(0, 5), (3, 0), (2, 3)])
def test_the_peak_is_where_the_evidence_was_planted(place: tuple[int, int]) -> None:
    net = Planted().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        # Channel 0 is the brightness of a patch; its value and the output are passed on as is.
        net.patches.weight[0] = 1 / (3 * 64)
        net.norm.weight.fill_(1)
        net.attend.in_proj_weight[8:] = torch.eye(4)
        net.attend.out_proj.weight.copy_(torch.eye(4))
        net.head.weight[1, 0] = 20.0
    pixels = torch.full((3, *SIZE), 0.5)
    row, column = place
    pixels[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1.0
    study = study_with(net, size=SIZE, pixels=[pixels], true={0: 1})
    (panel,) = run(study).panels.values()
    assert panel.arrays["gradcam"].shape == GRID
    assert (panel.facts["peak_row"], panel.facts["peak_column"]) == place
    # Each of 25 tokens counts alike, so every other patch, grey as the mean, shows nothing.
    peak = panel.arrays["hirescam"][place]
    assert peak == pytest.approx(20 * 2 / 25, rel=1e-3)
    assert np.count_nonzero(np.abs(panel.arrays["hirescam"]) > 1e-4) == 1


def test_the_stages_of_a_convolutional_network_take_no_pass() -> None:
    study = study_with(loud(small_convnext).float(), size=(64, 96))
    object.__setattr__(study, "probe", None)
    assert [stage.grid for stage in stages_in(study).found] == [(16, 24), (8, 12)]
