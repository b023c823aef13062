"""Axes followed through reshapes, against tensors that carry their own coordinates."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.borrow import borrowed
from reportgen.probe.evidence import Call
from reportgen.probe.layout import Layout, arrangement, axis, length, maps, reshape
from reportgen.probe.trace import trace

SHAPE = (2, 12, 6, 10)
ONES = torch.ones(12, 5)


def coordinates(shape: tuple[int, ...]) -> list[torch.Tensor]:
    """For each axis, a tensor of that shape that holds the index along it."""
    return list(torch.meshgrid(*(torch.arange(size) for size in shape), indexing="ij"))


def check(layout: Layout, original: Layout, moved: list[torch.Tensor]) -> None:
    """Every factor is `index // step % size` of the axis that it claims to come from."""
    idents = [axis[0].ident for axis in original]
    for place, factors in enumerate(layout):
        index = torch.arange(length(factors))
        for factor in reversed(factors):
            expected = index % factor.size
            index = index // factor.size
            carried = moved[idents.index(factor.ident)].movedim(place, -1)
            found = carried // factor.step % factor.size
            assert (found == expected.expand_as(found)).all(), (place, factor)


CHAINS: dict[str, list[tuple[str, tuple[int, ...]]]] = {
    "channel shuffle": [("r", (2, 3, 4, 6, 10)), ("p", (0, 2, 1, 3, 4)), ("r", SHAPE)],
    "windows": [
        ("p", (0, 2, 3, 1)),
        ("r", (2, 3, 2, 2, 5, 12)),
        ("p", (0, 1, 3, 2, 4, 5)),
        ("r", (12, 10, 12)),
    ],
    "windows and back": [
        ("r", (2, 12, 3, 2, 2, 5)),
        ("p", (0, 2, 4, 3, 5, 1)),
        ("r", (12, 10, 12)),
        ("r", (2, 3, 2, 2, 5, 12)),
        ("p", (0, 1, 3, 2, 4, 5)),
        ("r", (2, 6, 10, 12)),
    ],
    "tokens": [("r", (2, 12, 60)), ("p", (0, 2, 1))],
    "tokens and back": [("r", (2, 12, 60)), ("p", (0, 2, 1)), ("r", (2, 6, 10, 12))],
    "ones come and go": [("r", (2, 1, 12, 60)), ("r", (2, 12, 6, 10, 1)), ("r", (24, 60))],
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_factors_say_where_every_index_comes_from(chain: list[tuple[str, tuple[int, ...]]]) -> None:
    original = maps(SHAPE)
    layout: Layout | None = original
    moved = coordinates(SHAPE)
    for what, numbers in chain:
        assert layout is not None
        if what == "r":
            layout = reshape(layout, numbers)
            moved = [carried.reshape(numbers) for carried in moved]
        else:
            layout = tuple(layout[i] for i in numbers)
            moved = [carried.permute(numbers) for carried in moved]
    assert layout is not None
    assert [length(axis) for axis in layout] == list(moved[0].shape)
    check(layout, original, moved)


def test_windows_put_back_are_a_grid_again_and_others_are_not() -> None:
    layout = maps(SHAPE)
    there = reshape(layout, (2, 12, 3, 2, 10))
    back = reshape(there, SHAPE)
    assert back == layout
    swapped = tuple(there[i] for i in (0, 1, 3, 2, 4))
    scrambled = arrangement(reshape(swapped, SHAPE), SHAPE, 2)
    assert scrambled.channel_axis == 0
    assert scrambled.spatial_axes is None
    assert arrangement(back, SHAPE, 2).spatial_axes == (1, 2)


def test_a_cut_through_a_factor_is_unknown() -> None:
    assert reshape(maps(SHAPE), (2, 9, 8, 10)) is None
    assert reshape(maps(SHAPE), (2, 12, 6)) is None


def test_images_that_are_mixed_are_not_told_apart() -> None:
    layout = maps((2, 12, 6, 10))
    assert arrangement(tuple(layout[i] for i in (1, 0, 2, 3)), (12, 2, 6, 10), 2).batch_axis == 1
    joined = reshape(tuple(layout[i] for i in (1, 0, 2, 3)), (24, 6, 10))
    assert arrangement(joined, (24, 6, 10), 2) is None
    stacked = (axis("batch", 4), *layout[1:])
    assert arrangement(stacked, (4, 12, 6, 10), 2) is None
    assert arrangement(None, (3, 5), 2) is None
    assert arrangement(None, (2, 5), 2).channel_axis is None


def last_call(forward: Callable[[torch.Tensor], torch.Tensor]) -> Call:
    """The call of a ReLU that takes what `forward` makes of maps (b 12 6 10)."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 12, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            F.relu(forward(self.stem(x)))
            return x.mean((2, 3))

    net = Net().eval()
    with borrowed(net):
        return trace(net, torch.randn(3, 6, 10)).calls[-1]


