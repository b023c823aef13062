"""Each function of a program is PyTorch's operation of that name."""

from typing import Any

import pytest
import torch

from reportgen.load.aten import CHECKS, FUNCTIONS, filled, overwrites, placed

X = torch.arange(-40.0, 80.0).reshape(2, 3, 4, 5) / 30
ONE = torch.tensor([0.5, 1.0, 2.0])
CALLS: dict[str, tuple[Any, ...]] = {
    "_softmax.default": (X, 1, False),
    "_log_softmax.default": (X, 2, False),
    "_unsafe_view.default": (X, [6, 20]),
    "adaptive_max_pool2d.default": (X, [2, 3]),
    "alias.default": (X,),
    "constant_pad_nd.default": (X, [1, 2], 3.0),
    "_native_batch_norm_legit_no_training.default": (X, ONE, ONE + 1, ONE, ONE, 0.1, 1e-3),
    "batch_norm.default": (X, ONE, ONE + 1, ONE, ONE, False, 0.1, 1e-3, False),
    "elu.default": (X, 0.5),
    "hardtanh.default": (X, -0.5, 0.25),
    "index.Tensor": (X, [None, torch.tensor([2, 0])]),
    "instance_norm.default": (X, ONE, ONE + 1, None, None, True, 0.1, 1e-3, False),
    "lift_fresh_copy.default": (X,),
    "linalg_vector_norm.default": (X, 2, [1], True),
    "max_pool2d_with_indices.default": (X, [2, 2], [1, 2]),
    "native_layer_norm.default": (X, [5], ONE.sum() * torch.ones(5), torch.ones(5), 1e-3),
    "sym_size.int": (X, 2),
}
IN_PLACE = {
    "elu_.default": (0.5,),
    "hardtanh_.default": (-0.5, 0.25),
    "leaky_relu_.default": (0.2,),
    "hardsigmoid_.default": (),
    "hardswish_.default": (),
    "mish_.default": (),
    "relu6_.default": (),
    "silu_.default": (),
}


