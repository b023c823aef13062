"""What is refused of a program before it runs, whole sentences, and how large it may be."""

from typing import Any

import pytest
import torch

from reportgen.load.program import Name, Operation, Weight
from reportgen.load.program_batch import Sized
from tests.load.test_program_batch_in_full import (
    BATCH,
    EXPORT,
    FIRST,
    X,
    freed,
    operation,
    refused,
    relu,
    view,
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