@pytest.mark.parametrize(
    ("forward", "shape", "channel_axis", "spatial_axes"),
    [
        (lambda x: x, (12, 6, 10), 0, (1, 2)),
        (lambda x: x.permute(0, 2, 3, 1), (6, 10, 12), 2, (0, 1)),
        (lambda x: x.transpose(2, 3), (12, 10, 6), 0, (2, 1)),
        (lambda x: torch.movedim(x, 1, -1), (6, 10, 12), 2, (0, 1)),
        (lambda x: x.flatten(2).mT, (60, 12), 1, None),
        (lambda x: x.flatten(1), (720,), 0, None),
        (lambda x: x.mean((2, 3)), (12,), 0, None),
        (lambda x: x.mean(3), (12, 6), 0, None),
        (lambda x: x.amax((2, 3), keepdim=True), (12, 1, 1), 0, (1, 2)),
        (lambda x: x.chunk(3, 1)[1], (4, 6, 10), 0, (1, 2)),
        (lambda x: x[:, :, 1:, None, ::2], (12, 5, 1, 5), 0, (1, 3)),
        (lambda x: x[:, 3], (6, 10), None, (0, 1)),
        (lambda x: x.unbind(2)[0], (12, 10), 0, None),
        (lambda x: torch.cat([x, x], 1), (24, 6, 10), 0, (1, 2)),
        (lambda x: torch.stack([x, x], 1).sum(1), (12, 6, 10), 0, (1, 2)),
        (lambda x: F.layer_norm(x, x.shape[2:]), (12, 6, 10), 0, (1, 2)),
        (lambda x: F.linear(x, torch.ones(4, 10)), (12, 6, 4), 2, None),
        (lambda x: torch.ones(5, 12) @ x.flatten(2), (5, 60), None, None),
        (lambda x: x.view(2, 3, 4, 60).transpose(1, 2).reshape(x.shape), (12, 6, 10), 0, (1, 2)),
        (lambda x: torch.einsum("b c h w, c d -> b h w d", x, ONES), (6, 10, 5), 2, (0, 1)),
        (lambda x: torch.einsum("bchw,bcuw->bchu", x, x[:, :, :1]), (12, 6, 1), 0, None),
        (lambda x: torch.einsum("bchw,bchv->bcwv", [x, x]), (12, 10, 10), 0, None),
        (lambda x: F.pixel_shuffle(x, 2), (3, 12, 20), 0, (1, 2)),
        (lambda x: x.view(2, 12, 3, 20).permute(0, 2, 3, 1).flatten(0, 1), (3, 20, 12), 2, None),
        (lambda x: x.flatten(2).permute(2, 0, 1), (60, 12), 1, None),
        (lambda x: x + torch.ones(5, 1, 1, 1, 1), (5, 12, 6, 10), 1, (2, 3)),
    ],
)  # fmt: skip
def test_layouts_of_calls(
    forward: Callable[[torch.Tensor], torch.Tensor],
    shape: tuple[int, ...],
    channel_axis: int | None,
    spatial_axes: tuple[int, int] | None,
) -> None:
    call = last_call(forward)
    assert call.output_shape == shape
    assert call.channel_axis == channel_axis
    assert call.spatial_axes == spatial_axes