# As many arguments as there must be, and as many as may be; all numbers are different.
FEWER: list[tuple[str, tuple[Any, ...]]] = [
    ("constant_pad_nd.default", (X, [1, 2])),
    ("contiguous.default", (X.transpose(1, 3),)),
    ("elu.default", (X,)),
    ("elu.default", (X, 0.5, 1.5, 2.5)),
    ("linalg_vector_norm.default", (X,)),
    ("max_pool2d_with_indices.default", (X, [2, 2])),
    ("max_pool2d_with_indices.default", (X, [2, 3], [1, 2], [1, 0], [1, 2], True)),
    ("native_layer_norm.default", (X, [5], None, None, 1e-3)),
    ("slice.Tensor", (X, 3, 1, 4, 2)),
    ("batch_norm.default", (X, None, None, ONE, ONE + 1, True, 0.1, 1e-3, False)),
    ("batch_norm.default", (X, None, ONE, ONE, ONE + 1, False, 0.1, 1e-3, False)),
    ("instance_norm.default", (X, ONE, ONE + 1, ONE, ONE + 2, False, 0.1, 1e-3, False)),
    ("_native_batch_norm_legit_no_training.default", (X, None, None, ONE, ONE + 1, 0.1, 1e-3)),
    ("index.Tensor", (X, [torch.tensor([1]), None, torch.tensor([2, 0])])),
]
W = torch.arange(48.0).reshape(4, 2, 2, 3) / 20
CONVOLUTIONS = {
    "plain": (X[:, :2], W, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    "every setting": (
        *(torch.cat([X, X], 1)[:, :4], W, ONE.repeat(2)[:4]),
        *([2, 1], [1, 2], [1, 2], False, [0, 0], 2),
    ),
    "turned round": (
        *(torch.cat([X, X], 1)[:, :4], W, ONE.repeat(2)[:4]),
        *([3, 2], [1, 0], [1, 2], True, [2, 1], 2),
    ),
    "of rows": (X[:, :2, 0], W[:, :, 0], None, [2], [1], [1], False, [0], 1),
    "of cubes": (
        *(X[:, :2, :, None], W[:, :, None], None, [1, 2, 1], [0, 1, 2], [1, 1, 1]),
        *(False, [0, 0, 0], 1),
    ),
}


def operation(target: str) -> Any:
    name, overload = target.split(".")
    return getattr(getattr(torch.ops.aten, name), overload)


@pytest.mark.parametrize("target", CALLS)
def test_a_function_gives_what_the_operation_gives(target: str) -> None:
    found, expected = FUNCTIONS[target](*CALLS[target]), operation(target)(*CALLS[target])
    if isinstance(expected, tuple):  # the rest is for a backward pass
        found, expected = found[0], expected[0]
    assert torch.equal(torch.as_tensor(found), torch.as_tensor(expected))


@pytest.mark.parametrize(
    ("target", "given"), FEWER, ids=lambda item: item if isinstance(item, str) else ""
)
def test_a_function_takes_what_the_operation_takes(target: str, given: tuple[Any, ...]) -> None:
    mine = [item.clone() if isinstance(item, torch.Tensor) else item for item in given]
    found, expected = FUNCTIONS[target](*mine), operation(target)(*given)
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        found, expected = found[0], expected[0]
    assert torch.equal(found, expected)
    assert found.is_contiguous() == expected.is_contiguous()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_gives_what_the_operation_gives(name: str) -> None:
    given = CONVOLUTIONS[name]
    found = FUNCTIONS["convolution.default"](*given)
    assert torch.allclose(found, torch.ops.aten.convolution.default(*given), atol=1e-5)


@pytest.mark.parametrize("dim", [65, -65, 2**40])
def test_a_slice_of_an_axis_that_no_tensor_has_is_refused(dim: int) -> None:
    with pytest.raises(IndexError, match=rf"^there is no axis {dim}$"):
        FUNCTIONS["slice.Tensor"](X, dim)


@pytest.mark.parametrize("dim", [64, -64])
def test_a_slice_of_an_axis_that_this_tensor_lacks_is_refused_by_torch(dim: int) -> None:
    with pytest.raises(IndexError, match="too many indices"):
        FUNCTIONS["slice.Tensor"](X, dim)


@pytest.mark.parametrize("target", IN_PLACE)
def test_a_function_in_place_writes_what_the_operation_writes(target: str) -> None:
    mine, theirs = X.clone(), X.clone()
    assert FUNCTIONS[target](mine, *IN_PLACE[target]) is mine
    assert torch.equal(mine, operation(target)(theirs, *IN_PLACE[target]))
    assert not torch.equal(mine, X)


@pytest.mark.parametrize("target", ["to.dtype", "to.dtype_layout", "_to_copy.default"])
def test_a_cast_is_to_the_format_and_nothing_else(target: str) -> None:
    assert FUNCTIONS[target](X, dtype=torch.float64, pin_memory=True).dtype == torch.float64
    assert FUNCTIONS[target](X, torch.int64, True).equal(X.long())
    assert FUNCTIONS[target](X) is X


def test_where_tensors_lie_is_not_passed_on() -> None:
    strange = {"device": "cuda", "layout": 1, "pin_memory": True, "memory_format": 2}
    given = {"self": X, **strange, "non_blocking": True, "dtype": torch.float64}
    assert placed("_to_copy.default", given) == ((X,), {"dtype": torch.float64})
    assert placed("relu.default", {"self": X}) == ((X,), {})
    assert placed("_softmax.default", {"self": X, "dim": 1, "half_to_float": False})[0] == (
        X,
        1,
        False,
    )


def test_arguments_lie_in_the_order_of_the_function_as_far_as_they_are_given() -> None:
    given = {"padding": 1, "kernel_size": 3, "self": X}
    assert placed("max_pool2d.default", given) == ((X, 3, [], 1), {})
    assert placed("max_pool2d.default", {"self": X, "kernel_size": 3}) == ((X, 3), {})
    named = {"self": X, "dim": (1,), "keepdim": True, "dtype": torch.float64}
    assert placed("mean.dim", named) == ((X, (1,), True), {"dtype": torch.float64})
    assert placed("mean.dim", {**named, "dtype": None}) == ((X, (1,), True), {})
    assert placed("_operator.sub", {"a": 5, "b": 3}) == ((5, 3), {})


def test_what_is_not_given_is_filled_with_its_default() -> None:
    assert filled("leaky_relu.default", {"self": X}) == {"self": X, "negative_slope": 0.01}
    assert list(filled("max_pool2d.default", {"kernel_size": 3, "self": X}).items()) == [
        *(("self", X), ("kernel_size", 3), ("stride", []), ("padding", [0, 0])),
        *(("dilation", [1, 1]), ("ceil_mode", False)),
    ]
    assert filled("_operator.mul", {"b": 1, "a": 2}) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("target", "given", "words"),
    [
        ("relu.default", {}, "relu.default lacks its argument 'self'"),
        ("relu.default", {"self": X, "a" * 50: 1}, f"relu.default has no argument '{'a' * 40}'"),
        ("max_pool2d.default", {"self": X}, "max_pool2d.default lacks its argument 'kernel_size'"),
    ],
)
def test_arguments_that_do_not_suit_are_named(
    target: str, given: dict[str, Any], words: str
) -> None:
    for read in (filled, placed):
        with pytest.raises(ValueError) as caught:
            read(target, given)
        assert str(caught.value) == words


