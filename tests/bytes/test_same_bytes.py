"""The same inputs and options give the same bytes, wherever and however a command is run."""

import pytest

from tests.bytes.conftest import Made
from tests.bytes.runs import differences, tree

pytestmark = pytest.mark.slow


def test_two_machines_write_the_same_tree(first: Made, second: Made) -> None:
    assert len(first.files) > 400
    assert differences(first.files, second.files) == []


def test_the_commands_say_the_same_but_for_the_path(first: Made, second: Made) -> None:
    one, other = (made.said.splitlines() for made in (first, second))
    differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    assert [(a.endswith("/pruned.pth"), b.endswith("/pruned.pth")) for a, b in differing] == [
        (True, True)
    ]


def test_what_was_read_is_as_it_was(first: Made, second: Made) -> None:
    for made in (first, second):
        now = tree(made.place.sources.model.parent)
        assert {path for path in now if "__pycache__" in path} == set()
        assert differences(made.sources_before, now) == []
