"""Grids of tokens as maps, against the tokens cut out and folded up by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.evidence import Call, CallKey, MapPicture
from reportgen.probe.layout import TokenGrid
from reportgen.probe.maps import as_maps, by_image
from reportgen.probe.probe import Probe
from tests.probe.nets import batches_of
from tests.probe.test_layout import last_call
from tests.probe.transformers import GRID, SIZE, Vit, loud, torchvision_vit

POSITIONS = GRID[0] * GRID[1]


def outputs(net: nn.Module, images: torch.Tensor, names: list[str]) -> dict[str, torch.Tensor]:
    """What modules give, by plain hooks."""
    found: dict[str, torch.Tensor] = {}
    hooks = [
        net.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: found.__setitem__(name, out.detach().clone())
        )
        for name in names
    ]
    with torch.no_grad():
        net(images)
    for hook in hooks:
        hook.remove()
    return found


def calls_of(net: nn.Module, size: tuple[int, int] = SIZE) -> dict[str, Call]:
    image = torch.randn(3, *size, dtype=torch.float64)
    return {str(call.key): call for call in Probe(net, "cpu").trace(image).calls}


@pytest.mark.parametrize("style", ["module", "fused", "explicit", "flat"])
@pytest.mark.parametrize(("front", "behind"), [(3, 0), (1, 2), (0, 0), (0, 1)])
def test_every_layer_of_a_transformer_has_maps(style: str, front: int, behind: int) -> None:
    net = loud(lambda: Vit(style, front, behind, head="mean"))
    images = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    calls = calls_of(net)
    names = [
        name
        for name, call in calls.items()
        if name.startswith(("blocks", "norm")) and ".F." not in name and "softmax" not in name
    ]
    for name, output in outputs(net, images, [n for n in names if not n.endswith("mha")]).items():
        call = calls[name]
        assert call.tokens == TokenGrid(0, front, *GRID), name
        assert (call.spatial_axes, call.grid) == (None, GRID)
        maps = as_maps(by_image(output, call.arrangement, 2), call.arrangement)
        by_hand = output[:, front : front + POSITIONS].transpose(1, 2).unflatten(2, GRID)
        assert torch.equal(maps, by_hand), name
    assert any("mlp" in name for name in names)
    # Attention gathers what all tokens see.
    assert calls["blocks.0.mlp.0"].receptive_field.covers_image
    assert not calls["blocks.0.norm1"].receptive_field.covers_image


def test_the_vit_of_torchvision_has_maps_behind_its_class_token() -> None:
    calls = calls_of(loud(torchvision_vit), (32, 32))
    for name, call in calls.items():
        if name.startswith("encoder."):
            assert call.tokens == TokenGrid(0, 1, 4, 4), name
    assert calls["heads.head"].tokens is None and calls["conv_proj"].tokens is None


def test_statistics_are_of_all_tokens_and_pictures_of_the_grid() -> None:
    net = loud(Vit)
    images = torch.randn(3, 3, *SIZE, dtype=torch.float64)
    evidence = Probe(net, "cpu", 2).collect(batches_of(images), 3, [1], keep_arrays=True)
    output = outputs(net, images, ["blocks.1.mlp.0"])["blocks.1.mlp.0"]
    seen = evidence.layers[CallKey("blocks.1.mlp.0")]
    assert seen.positions == 3 + POSITIONS
    np.testing.assert_allclose(seen.mean, output.mean((0, 1)), rtol=1e-9)
    picture = evidence.pictures[1][CallKey("blocks.1.mlp.0")]
    assert isinstance(picture, MapPicture)
    by_hand = output[1, 3:].T.unflatten(1, GRID).numpy()
    np.testing.assert_allclose(picture.full, by_hand, rtol=1e-12)
    np.testing.assert_allclose(picture.high, by_hand.max((1, 2)), rtol=1e-12)
    assert picture.mean_low == pytest.approx(by_hand.mean(0).min())


# All of these begin with 2 tokens, then 6 x 10 positions, then 1 token: (b 63 12).
def extended(x: torch.Tensor) -> torch.Tensor:
    return F.pad(
        torch.cat([torch.ones(2, 2, 12), x.flatten(2).mT, torch.ones(2, 1, 12)], 1), (0, 0)
    )


@pytest.mark.parametrize(
    ("forward", "shape", "expected"),
    [
        (lambda x: x, (63, 12), TokenGrid(0, 2, 6, 10)),
        (lambda x: x[:, 1:], (62, 12), TokenGrid(0, 1, 6, 10)),
        (lambda x: x[:, 2:-1], (60, 12), TokenGrid(0, 0, 6, 10)),
        (lambda x: x[:, :-1], (62, 12), TokenGrid(0, 2, 6, 10)),
        (lambda x: x[:, 3:], (60, 12), None),
        (lambda x: x[:, ::2], (32, 12), None),
        (lambda x: x[:, :2], (2, 12), None),
        (lambda x: x[:, 0], (12,), None),
        (lambda x: x.mT, (12, 63), TokenGrid(1, 2, 6, 10)),
        (lambda x: x.narrow(1, 2, 61), (61, 12), TokenGrid(0, 0, 6, 10)),
        (lambda x: x.narrow(1, -61, 60), (60, 12), TokenGrid(0, 0, 6, 10)),
        (lambda x: x.split([2, 61], 1)[1], (61, 12), TokenGrid(0, 0, 6, 10)),
        (lambda x: x.split(62, dim=1)[0], (62, 12), TokenGrid(0, 2, 6, 10)),
        (lambda x: x.tensor_split((1, 62), 1)[1], (61, 12), TokenGrid(0, 1, 6, 10)),
        (lambda x: x.chunk(3, 1)[1], (21, 12), None),
        (lambda x: torch.cat([x[:, :1], x], 1), (64, 12), TokenGrid(0, 3, 6, 10)),
        (lambda x: torch.cat([x[:, :1, :], x[:, 2:]], 1), (62, 12), TokenGrid(0, 1, 6, 10)),
        (lambda x: torch.cat([x[:, 0, None], x], 1), (64, 12), TokenGrid(0, 3, 6, 10)),
        (lambda x: torch.cat([x, x], 1), (126, 12), None),
        (lambda x: x.roll(1, 1), (63, 12), None),
        (lambda x: F.pad(x, (0, 0, 1, 0)), (64, 12), None),
        (lambda x: x.unflatten(1, (9, 7)).flatten(1, 2), (63, 12), TokenGrid(0, 2, 6, 10)),
    ],
)  # fmt: skip
def test_where_the_grid_lies(
    forward: Callable[[torch.Tensor], torch.Tensor],
    shape: tuple[int, ...],
    expected: TokenGrid | None,
) -> None:
    call = last_call(lambda x: forward(extended(x)))
    assert (call.output_shape, call.tokens) == (shape, expected)


def test_tokens_without_the_others_are_a_grid_with_height_and_width_again() -> None:
    folded = last_call(lambda x: extended(x)[:, 2:62].mT.unflatten(2, (6, 10)))
    assert (folded.spatial_axes, folded.tokens) == ((1, 2), None)
    wrong = last_call(lambda x: extended(x)[:, 2:62].mT.unflatten(2, (10, 6)))
    assert (wrong.spatial_axes, wrong.tokens) == (None, None)
    turned = last_call(lambda x: x.transpose(2, 3).flatten(2).mT)
    assert (turned.output_shape, turned.tokens) == ((60, 12), None)
