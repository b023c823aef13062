"""The search for the axis of the batch ends soon, also where a program gives it no end of ways."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from reportgen.errors import ModelError
from reportgen.load import program_batch
from reportgen.load.program import Argument, Name, Operation, Program, Weight
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


FIXED = (3, 2, 1, 1)


def freed(*operations: Operation, weights: dict[str, torch.Tensor] | None = None) -> Any:
    """A program of these operations for batches of three, freed from that size."""
    outputs = operations[-1].results
    return sized(
        Program(operations, "x", FIXED, FIXED, outputs, {}, (), (), ""), weights or {}, "m"
    )


def test_a_weight_that_is_reshaped_is_none_of_the_batch() -> None:
    weight = operation("view.default", "w", self=Weight("w"), size=(3, 2))
    rows = operation("view.default", "rows", self=Name("x"), size=(3, 2))
    head = operation("linear.default", "end", input=Name("rows"), weight=Name("w"))
    found = freed(weight, rows, head, weights={"w": torch.rand(6)})
    (batch,) = found.operations[0].results
    assert found.operations[1:] == (
        weight,
        replace(rows, arguments={"self": Name("x"), "size": (Name(batch), 2)}),
        head,
    )
    assert not found.is_guess


def test_a_copy_of_each_image_grows_with_the_batch_by_itself() -> None:
    repeated = operation("repeat.default", "end", self=Name("x"), repeats=(1, 1, 4, 5))
    assert freed(repeated).operations == (repeated,)
    wider = operation("expand.default", "wider", self=Name("x"), size=(7, 3, 2, 4, 5))
    first = operation("select.int", "end", self=Name("wider"), dim=0, index=0)
    expected = replace(wider, arguments={"self": Name("x"), "size": (7, -1, 2, 4, 5)})
    assert freed(wider, first).operations == (expected, first)


def test_a_reshape_of_nothing_is_told() -> None:
    words = r"^m holds a program whose sizes do not fit \(at end: .*lacks its argument 'self'\)\.$"
    with pytest.raises(ModelError, match=words):
        freed(operation("view.default", "end", size=(3, 2)))


@pytest.mark.parametrize(
    ("operations", "shape"),
    [
        ([operation("mean.dim", "end", self=Name("x"), dim=(0,))], r"\(2, 1, 1\)"),
        ([operation("mean.default", "end", self=Name("x"))], r"\(\)"),
    ],
    ids=["without the batch", "one number"],
)
def test_an_answer_to_all_images_at_once_is_none(operations: list[Operation], shape: str) -> None:
    words = rf"exported for batches of 3 .*\(at end: it gives {shape} for 3 images\); export it"
    with pytest.raises(ModelError, match=words):
        freed(*operations)
    any_size = Program(tuple(operations), "x", (None, *FIXED[1:]), FIXED, ("end",), {}, (), (), "")
    with pytest.raises(ModelError, match=rf"sizes do not fit \(at end: it gives {shape} for 3"):
        sized(any_size, {}, "m")
