"""Work on single images in any number of processes comes back in the order of the images."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from reportgen.analyses.sharing import in_shares
from reportgen.errors import ImageError, ModelError, OptionError
from reportgen.load.image_set import DamagedImage
from reportgen.probe.occlusion.engine import Run
from reportgen.probe.occlusion.occlude import OcclusionResult
from reportgen.report.arrays import Array

IMAGES = (4, 9, 11, 30, 31)
Rows = Mapping[str, Array]


class Fellow:
    """A team whose processes run one after the other; the first one last."""

    def __init__(self, size: int) -> None:
        self.rank, self.size = size - 1, size
        self.given: list[Rows] = []

    def gathered(self, rows: Rows | None) -> Iterator[Rows]:
        if rows is None:
            yield from reversed(self.given)
        else:
            self.given.append(rows)

    def told(self, rows: Rows | None) -> Rows:
        raise AssertionError


def work(image: int) -> Rows:
    return {"a": np.array([image]), "b c": np.array([[image / 2]])}


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_results_are_those_of_one_process(size: int) -> None:
    team, done = Fellow(size), []

    def counted(image: int) -> Rows:
        done.append(image)
        return work(image)

    while team.rank:
        assert list(in_shares(team, IMAGES, counted)) == []
        team.rank -= 1
    found = list(in_shares(team, IMAGES, counted))
    assert found == list(in_shares(None, IMAGES, work))
    assert sorted(done) == sorted(IMAGES), "each image once"


def test_the_first_problem_is_raised_by_the_first_process_as_it_was() -> None:
    def failing(image: int) -> Rows:
        if image == 9:
            raise OptionError("the window: two words")
        if image == 30:
            raise ModelError("another")
        return work(image)

    team = Fellow(2)
    assert list(in_shares(team, IMAGES, failing)) == []
    team.rank = 0
    with pytest.raises(OptionError, match=r"^the window: two words$"):
        list(in_shares(team, IMAGES, failing))
    with pytest.raises(OptionError):
        list(in_shares(None, IMAGES, failing))


def test_a_damaged_image_is_told_as_a_problem_of_images() -> None:
    def failing(image: int) -> Rows:
        raise DamagedImage("a.png cannot be read")

    team = Fellow(2)
    assert list(in_shares(team, IMAGES, failing)) == []
    team.rank = 0
    with pytest.raises(ImageError, match=r"^a\.png cannot be read$"):
        list(in_shares(team, IMAGES, failing))


def test_an_occlusion_comes_back() -> None:
    drops = np.float32([[0.5, np.nan], [-1, 0]])
    run = Run("fast", "exact", "float32", "because", None, 16)
    before = OcclusionResult(0.1 + 0.2, float("nan"), drops, drops * 2, np.arange(4), run)
    after = OcclusionResult.of_rows(before.rows())
    assert after.run == run and after.baseline_probability == before.baseline_probability
    assert np.isnan(after.baseline_logit)
    for name in ("probability_drop", "logit_drop", "answers"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
