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


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os.system", "m calls os.system, which"),
        ("a" * 90, f"m calls {'a' * 80}, which"),
    ],
)
def test_a_function_that_is_not_listed_is_refused(target: str, message: str) -> None:
    assert refused(relu("x", "y"), operation(target, "end", self=Name("y"))) == (
        f"{message} reportgen does not take from a program; if it is your own network, give its "
        "code: --arch FILE.py:NAME."
    )


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2, 3), "2 x 3"),
        ((2, 3, 8), "2 x 3 x 8"),
        ((1, 2, 3, 4, 5, 6), "1 x 2 x 3 x 4 x 5 x 6"),
        ((), "a single number"),
        ((0, 3, 8, 9), "0 x 3 x 8 x 9"),
        ((1, 1, 2**14, 2**14 + 1), "1 x 1 x 16384 x 16385"),
    ],
    ids=str,
)
def test_what_is_no_batch_of_images_is_refused(shape: tuple[int, ...], said: str) -> None:
    assert refused(relu("x", "end"), shape=shape) == (
        f"m takes {said}, which is no batch of images (b c h w)."
    )


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (1, 1, 2**14, 2**14), (1, 1, 2, 2**13, 2**14)], ids=str
)
def test_images_may_be_as_small_and_as_large_as_that(shape: tuple[int, ...]) -> None:
    assert freed(relu("x", "end"), shape=shape) == Sized((relu("x", "end"),), is_guess=False)


def test_a_program_that_computes_nothing_is_refused() -> None:
    words = "m holds a program that computes nothing."
    assert refused() == words
    assert refused(relu("x", "end"), outputs=()) == words


WEIGHTS = {"w": torch.rand(5)}


@pytest.mark.parametrize(
    ("operations", "culprit"),
    [
        ([operation("relu_.default", "y", self=Weight("w"))], "relu_.default"),
        (
            [
                operation("neg.default", "n", self=Weight("w")),
                operation("add_.Tensor", "y", self=Name("n"), other=X),
            ],
            "add_.Tensor",
        ),
        ([operation("detach_.default", "y", self=Weight("w"))], ""),
        ([operation("unsqueeze_.default", "y", self=Weight("w"), dim=0)], ""),
        ([operation("neg.default", "n", self=Weight("w"))], ""),
        (
            [
                operation("cat.default", "c", tensors=(X, X), dim=1),
                operation("relu_.default", "y", self=Name("c")),
            ],
            "",
        ),
        ([operation("add_.Tensor", "y", self=X, other=Weight("w"))], ""),
    ],
)
def test_a_program_may_write_into_images_and_not_into_weights(
    operations: list[Operation], culprit: str
) -> None:
    steps = (*operations, relu("x", "end"))
    if not culprit:
        assert freed(*steps, weights=WEIGHTS).operations == steps
        return
    assert refused(*steps, weights=WEIGHTS) == (
        f"m changes its own weights as it runs ({culprit}); export it in evaluation mode "
        "(model.eval())."
    )


def test_pieces_and_copies_have_a_largest_size() -> None:
    for length, is_refused in ((100_000, False), (100_001, True)):
        for cut in (
            operation("chunk.default", "end", "rest", self=X, chunks=2, dim=3),
            operation("split.Tensor", "end", "rest", self=X, split_size=60_000, dim=3),
        ):
            shape = (1, 2, 1, length)
            if is_refused:
                words = f"m makes a tensor that no memory would hold ({cut.target})."
                assert refused(cut, shape=shape) == words
            else:
                assert freed(cut, shape=shape).operations == (cut,)
    for copies in (2, 3):
        copy = operation("repeat.default", "end", self=X, repeats=(1, copies, 1, 1))
        shape = (2, 1, 2**14, 2**13)
        if copies == 3:
            words = "m makes a tensor that no memory would hold (repeat.default)."
            assert refused(copy, shape=shape) == words
        else:
            assert freed(copy, shape=shape).operations == (copy,)


@pytest.mark.parametrize(
    ("a", "b", "is_refused"),
    [(2**62, 2, True), (2**62 - 1, 2, False), (-(2**62), 2, True), (1 - 2**62, 2, False)],
)
def test_numbers_have_a_largest_size(a: int, b: int, is_refused: bool) -> None:
    product = operation("_operator.mul", "n", a=a, b=b)
    if is_refused:
        words = "m makes a tensor that no memory would hold (_operator.mul)."
        assert refused(product, relu("x", "end")) == words
    else:
        assert freed(product, relu("x", "end")).operations == (product, relu("x", "end"))


