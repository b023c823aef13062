"""The search for the axis of the batch ends soon, also where a program gives it no end of ways."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from reportgen.errors import ModelError
from reportgen.load import program_batch
from reportgen.load.program import Argument, Name, Operation, Program
from reportgen.load.program_batch import sized

PADDING = 1000


def operation(target: str, result: str, **arguments: Argument) -> Operation:
    return Operation(target, arguments, (result,), True, ())


def labyrinth(turns: int) -> Program:
    """Eight numbers in three axes that the batch may be in, again and again, then a dead end."""
    operations = [operation("view.default", "b0", self=Name("x"), size=(8,))]
    for turn in range(turns):
        cube, row = f"a{turn}", f"b{turn + 1}"
        operations += [
            operation("view.default", cube, self=Name(f"b{turn}"), size=(2, 2, 2)),
            operation("view.default", row, self=Name(cube), size=(8,)),
        ]
    names = [f"b{turns}", *(f"r{i}" for i in range(PADDING))]
    operations += [
        operation("relu.default", after, self=Name(before)) for before, after in pairwise(names)
    ]
    operations.append(operation("view.default", "end", self=Name(names[-1]), size=(7,)))
    shape = (2, 4, 1, 1)
    return Program(tuple(operations), "x", shape, shape, ("end",), {}, (), (), "")


def test_a_search_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        steps += 1
        return tensor

    functions: dict[str, Any] = {**program_batch.FUNCTIONS, "relu.default": counted}
    monkeypatch.setattr(program_batch, "FUNCTIONS", functions)
    program = labyrinth(60)
    with pytest.raises(ModelError, match=r"sizes do not fit \(at end: ") as caught:
        sized(program, {}, "model.pt2")
    assert 2 * PADDING < steps <= 3 * len(program.operations) + 10_000
    assert "\n" not in str(caught.value)


def test_long_lists_count_as_many_steps() -> None:
    pieces = tuple(f"p{i}" for i in range(40_000))
    operations = tuple(
        Operation("unbind.int", {"self": Name("x"), "dim": 3}, pieces, False, ()) for _ in range(9)
    )
    program = Program(
        operations, "x", (None, 1, 1, 40_000), (2, 1, 1, 40_000), ("p0",), {}, (), (), ""
    )
    with pytest.raises(ModelError, match="takes too long to follow"):
        sized(program, {}, "model.pt2")