def test_a_function_that_overwrites_ends_in_a_line() -> None:
    assert overwrites("relu_.default") and overwrites("add_.Tensor")
    others = ("relu.default", "_softmax.default", "conv2d.padding", "_operator.add", "x.y_")
    assert not any(map(overwrites, others))


def test_promises_are_no_functions() -> None:
    assert {name.partition(".")[0] for name in CHECKS} == {
        *("_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range"),
        "sym_constrain_range_for_size",
    }
    assert not CHECKS & FUNCTIONS.keys()
    for name in CHECKS:  # each is an operation of PyTorch
        assert operation(name)._schema.returns == []


def test_what_only_passes_on_passes_on() -> None:
    values = torch.rand(2, 3)
    assert FUNCTIONS["alias.default"](values) is values
    assert FUNCTIONS["to.dtype"](values) is values
    assert FUNCTIONS["to.dtype"](values, torch.float64).dtype == torch.float64


@pytest.mark.parametrize(("is_transposed", "shape"), [(False, (1, 4, 5, 7)), (True, (1, 2, 7, 9))])
def test_a_convolution_is_either_way_round(is_transposed: bool, shape: tuple[int, ...]) -> None:
    weight = torch.rand(4, 2, 3, 3) if is_transposed else torch.rand(4, 3, 1, 1)
    image = torch.rand(1, 4 if is_transposed else 3, 5, 7)
    settings = ([1, 1], [0, 0], [1, 1], is_transposed, [0, 0], 1)
    found = FUNCTIONS["convolution.default"](image, weight, None, *settings)
    assert found.shape == shape


SLICES = [(), (1,), (2, 1), (-1, 1, 4), (1, None, -1), (-2, 0, 5, 2), (0, -1), (-3, 1)]


@pytest.mark.parametrize("places", SLICES, ids=str)
def test_a_slice_is_that_of_the_operation(places: tuple[int | None, ...]) -> None:
    values = torch.rand(2, 5, 6)
    assert torch.equal(
        FUNCTIONS["slice.Tensor"](values, *places), torch.ops.aten.slice(values, *places)
    )


@pytest.mark.parametrize("size", [(7, 3), None], ids=str)
def test_resampling_is_that_of_the_operation(size: tuple[int, int] | None) -> None:
    values, factors = torch.rand(1, 2, 4, 5), None if size else [2.0, 0.5]
    operations = torch.ops.aten
    for name, rest in (
        ("upsample_nearest2d.vec", ()),
        ("upsample_bilinear2d.vec", (True,)),
        ("upsample_bilinear2d.vec", (False,)),
        ("upsample_bicubic2d.vec", (True,)),
    ):
        function = getattr(operations, name.partition(".")[0]).vec
        expected = function(values, size, *rest, factors)
        assert torch.equal(FUNCTIONS[name](values, size, *rest, factors), expected), name
