"""Each function of a program is PyTorch's operation of that name."""

from typing import Any

import pytest
import torch

from reportgen.load.aten import FUNCTIONS, placed

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


def operation(target: str) -> Any:
    name, overload = target.split(".")
    return getattr(getattr(torch.ops.aten, name), overload)


@pytest.mark.parametrize("target", CALLS)
def test_a_function_gives_what_the_operation_gives(target: str) -> None:
    found, expected = FUNCTIONS[target](*CALLS[target]), operation(target)(*CALLS[target])
    if isinstance(expected, tuple):  # the rest is for a backward pass
        found, expected = found[0], expected[0]
    assert torch.equal(torch.as_tensor(found), torch.as_tensor(expected))


@pytest.mark.parametrize("target", IN_PLACE)
def test_a_function_in_place_writes_what_the_operation_writes(target: str) -> None:
    mine, theirs = X.clone(), X.clone()
    assert FUNCTIONS[target](mine, *IN_PLACE[target]) is mine
    assert torch.equal(mine, operation(target)(theirs, *IN_PLACE[target]))
    assert not torch.equal(mine, X)


@pytest.mark.parametrize("target", ["to.dtype", "to.dtype_layout", "_to_copy.default"])
def test_a_cast_is_to_the_format_and_nothing_else(target: str) -> None:
    assert FUNCTIONS[target](X, dtype=torch.float64, pin_memory=True).dtype == torch.float64


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
