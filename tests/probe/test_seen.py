"""What a pass has seen, kept as arrays and taken up, or cut into shares and merged."""

import io
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from reportgen.errors import OptionError
from reportgen.probe.evidence import CallKey, Evidence, MapPicture
from reportgen.probe.passing import Rows, share
from reportgen.probe.plain import packed, take_values, unpacked, values_of
from reportgen.probe.probe import Probe
from tests.probe.nets import Residual, photos, seeded

IMAGES = photos(13)
PICTURED = (0, 5, 12)
SIZE = 2
NUMBERS = arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_]),
    array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def saved(rows: Rows) -> Rows:
    """Through a file, without pickles."""
    file = io.BytesIO()
    np.savez(file, **rows)
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, max_size=12))
def test_any_arrays_come_back_bit_for_bit(some: list[Any]) -> None:
    found = list(unpacked(saved(packed(some))))
    assert len(found) == len(some)
    for before, after in zip(some, found, strict=True):
        assert (before.dtype, before.shape) == (after.dtype, after.shape)
        assert before.tobytes() == after.tobytes()


def test_rows_that_were_cut_are_refused() -> None:
    rows = dict(packed([np.arange(5.0), np.arange(3)]))
    with pytest.raises(ValueError, match="shorter"):
        list(unpacked({**rows, "row 0": rows["row 0"][:4]}))
    with pytest.raises(ValueError, match="another kind"):
        list(unpacked({**rows, "row 1": rows["row 1"].astype(np.float32)}))


class Inner:
    def __init__(self) -> None:
        self.counts = np.zeros(3, np.int64)
        self.kind = "new"


class Thing:
    __module__ = "reportgen.tests"

    def __init__(self) -> None:
        self.mean, self.done, self.is_whole = 0.0, 0, True
        self.constant = (1, "of the network")
        self.waiting: list[int] = []
        self.inner = Inner()


Inner.__module__ = Thing.__module__


def test_attributes_of_any_kind_come_back() -> None:
    thing, other = Thing(), Thing()
    thing.mean, thing.done, thing.is_whole = -0.0, 7, False
    thing.inner.counts[1], thing.inner.kind = 9, "multilabel"
    take_values(other, unpacked(saved(packed(values_of(thing)))))
    assert (str(other.mean), other.done, other.is_whole) == ("-0.0", 7, False)
    assert other.inner.counts.tolist() == [0, 9, 0] and other.inner.kind == "multilabel"
    thing.waiting.append(1)
    with pytest.raises(TypeError, match=r"Thing\.waiting cannot be kept"):
        list(values_of(thing))
    other.inner.counts = np.zeros(4, np.int64)
    with pytest.raises(ValueError, match=r"Inner\.counts is of another"):
        thing.waiting.clear()
        take_values(other, values_of(thing))


class Kept:
    """A keeper in memory; `ends` after so many states by an error, as a kill would."""

    def __init__(self, rows: Rows | None = None, ends: int = 0) -> None:
        self.rows, self.ends, self.count = rows, ends, 0

    def taken_up(self) -> Rows | None:
        return self.rows

    def is_due(self) -> bool:
        return True

    def is_used(self) -> bool:
        return self.rows is not None

    def keep(self, rows: Rows) -> None:
        self.rows, self.count = saved(rows), self.count + 1
        if self.count == self.ends:
            raise KeyboardInterrupt


class Fellow:
    """A team whose processes run one after the other; the first one last."""

    def __init__(self, size: int) -> None:
        self.rank, self.size = size - 1, size
        self.given: list[Rows] = []

    def gathered(self, rows: Rows | None) -> Iterator[Rows]:
        if rows is None:
            yield from reversed(self.given)
        else:
            self.given.append(saved(rows))

    def told(self, rows: Rows | None) -> Rows:
        if rows is None:
            raise KeyboardInterrupt  # what the first one says is not known yet
        return rows


