"""Receptive fields against the pixels that a gradient reaches."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.borrow import borrowed
from reportgen.probe.evidence import Call
from reportgen.probe.receptive_field import PIXEL, Span, gathered, joined, record, windowed
from reportgen.probe.trace import trace

SIZE = (41, 58)


def positive(net: nn.Module) -> nn.Module:
    """All weights positive, so that no path cancels another; batch norm as in evaluation."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        net = net.double().eval()
        for parameter in net.parameters():
            parameter.uniform_(0.5, 1.5)
    return net


class Gathered(nn.Module):
    """Ends a body in scores, for the trace wants a classifier."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).flatten(1)[:, :3]


def traced(body: nn.Module, size: tuple[int, int] = SIZE) -> dict[str, Call]:
    net = Gathered(body).double().eval()
    with borrowed(net):
        found = trace(net, torch.rand(2, *size, dtype=torch.float64))
    return {str(call.key).removeprefix("body."): call for call in found.calls}


def reached(
    body: nn.Module, name: str, row: int, column: int, size: tuple[int, int] = SIZE
) -> tuple[range, range]:
    """Rows and columns of the image that one position of a layer has a gradient for."""
    kept: list[torch.Tensor] = []
    module = body.get_submodule(name)
    hook = module.register_forward_hook(lambda module, args, output: kept.append(output))
    x = torch.rand(1, 2, *size, dtype=torch.float64, requires_grad=True)
    body(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(kept[0][0, ..., row, column].sum(), x)
    seen = gradient[0].abs().sum(0) > 0
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    if not len(rows):
        return range(0), range(0)
    return (
        range(int(rows[0]), int(rows[-1]) + 1),
        range(int(columns[0]), int(columns[-1]) + 1),
    )


def predicted(
    call: Call, row: int, column: int, size: tuple[int, int] = SIZE
) -> tuple[range, range]:
    """The same from the receptive field, cut at the image's border."""
    field = call.receptive_field
    assert field is not None
    spans = []
    for i, position in enumerate((row, column)):
        start = field.start[i] + position * field.stride[i]
        spans.append(range(max(start, 0), min(start + field.size[i], size[i])))
    return spans[0], spans[1]


