"""Window arithmetic against brute force: change an input cell, and see which outputs change."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reportgen.probe.occlusion.grouping import grouped
from reportgen.probe.occlusion.windows import (
    Reach,
    Span,
    cells_averaged,
    changed_span,
    hidden_span,
    needed_span,
    union_span,
)

reaches = st.builds(
    Reach,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
)


@st.composite
def spans(draw: st.DrawFn, length: int) -> Span:
    """A few windows of one size in an axis."""
    size = draw(st.integers(1, length))
    starts = draw(st.lists(st.integers(0, length - size), min_size=1, max_size=5))
    return Span(np.array(starts), size)


def outputs(length: int, reach: Reach) -> int:
    """Cells of the output, by PyTorch."""
    cells = torch.zeros(1, 1, length)
    weight = torch.ones(1, 1, reach.kernel)
    return F.conv1d(cells, weight, None, reach.stride, reach.padding, reach.dilation).shape[2]


@settings(deadline=None)
@given(st.data(), st.integers(1, 25), reaches)
def test_what_changes_lies_in_the_windows(data: st.DataObject, length: int, reach: Reach) -> None:
    assume(length + 2 * reach.padding >= reach.span)
    before = data.draw(spans(length))
    after = changed_span(before, reach, outputs(length, reach))
    weight = torch.ones(1, 1, reach.kernel)
    exact = 0
    for start, first in zip(before.starts, after.starts, strict=True):
        cells = torch.zeros(1, 1, length)
        cells[..., start : start + before.size] = 1
        seen = F.conv1d(cells, weight, None, reach.stride, reach.padding, reach.dilation)[0, 0]
        changed = seen.nonzero()[:, 0].numpy()
        assert 0 <= first <= len(seen) - after.size
        if len(changed):
            assert first <= changed[0]
            assert changed[-1] < first + after.size
            exact = max(exact, int(changed[-1] - changed[0]) + 1)
    # No window is larger than the largest must be; one cell where nothing changes.
    assert after.size == max(exact, 1) or reach.dilation > 1 or reach.stride > reach.kernel


@settings(deadline=None)
@given(st.data(), st.integers(1, 25), reaches)
def test_the_needed_cells_give_the_outputs(data: st.DataObject, length: int, reach: Reach) -> None:
    assume(length + 2 * reach.padding >= reach.span)
    generator = torch.Generator().manual_seed(length)
    cells = torch.randn(1, 1, length, generator=generator)
    weight = torch.randn(1, 1, reach.kernel, generator=generator)
    whole = F.conv1d(cells, weight, None, reach.stride, reach.padding, reach.dilation)[0, 0]
    after = data.draw(spans(len(whole)))
    needed = needed_span(after, reach)
    margin = 60
    padded = F.pad(cells, (margin, margin))
    for start, first in zip(needed.starts, after.starts, strict=True):
        part = padded[..., start + margin : start + margin + needed.size]
        found = F.conv1d(part, weight, None, reach.stride, 0, reach.dilation)[0, 0]
        torch.testing.assert_close(found, whole[first : first + after.size])


@settings(deadline=None)
@given(st.data(), st.integers(1, 25))
def test_a_union_holds_its_parts_and_no_more_than_it_must(data: st.DataObject, length: int) -> None:
    count = data.draw(st.integers(1, 4))
    parts = []
    for _ in range(3):
        size = data.draw(st.integers(1, length))
        starts = st.lists(st.integers(0, length - size), min_size=count, max_size=count)
        parts.append(Span(np.array(data.draw(starts)), size))
    union = union_span(parts, length)
    extents = []
    for place in range(count):
        cells = {
            c for part in parts for c in range(length) if 0 <= c - part.starts[place] < part.size
        }
        first = union.starts[place]
        assert 0 <= first <= length - union.size
        assert cells <= set(range(first, first + union.size))
        extents.append(max(cells) - min(cells) + 1)
    assert union.size == max(extents)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.lists(st.integers(0, 29), min_size=1))
def test_hidden_windows_hold_what_is_hidden(length: int, size: int, starts: list[int]) -> None:
    starts = [start % length for start in starts]
    span = hidden_span(starts, size, length)
    for start, first in zip(starts, span.starts, strict=True):
        assert 0 <= first <= length - span.size
        assert set(range(start, min(start + size, length))) <= set(range(first, first + span.size))


@settings(deadline=None)
@given(
    st.data(),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
)
def test_cells_averaged_are_those_that_pytorch_divides_by(
    data: st.DataObject,
    length: int,
    kernel: int,
    stride: int,
    padding: int,
    is_ceil: bool,
    counts_padding: bool,
) -> None:
    assume(padding <= kernel // 2 and length + 2 * padding >= kernel)
    cells = torch.ones(1, 1, length, dtype=torch.float64)
    pool = [kernel, stride, padding, is_ceil, counts_padding]
    means = F.avg_pool1d(cells, *pool)[0, 0]
    # A mean of ones is the share of ones in what it is divided by; so is that of ones all over.
    after = data.draw(spans(len(means)))
    counts = cells_averaged(after, Reach(kernel, stride, padding), length, counts_padding)
    for first, row in zip(after.starts, counts, strict=True):
        for offset, count in enumerate(row):
            start = (first + offset) * stride - padding
            inside = sum(0 <= cell < length for cell in range(start, start + kernel))
            assert inside / count == means[first + offset]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 80)), min_size=1, max_size=300),
    st.integers(1, 64),
)
def test_groups_hold_each_place_once(places: list[tuple[int, int]], most: int) -> None:
    groups = grouped(places, (61, 81), (7, 9), most)
    assert all(0 < len(group) <= most for group in groups)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(places)))


def test_groups_tell_corners_from_the_middle() -> None:
    places = [(row, column) for row in range(0, 193, 16) for column in range(0, 193, 16)]
    groups = grouped(places, (224, 224), (32, 32), 64)
    assert len(groups) == 9
    corners = [places[i] for i in groups[0]]
    assert len(corners) == 16
    assert {row for row, _ in corners} == {0, 16, 176, 192} == {column for _, column in corners}
    # Few places stay together.
    assert len(grouped(places[:49], (224, 224), (32, 32), 64)) == 1