def batches(size: int, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
    yield from IMAGES[start:stop].split(size)


def collected(**more: Any) -> Evidence:
    probe = Probe(seeded(Residual), "cpu", SIZE)
    return probe.collect(
        batches,
        len(IMAGES),
        PICTURED,
        keep_arrays=True,
        correlated=lambda calls, classes, observed: calls[:3],
        **more,
    )


def assert_same(one: Evidence, other: Evidence, rtol: float) -> None:
    """Counts, range, pictures, answers and strongest images bit for bit; moments as stated."""
    for key, before in one.layers.items():
        after = other.layers[key]
        for name in ("images", "positions", "minimum", "maximum", "positive", "zeros", "fired"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name), name)
        np.testing.assert_array_equal(before.histogram.counts, after.histogram.counts)
        assert before.histogram.exponent == after.histogram.exponent
        np.testing.assert_allclose(before.mean, after.mean, rtol=rtol, atol=rtol)
        np.testing.assert_allclose(before.variance, after.variance, rtol=rtol, atol=rtol)
    for key, nine in one.strongest.items():
        for name, values in vars(nine).items():
            np.testing.assert_array_equal(values, getattr(other.strongest[key], name))
    for key, found in one.class_correlations.items():
        np.testing.assert_allclose(found, other.class_correlations[key], rtol=rtol, atol=rtol)
    assert len(one.answers) == len(other.answers) == len(IMAGES)
    for left, right in zip(one.answers, other.answers, strict=True):
        for name, values in vars(left).items():
            np.testing.assert_array_equal(values, getattr(right, name))
    assert list(one.pictures) == list(other.pictures) == list(PICTURED)
    for index, pictures in one.pictures.items():
        assert list(pictures) == list(other.pictures[index])
        for key, picture in pictures.items():
            again = other.pictures[index][key]
            for name, value in vars(picture).items():
                np.testing.assert_array_equal(value, getattr(again, name))
            if isinstance(picture, MapPicture):
                assert picture.mean_map.content == again.mean_map.content


@pytest.fixture(scope="module")
def whole() -> Evidence:
    found = collected()
    assert isinstance(found.pictures[5][CallKey("conv1")], MapPicture)
    assert found.class_correlations and found.strongest
    return found


@pytest.mark.parametrize("ends", [1, 3, 6])
def test_what_was_kept_is_taken_up_bit_for_bit(whole: Evidence, ends: int) -> None:
    keeper = Kept(ends=ends)
    with pytest.raises(KeyboardInterrupt):
        collected(keeper=keeper)
    seen: list[int] = []
    found = collected(keeper=Kept(keeper.rows), progress=lambda done, of: seen.append(done))
    assert seen[0] == ends * SIZE + min(SIZE, len(IMAGES) - ends * SIZE), "no image runs twice"
    assert_same(whole, found, rtol=0.0)
    assert_same(whole, collected(keeper=Kept()), rtol=0.0)


def test_a_state_of_another_network_is_refused() -> None:
    keeper = Kept(ends=2)
    with pytest.raises(KeyboardInterrupt):
        collected(keeper=keeper)
    with pytest.raises(OptionError, match="does not fit this one"):
        Probe(seeded(Residual), "cpu", SIZE).collect(
            batches, len(IMAGES), (0,), keeper=Kept(keeper.rows)
        )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 9])
def test_shares_merged_in_order_are_the_whole(whole: Evidence, size: int) -> None:
    team = Fellow(size)
    while team.rank:
        with pytest.raises(KeyboardInterrupt):
            collected(team=team)
        team.rank -= 1
    assert_same(whole, collected(team=team), rtol=1e-12)


@given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 9))
def test_shares_are_blocks_of_whole_batches(images: int, batch: int, size: int) -> None:
    shares = [share(images, batch, rank, size) for rank in range(size)]
    assert [index for part in shares for index in part] == list(range(images))
    for part, following in pairwise(shares):
        assert part.stop == following.start
        assert part.stop % batch == 0 or part.stop == images
    counts = [-(-len(part) // batch) for part in shares]
    assert max(counts) - min(counts) <= 1
