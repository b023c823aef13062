"""Compiled operations on differences, and other windows of them: against literal versions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reportgen.probe.occlusion.delta_kernels import largest, rectified
from reportgen.probe.occlusion.delta_windows import both_sides, fitted
from reportgen.probe.occlusion.windows import Reach, Span, Windows, changed_span

DTYPES = (torch.float32, torch.bfloat16)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def windows(starts: list[tuple[int, int]], height: int, width: int) -> Windows:
    rows, columns = (np.array([start[axis] for start in starts]) for axis in (0, 1))
    return Windows(Span(rows, height), Span(columns, width))


def spread(inside: torch.Tensor, at: Windows, height: int, width: int) -> torch.Tensor:
    """Whole maps (places c h w) with what is `inside` of their windows, and zero around."""
    whole = torch.zeros(len(inside), inside.shape[1], height, width)
    for one, some, row, column in zip(
        whole, inside.float(), at.rows.starts, at.columns.starts, strict=True
    ):
        one[:, row : row + at.rows.size, column : column + at.columns.size] = some
    return whole


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_sum", [False, True])
@pytest.mark.parametrize("is_in_place", [False, True])
def test_the_difference_behind_a_rectifier(
    dtype: torch.dtype, is_sum: bool, is_in_place: bool
) -> None:
    at = windows([(0, 0), (4, 2), (1, 5)], 3, 4)
    y, d, e = random(7, 9, 5), random(3, 3, 4, 5, seed=1).to(dtype), random(3, 3, 4, 5, seed=2)
    e = e.to(dtype)
    total = d.float() + (e.float() if is_sum else 0)
    expected = torch.stack(
        [
            torch.maximum(one + inside.clamp(max=0), -inside.clamp(min=0))
            for one, row, column in zip(total, at.rows.starts, at.columns.starts, strict=True)
            for inside in [y[row : row + 3, column : column + 4]]
        ]
    )
    into = d if is_in_place else torch.empty_like(d)
    rectified(d, e if is_sum else None, y, at, into)
    assert torch.equal(into, expected.to(dtype))
    # The same by its meaning: what the rectifier gives with the difference, less without it.
    values = spread(total.permute(0, 3, 1, 2), at, 7, 9) + y.permute(2, 0, 1)
    meant = values.relu() - y.permute(2, 0, 1).relu()
    found = spread(into.permute(0, 3, 1, 2), at, 7, 9)
    torch.testing.assert_close(found, meant, rtol=2**-8 if dtype == DTYPES[1] else 1e-5, atol=1e-6)


def test_rounds_to_the_nearest_bfloat16() -> None:
    """Of all exponents, ties among them; the clean value is far below, so that d comes through."""
    bits = torch.arange(0, 2**31 - 2**23, 2**15 - 2**7, dtype=torch.int64).to(torch.int32)
    exact = bits.view(torch.float32).reshape(1, 1, 1, -1)
    into = torch.empty_like(exact, dtype=torch.bfloat16)
    rectified(exact, None, torch.zeros(1, 1, exact.shape[3]), windows([(0, 0)], 1, 1), into)
    assert torch.equal(into, exact.to(torch.bfloat16))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("reaches", "ceil"),
    [
        ((Reach(3, 2, 1), Reach(3, 2, 1)), False),
        ((Reach(2, 2), Reach(3, 2)), True),
        ((Reach(3, 1, 1, 2), Reach(2, 3, 0)), False),
    ],
)
def test_the_difference_of_the_largest_cells(
    dtype: torch.dtype, reaches: tuple[Reach, Reach], ceil: bool
) -> None:
    down, across = reaches
    height, width = 11, 14
    y = random(height, width, 5)
    have = windows([(0, 0), (8, 10), (3, 6)], 3, 4)
    d = random(3, 3, 4, 5, seed=1).to(dtype)

    def pooled(maps: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(
            maps,
            (down.kernel, across.kernel),
            (down.stride, across.stride),
            (down.padding, across.padding),
            (down.dilation, across.dilation),
            ceil_mode=ceil,
        )

    before = y.permute(2, 0, 1)[None]
    clean = pooled(before)
    meant = pooled(before + spread(d.permute(0, 3, 1, 2), have, height, width)) - clean
    want = Windows(
        changed_span(have.rows, down, clean.shape[2]),
        changed_span(have.columns, across, clean.shape[3]),
    )
    into = torch.empty(3, *want.size, 5, dtype=dtype)
    largest(d, have, reaches, (y, clean[0].permute(1, 2, 0)), want, into)
    found = spread(into.permute(0, 3, 1, 2), want, *clean.shape[2:])
    assert torch.equal(found, meant.to(dtype).float())


def test_the_largest_of_what_is_not_a_number_is_none() -> None:
    """Wherever it stands among the cells of a window."""
    y, have, into = torch.ones(1, 3, 1), windows([(0, 0)], 1, 3), torch.empty(1, 1, 1, 1)
    for place in range(3):
        d = torch.zeros(1, 1, 3, 1)
        d[0, 0, place] = torch.nan
        clean = y, torch.ones(1, 1, 1)
        largest(d, have, (Reach(1), Reach(3)), clean, windows([(0, 0)], 1, 1), into)
        assert into.isnan().all()


@pytest.mark.parametrize(
    "wanted",
    [
        windows([(-2, -1)] * 3, 5, 6),
        windows([(1, 1), (2, 0), (3, 3)], 4, 4),
        windows([(0, 0)] * 3, 8, 9),
        windows([(5, 5), (0, 0), (3, 3)], 2, 2),
    ],
)
@pytest.mark.parametrize("starts", [[(1, 2)] * 3, [(0, 1), (2, 2), (5, 6)]])
def test_differences_in_other_windows(starts: list[tuple[int, int]], wanted: Windows) -> None:
    inside, known = random(3, 2, 3, 3), windows(starts, 3, 3)
    # Wide margins, so that windows may stick out.
    whole = F.pad(spread(inside, known, 8, 9), (4, 4, 4, 4))
    found = fitted(inside, known, wanted)
    corners = zip(wanted.rows.starts + 4, wanted.columns.starts + 4, strict=True)
    for one, of, (row, column) in zip(found, whole, corners, strict=True):
        assert torch.equal(
            one, of[:, row : row + wanted.rows.size, column : column + wanted.columns.size]
        )


@pytest.mark.parametrize("reach", [Reach(3, 1, 1), Reach(3, 2, 1), Reach(5, 1, 2), Reach(1, 2)])
@pytest.mark.parametrize("starts", [[0, 0], [4, 4], [9, 9], [3, 6]])
def test_padding_that_a_convolution_adds_itself(reach: Reach, starts: list[int]) -> None:
    have = Span(np.array(starts), 3)
    length = (12 + 2 * reach.padding - reach.span) // reach.stride + 1
    after = changed_span(have, reach, length)
    sides = both_sides(after, have, reach)
    weight = random(1, 1, reach.kernel, seed=3)
    line = torch.zeros(2, 1, 12)
    for one, start in zip(line, starts, strict=True):
        one[:, start : start + 3] = random(1, 3)
    meant = F.conv1d(line, weight, stride=reach.stride, padding=reach.padding)
    if sides is None:
        assert starts == [3, 6] or starts[0] < reach.padding or starts[0] + 3 + reach.padding >= 12
        return
    inside = torch.stack([one[:, s : s + 3] for one, s in zip(line, starts, strict=True)])
    found = F.conv1d(inside, weight, stride=reach.stride, padding=sides)
    assert found.shape[2] == after.size
    for one, of, start in zip(found, meant, after.starts, strict=True):
        torch.testing.assert_close(one, of[:, start : start + after.size])