def check(
    build: Callable[[type[nn.Module]], nn.Module], size: tuple[int, int] = SIZE
) -> dict[str, Call]:
    """All maps of a network, at the first, some middle and the last position.

    The network is followed with max pooling. The gradient of a maximum reaches one pixel alone, so
    it is taken with average pooling of the same windows. The last position may see less than the
    field says: it reads padding where an earlier layer left out the last pixels.
    """
    calls = traced(build(nn.MaxPool2d), size)
    smooth = positive(build(nn.AvgPool2d))
    for name, call in calls.items():
        if call.spatial_axes is None:
            continue
        height, width = (call.output_shape[axis] for axis in call.spatial_axes)
        for row, column in {(0, 0), (height // 2, width // 3), (height // 3, width // 2)}:
            found = reached(smooth, name, row, column, size)
            assert predicted(call, row, column, size) == found, (name, row, column)
        found = reached(smooth, name, height - 1, width - 1, size)
        for spans in zip(found, predicted(call, height - 1, width - 1, size), strict=True):
            assert set(spans[0]) <= set(spans[1]), name
    return calls


def test_chain_of_strided_padded_and_dilated_windows() -> None:
    calls = check(
        lambda pool: nn.Sequential(
            nn.Conv2d(2, 3, (3, 5), stride=(2, 1), padding=(0, 3)),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            pool(3, stride=2, padding=1),
            nn.Conv2d(3, 3, 3, dilation=(1, 2), padding=(1, 2), groups=3),
            nn.Conv2d(3, 2, (1, 3), padding="same", dilation=3),
            pool((2, 3), ceil_mode=True),
            nn.Conv2d(2, 2, 2, padding="valid"),
        )
    )
    field = calls["0"].receptive_field
    assert field is not None
    assert (field.size, field.stride, field.start) == ((3, 5), (2, 1), (0, -3))
    assert not field.covers_image


def test_residual_sum_sees_the_larger_of_both() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(2, 4, 3, stride=2)
            self.left = nn.Conv2d(4, 4, 5, stride=2, padding=2)
            self.right = nn.Conv2d(4, 4, 1, stride=2)
            self.act = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            y = self.left(x)
            y += self.right(x)
            return self.act(y)

    calls = check(lambda pool: Block())
    assert calls["act"].receptive_field == calls["left"].receptive_field
    assert calls["act"].inputs == (calls["left"].key, calls["right"].key)


def test_concatenation_sees_what_any_branch_sees() -> None:
    class Branches(nn.Module):
        def __init__(self, pool: type[nn.Module]) -> None:
            super().__init__()
            self.up = nn.Conv2d(2, 3, (7, 1), padding=(3, 0))
            self.across = nn.Conv2d(2, 2, (1, 9), padding=(0, 4))
            self.pool = pool(3, stride=1, padding=1)
            self.after = nn.Conv2d(7, 2, 3, stride=3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.after(torch.cat([self.up(x), self.across(x), self.pool(x)], dim=1))

    calls = check(Branches)
    assert calls["after"].receptive_field is not None
    assert calls["after"].receptive_field.size == (9, 11)


def test_padding_and_slicing_move_the_start() -> None:
    class Shifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3)
            self.strided = nn.Conv2d(2, 2, 2)
            self.last = nn.Conv2d(2, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(F.pad(x, (2, 1, 0, 3)))
            x = self.strided(x[:, :, 3:, 1::2])
            return self.last(x.narrow(2, 2, 12))

    check(lambda pool: Shifting())


def test_swin_patch_merging_sees_two_by_two() -> None:
    class Merging(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(2, 3, 4, stride=4)
            self.reduce = nn.Linear(12, 5)
            self.maps = nn.Conv2d(5, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.patches(x).permute(0, 2, 3, 1)
            corners = [x[..., i::2, j::2, :] for i in (0, 1) for j in (0, 1)]
            return self.maps(self.reduce(torch.cat(corners, -1)).permute(0, 3, 1, 2))

    size = (40, 56)
    calls = traced(Merging(), size)
    merged = calls["reduce"].receptive_field
    assert merged is not None
    assert (merged.size, merged.stride, merged.start) == ((8, 8), (8, 8), (0, 0))
    assert predicted(calls["maps"], 2, 3, size) == reached(positive(Merging()), "maps", 2, 3, size)


def test_global_pooling_covers_the_image_and_so_does_all_it_gates() -> None:
    class Squeeze(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, stride=2, padding=1)
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.gate = nn.Conv2d(4, 4, 1)
            self.after = nn.Conv2d(4, 3, 3, stride=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            return self.after(x * self.gate(self.pool(x)))

    calls = traced(Squeeze())
    assert not calls["conv"].receptive_field.covers_image
    for name in ("pool", "gate", "after"):
        assert calls[name].receptive_field.covers_image, name
    assert calls["pool"].receptive_field.stride == (0, 0)
    assert calls["after"].receptive_field.stride == (4, 4)
    assert reached(positive(Squeeze()), "after", 1, 2) == (range(SIZE[0]), range(SIZE[1]))


@pytest.mark.parametrize("end", ["flatten", "mean", "mean_keepdim", "adaptive"])
def test_all_positions_together_see_what_the_stride_leaves_in(end: str) -> None:
    """A valid convolution may leave out the last pixels, and then the whole image is not seen."""
    sizes = {"flatten": 2 * 13 * 19, "mean": 2, "mean_keepdim": 2, "adaptive": 2}

    class Ending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, stride=3)
            self.fc = nn.Linear(sizes[end], 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            if end == "mean":
                return self.fc(x.mean([2, 3]))
            if end == "mean_keepdim":
                return self.fc(x.mean(dim=(-1, -2), keepdim=True).flatten(1))
            if end == "adaptive":
                return self.fc(torch.flatten(F.adaptive_max_pool2d(x, (1, 1)), 1))
            return self.fc(x.view(x.size(0), -1))

    field = traced(Ending())["fc"].receptive_field
    assert field is not None
    # 41 = 13 * 3 + 2 rows and 58 = 19 * 3 + 1 columns: two rows and one column are never read.
    assert (field.size, field.start, field.stride) == ((39, 57), (0, 0), (0, 0))
    assert not field.covers_image


def test_adaptive_pooling_is_a_window_where_it_divides_and_unknown_where_not() -> None:
    even = traced(nn.Sequential(nn.Conv2d(2, 2, 1), nn.AdaptiveAvgPool2d((5, 8))), (40, 56))
    field = even["1"].receptive_field
    assert (field.size, field.stride, field.start) == ((8, 7), (8, 7), (0, 0))
    uneven = traced(nn.Sequential(nn.Conv2d(2, 2, 1), nn.AdaptiveAvgPool2d((6, 8))), (40, 56))
    assert uneven["1"].receptive_field is None


@pytest.mark.parametrize(
    "unknown",
    [
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(2, 2, 2, stride=2),
        nn.PixelShuffle(1),
        nn.CircularPad2d(2),
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_has_no_rule_is_unknown_until_all_is_gathered(unknown: nn.Module) -> None:
    calls = traced(nn.Sequential(nn.Conv2d(2, 2, 3), unknown, nn.Conv2d(2, 2, 3), nn.Flatten()))
    assert calls["0"].receptive_field is not None
    assert calls["2"].receptive_field is None
    whole = traced(nn.Sequential(unknown, nn.AdaptiveAvgPool2d(1)))["1"].receptive_field
    assert whole is not None
    assert whole.covers_image
    assert whole.size == SIZE


def test_norms_over_space_see_everything_and_batch_norm_does_not() -> None:
    for norm, is_whole in ((nn.GroupNorm(2, 2), True), (nn.BatchNorm2d(2), False)):
        calls = traced(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), norm))
        assert calls["1"].receptive_field.covers_image == is_whole


def test_covering_means_that_every_position_sees_the_whole_image() -> None:
    wide = Span(size=90, start=-30, step=1, stride=1)
    assert record(wide, wide, (40, 58), (1, 1)).covers_image
    assert record(wide, wide, (40, 58), (30, 3)).covers_image
    assert not record(wide, wide, (40, 58), (32, 3)).covers_image
    assert not record(wide, wide, (40, 70), (1, 1)).covers_image


def test_spans_by_hand() -> None:
    conv = windowed(PIXEL, kernel=7, stride=2, padding=3)
    assert conv == Span(size=7, start=-3, step=2, stride=2)
    pool = windowed(conv, kernel=3, stride=2, padding=1)
    assert pool == Span(size=11, start=-5, step=4, stride=4)
    assert joined([conv, pool], 224) is None
    assert joined([conv, None], 224) is None
    assert gathered(pool, positions=56, pixels=224) == Span(231, -5, 0, 4)
    assert gathered(None, positions=9, pixels=224) == Span(224, 0, 0, 0)
