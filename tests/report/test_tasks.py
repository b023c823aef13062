"""What the output of a network means: the cases by hand."""

import pytest

from reportgen.report.tasks import GIVES, chooses_none


@pytest.mark.parametrize("task", sorted(GIVES))
def test_a_class_that_is_alone_or_shares_the_image_is_said_by_itself(task: str) -> None:
    expected = {"multilabel": (True, True), "regress": (False, False)}.get(task, (True, False))
    assert (chooses_none(task, 1), chooses_none(task, 3)) == expected