def test_python_counts_numbers_alone() -> None:
    product = operation("_operator.mul", "n", a="a", b=3)
    assert refused(product, relu("x", "end")) == (
        "m holds a program whose sizes do not fit (at n: _operator.mul is given what is no number)."
    )
    factor = operation("_operator.mul", "end", a=X, b=1.5)
    assert freed(factor).operations == (factor,)


# Each operation may take three steps, and the program ten thousand more. Of these 10,006 two lead
# through a ReLU, and sixteen items of a list take one, once for each of two batches.
MOST = 16 * 5002 - 1


@pytest.mark.parametrize("length", [MOST, MOST + 1])
def test_lists_of_a_program_have_a_length_in_all(length: int) -> None:
    given = operation("cat.default", "end", tensors=(X,) * length, dim=1)
    results = operation("unbind.int", *(f"p{i}" for i in range(length)), self=X, dim=3)
    for step, shape in ((given, (1, 1, 1, 1)), (results, (1, 1, 1, length))):
        if length > MOST:
            words = "m holds a program that takes too long to follow."
            assert refused(relu("x", "y"), step, shape=shape) == words
        else:
            assert freed(relu("x", "y"), step, shape=shape).operations == (relu("x", "y"), step)


@pytest.mark.parametrize("later", [63, 64])
def test_of_guesses_the_last_sixty_four_can_be_taken_back(later: int) -> None:
    """What `square` is shows at the end alone, what the others are in the step after them."""
    steps = [view("x", "square", 3, 3)]
    for i in range(later):
        weight = Weight("w")
        steps.append(view("x", f"s{i}", 3, 3))
        steps.append(operation("linear.default", f"l{i}", input=Name(f"s{i}"), weight=weight))
    steps.append(operation("t.default", "end", self=Name("square")))
    given: dict[str, Any] = {"shape": (3, 3, 1, 1), "weights": {"w": torch.rand(2, 3)}}
    if later == 63:
        assert freed(*steps, **given).operations[:2] == (FIRST, view("x", "square", 3, BATCH))
    else:
        assert refused(*steps, **given) == (
            "m was exported for batches of 3 and cannot be freed from that (at end: it gives "
            f"(3, 7) for 7 images); {EXPORT}"
        )


def test_what_does_not_fit_is_told_with_its_place() -> None:
    assert refused(relu("x", "y"), view("y", "end", 7, 7)) == (
        "m holds a program whose sizes do not fit (at end: shape '[7, 7]' is invalid for input of "
        "size 120)."
    )
    assert refused(view("x", "end", 1, 120)) == (
        "m was exported for batches of 3 and cannot be freed from that (at end: shape '[1, 120]' "
        f"is invalid for input of size 280); {EXPORT}"
    )
    count = operation("sym_size.int", "n", self=X, dim=0)
    assert refused(count, view("x", "end", 1, 120), is_fixed=False) == (
        "m holds a program whose sizes do not fit (at end: shape '[1, 120]' is invalid for input "
        "of size 280)."
    )
    long = "e" * 90
    assert refused(view("x", long, 7, 7)).startswith(
        f"m holds a program whose sizes do not fit (at {long[:80]}: shape"
    )


def test_a_tensor_without_numbers_is_none_of_images() -> None:
    assert refused(view("x", "end", 3, -1, 0)) == (
        "m holds a program whose sizes do not fit (at end: shape '[3, 0, 0]' is invalid for input "
        "of size 120)."
    )


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c")], ids=len)
def test_an_operation_gives_as_many_results_as_it_says(names: tuple[str, ...]) -> None:
    pieces = Operation("unbind.int", {"self": X, "dim": 1}, names, False, ())
    which = "longer" if len(names) == 1 else "shorter"
    assert refused(pieces, outputs=("a",), is_fixed=False) == (
        f"m holds a program whose sizes do not fit (at a: zip() argument 2 is {which} than "
        "argument 1)."
    )


def test_of_what_does_not_fit_the_furthest_is_told() -> None:
    """The first way leads to the last operation, the second not beyond the one before."""
    operations = (
        view("x", "square", 3, 3),
        operation("add.Tensor", "sum", self=Name("square"), other=Weight("w")),
        view("sum", "end", 7, 7),
    )
    message = refused(*operations, shape=(3, 3, 1, 1), weights={"w": torch.rand(1, 3)})
    assert message.startswith("m holds a program whose sizes do not fit (at end: ")
