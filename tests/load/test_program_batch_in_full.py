"""What a program becomes for batches of any size, operation by operation, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from reportgen.errors import ModelError
from reportgen.load.program import Argument, Name, Operation, Program, Weight
from reportgen.load.program_batch import Sized, sized

X = Name("x")
BATCH = Name("batch of any size")
FIRST = Operation("sym_size.int", {"self": X, "dim": 0}, (BATCH.name,), True, ())
"What every program begins with that needs its batch as a number."
EXPORT = "export it with a batch of any size (dynamic_shapes=({0: torch.export.Dim('batch')},))."
FIXED = (3, 2, 4, 5)


def operation(target: str, result: str, *results: str, **arguments: Argument) -> Operation:
    return Operation(target, arguments, (result, *results), not results, ())


def relu(source: str, result: str) -> Operation:
    return operation("relu.default", result, self=Name(source))


def view(source: str, result: str, *size: Argument) -> Operation:
    return operation("view.default", result, self=Name(source), size=size)


def reshape(source: str, result: str, *shape: Argument) -> Operation:
    return operation("reshape.default", result, self=Name(source), shape=shape)


def permute(source: str, result: str, *dims: int) -> Operation:
    return operation("permute.default", result, self=Name(source), dims=dims)


def times(result: str, factor: int) -> Operation:
    """The size that the batch times a factor is."""
    given: dict[str, Argument] = {"a": BATCH, "b": factor}
    return Operation("_operator.mul", given, (f"size of {result}",), True, ())


def size_of(result: str) -> Name:
    return Name(f"size of {result}")


def program(
    *operations: Operation, shape: tuple[int, ...] = FIXED, is_fixed: bool = True, **given: Any
) -> Program:
    sides = shape if is_fixed else (None, *shape[1:])
    outputs = given.get("outputs", (operations[-1].results[0],) if operations else ("x",))
    return Program(operations, "x", sides, shape, outputs, {}, (), (), "")


def freed(*operations: Operation, weights: Any = None, **given: Any) -> Sized:
    return sized(program(*operations, **given), weights or {}, "m")


def refused(*operations: Operation, **given: Any) -> str:
    with pytest.raises(ModelError) as caught:
        freed(*operations, **given)
    return str(caught.value)


# What is done to three images of 2 x 4 x 5, and what is done to any number.
SURE: dict[str, tuple[list[Operation], list[Operation]]] = {
    "nothing has a size": ([relu("x", "end")], [relu("x", "end")]),
    "a row for each image": ([view("x", "end", 3, 40)], [FIRST, view("x", "end", BATCH, 40)]),
    "the rest is found": ([view("x", "end", 3, -1)], [FIRST, view("x", "end", BATCH, 40)]),
    "the batch is found": ([view("x", "end", -1, 40)], [view("x", "end", -1, 40)]),
    "channels beside images": (
        [view("x", "maps", 6, 4, 5), view("maps", "end", 3, 40)],
        [
            *(FIRST, times("maps", 2), view("x", "maps", size_of("maps"), 4, 5)),
            view("maps", "end", BATCH, 40),
        ],
    ),
    "images inside": (
        [
            permute("x", "p", 1, 0, 2, 3),
            view("p", "rows", 2, 3, 20),
            permute("rows", "end", 1, 0, 2),
        ],
        [
            *(FIRST, permute("x", "p", 1, 0, 2, 3), view("p", "rows", 2, BATCH, 20)),
            permute("rows", "end", 1, 0, 2),
        ],
    ),
    "images inside an axis": (
        [
            *(permute("x", "p", 1, 0, 2, 3), reshape("p", "rows", 6, 20)),
            *(view("rows", "back", 2, 3, 20), permute("back", "end", 1, 0, 2)),
        ],
        [
            *(FIRST, permute("x", "p", 1, 0, 2, 3)),
            *(times("rows", 2), reshape("p", "rows", size_of("rows"), 20)),
            *(view("rows", "back", 2, BATCH, 20), permute("back", "end", 1, 0, 2)),
        ],
    ),
    "reshaped": (
        [reshape("x", "end", 3, 40)],
        [FIRST, reshape("x", "end", BATCH, 40)],
    ),
    "viewed in core operations": (
        [operation("_unsafe_view.default", "end", self=X, size=(3, 40))],
        [FIRST, operation("_unsafe_view.default", "end", self=X, size=(BATCH, 40))],
    ),
    "repeated for each image": (
        [operation("repeat.default", "end", self=X, repeats=(1, 3, 1, 1))],
        [operation("repeat.default", "end", self=X, repeats=(1, 3, 1, 1))],
    ),
    "expanded for each image": (
        [
            operation("mean.dim", "mean", self=X, dim=(2, 3), keepdim=True),
            operation("expand.default", "end", self=Name("mean"), size=(3, 2, 4, 5)),
        ],
        [
            operation("mean.dim", "mean", self=X, dim=(2, 3), keepdim=True),
            operation("expand.default", "end", self=Name("mean"), size=(-1, 2, 4, 5)),
        ],
    ),
    "a size that is asked for": (
        [
            operation("sym_size.int", "n", self=X, dim=0),
            view("x", "end", Name("n"), 40),
        ],
        [
            operation("sym_size.int", "n", self=X, dim=0),
            view("x", "end", Name("n"), 40),
        ],
    ),
    "promises": (
        [operation("_assert_scalar.default", "", self=1, assert_msg="n"), relu("x", "end")],
        [relu("x", "end")],
    ),
}


@pytest.mark.parametrize("name", SURE)
def test_what_can_be_read_in_one_way(name: str) -> None:
    operations, expected = SURE[name]
    assert freed(*operations) == Sized(tuple(expected), is_guess=False)


def test_a_batch_of_one_is_a_row_for_each_image() -> None:
    assert freed(view("x", "end", 1, 40), shape=(1, 2, 4, 5)) == Sized(
        (FIRST, view("x", "end", BATCH, 40)), is_guess=False
    )


def test_a_program_for_any_batch_stays_as_it_is() -> None:
    size, count = Name("n"), operation("sym_size.int", "n", self=X, dim=0)
    operations = [count, view("x", "end", size, 40)]
    assert freed(*operations, is_fixed=False) == Sized(tuple(operations), is_guess=False)


def copied(target: str, key: str, *sizes: int) -> Operation:
    return operation(target, "copy", self=Weight("w"), **{key: sizes})


def added(*operations: Operation) -> list[Operation]:
    """A copy of a weight added to the images."""
    return [*operations, operation("add.Tensor", "end", self=X, other=Name("copy"))]


@pytest.mark.parametrize(
    ("shape", "target", "key", "sizes", "is_for_each"),
    [
        ((1, 2, 4, 5), "expand.default", "size", (3, 2, 4, 5), True),
        ((2, 4, 5), "expand.default", "size", (3, 2, 4, 5), True),
        ((1, 2, 1, 5), "repeat.default", "repeats", (3, 1, 4, 1), True),
        ((2, 4, 5), "repeat.default", "repeats", (3, 1, 1, 1), True),
        ((1, 2, 4, 5), "expand.default", "size", (1, 2, 4, 5), False),
        ((4, 5), "expand.default", "size", (2, 4, 5), False),
        ((), "expand.default", "size", (), False),
    ],
    ids=str,
)
def test_a_copy_of_a_weight_may_be_one_for_each_image(
    shape: tuple[int, ...], target: str, key: str, sizes: tuple[int, ...], is_for_each: bool
) -> None:
    copy = copied(target, key, *sizes)
    found = freed(*added(copy), weights={"w": torch.rand(shape)})
    if not is_for_each:
        assert found == Sized(tuple(added(copy)), is_guess=False)
        return
    grown = replace(copy, arguments={"self": Weight("w"), key: (BATCH, *sizes[1:])})
    assert found == Sized((FIRST, *added(grown)), is_guess=True)


def test_a_weight_of_as_many_rows_as_images_is_no_copy_for_each() -> None:
    copy = copied("expand.default", "size", 3, 4)
    rows = operation("linear.default", "end", input=Name("narrow"), weight=Name("copy"))
    flat = operation("mean.dim", "flat", self=X, dim=(1, 2))
    weights = {"w": torch.rand(3, 4)}
    narrow = operation("slice.Tensor", "narrow", self=Name("flat"), dim=1, start=0, end=4)
    operations = (flat, narrow, copy, rows)
    assert freed(*operations, weights=weights) == Sized(operations, is_guess=False)


def test_several_copies_for_each_image_grow_with_the_batch() -> None:
    copy = copied("expand.default", "size", 3, 8)
    assert freed(
        *(copy, view("x", "rows", 3, 40)),
        operation("cat.default", "end", tensors=(Name("rows"), Name("copy")), dim=1),
        weights={"w": torch.rand(8)},
    ).operations == (
        FIRST,
        replace(copy, arguments={"self": Weight("w"), "size": (BATCH, 8)}),
        view("x", "rows", BATCH, 40),
        operation("cat.default", "end", tensors=(Name("rows"), Name("copy")), dim=1),
    )


def test_of_two_ways_the_likelier_is_taken_and_said_to_be_a_guess() -> None:
    square = view("x", "end", 3, 3)
    assert freed(square, shape=(3, 3, 1, 1)) == Sized(
        (FIRST, view("x", "end", BATCH, 3)), is_guess=True
    )


def test_where_the_likelier_does_not_fit_the_other_is_taken() -> None:
    turned = operation("t.default", "end", self=Name("square"))
    found = freed(view("x", "square", 3, 3), relu("square", "on"), turned, shape=(3, 3, 1, 1))
    assert found == Sized(
        (FIRST, view("x", "square", 3, BATCH), relu("square", "on"), turned), is_guess=True
    )


def test_guesses_are_taken_back_one_after_the_other() -> None:
    steps = [
        *(relu("x", "a"), view("a", "b", 3, 3), relu("b", "c"), view("c", "d", 3, 3)),
        *(relu("d", "e"), operation("t.default", "end", self=Name("e"))),
    ]
    found = freed(*steps, shape=(3, 3, 1, 1))
    # What is first believed of `b` suits what is believed of `d` second.
    assert found == Sized(
        (
            *(FIRST, relu("x", "a"), view("a", "b", BATCH, 3), relu("b", "c")),
            *(view("c", "d", 3, BATCH), relu("d", "e"), steps[-1]),
        ),
        is_guess=True,
    )
    last = operation("linear.default", "last", input=Name("end"), weight=Weight("w"))
    told = refused(*steps, last, shape=(3, 3, 1, 1), weights={"w": torch.rand(2, 4)})
    assert told.startswith("m holds a program whose sizes do not fit (at last: ")


def test_a_batch_of_one_may_be_at_the_end_of_an_axis() -> None:
    turned, end = permute("x", "p", 1, 0, 2, 3), permute("back", "end", 1, 0, 2)
    rows, back = reshape("p", "rows", 2, 20), reshape("rows", "back", 2, 1, 20)
    assert freed(turned, rows, back, end, shape=(1, 2, 4, 5)) == Sized(
        (
            *(FIRST, turned, times("rows", 20), reshape("p", "rows", 2, size_of("rows"))),
            *(reshape("rows", "back", 2, BATCH, 20), end),
        ),
        is_guess=True,
    )
    # Of channels one after the other only the first way keeps the images together.
    product = operation("linear.default", "l", input=Name("rows"), weight=Weight("w"))
    back, end = reshape("l", "back", 2, 1, 7), permute("back", "end", 1, 0, 2)
    weights = {"w": torch.rand(7, 20)}
    assert freed(turned, rows, product, back, end, shape=(1, 2, 4, 5), weights=weights) == Sized(
        (
            *(FIRST, turned, times("rows", 2), reshape("p", "rows", size_of("rows"), 20), product),
            *(reshape("l", "back", 2, BATCH, 7), end),
        ),
        is_guess=True,
    )


def test_weights_count_as_what_they_are_loaded_as() -> None:
    weights = {
        "w": torch.rand(2, 40, dtype=torch.float64),
        "place": torch.tensor([1, 0]),
    }
    operations = (
        operation("flatten.using_ints", "rows", self=X, start_dim=1),
        operation("linear.default", "scores", input=Name("rows"), weight=Weight("w")),
        operation("index.Tensor", "end", self=Name("scores"), indices=(None, Weight("place"))),
    )
    assert freed(*operations, weights=weights).operations == operations
    wrong = {**weights, "place": torch.rand(2)}
    assert refused(*operations, weights=wrong).startswith(
        "m holds a program whose sizes do not fit (at end: "
    )
