"""The JSON of a program, one thing wrong at a time: refused in words, or read as it is meant."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from reportgen.errors import ModelError
from reportgen.load import program_file
from reportgen.load.program import Name, Weight
from reportgen.load.program_file import read_program


def program() -> dict[str, Any]:
    """A ReLU over an image, with one parameter that nothing uses."""
    tensor = {"sizes": [{"as_int": 2}, {"as_int": 3}, {"as_int": 8}, {"as_int": 9}]}
    relu = {
        "target": "torch.ops.aten.relu.default",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": "relu"}}],
        "metadata": {"nn_module_stack": "L__self__,,net.Net;L__self__act,act,torch.nn.ReLU"},
    }
    inputs = [
        {"parameter": {"parameter_name": "w", "arg": {"name": "p_w"}}},
        {"user_input": {"arg": {"as_tensor": {"name": "x"}}}},
    ]
    outputs = [{"user_output": {"arg": {"as_tensor": {"name": "relu"}}}}]
    graph = {"nodes": [relu], "tensor_values": {"x": tensor}}
    signature = {"input_specs": inputs, "output_specs": outputs}
    return {"graph_module": {"graph": graph, "signature": signature}}


def given(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What a change makes of the program."""
    changed = program()
    change(changed["graph_module"])
    return changed


def read(content: dict[str, Any]) -> Any:
    return read_program(json.dumps(content).encode(), "m.pt2")


def argument(value: Any) -> Any:
    """How an argument of the ReLU is read."""
    content = given(
        lambda module: module["graph"]["nodes"][0]["inputs"].append(
            {"name": "extra", "arg": value, "kind": 1}
        )
    )
    return read(content).operations[0].arguments["extra"]


def spec(entry: Any) -> Callable[[dict[str, Any]], object]:
    return lambda module: module["signature"]["input_specs"].append(entry)


def result(entry: Any) -> Callable[[dict[str, Any]], object]:
    return lambda module: module["graph"]["nodes"][0].update(outputs=[entry])


def test_the_program_is_read_as_it_is_meant() -> None:
    found = read(program())
    assert (found.image, found.example_shape, found.outputs) == ("x", (2, 3, 8, 9), ("relu",))
    assert (found.weights, found.constants, found.type) == ({"w": True}, (), "net.Net")
    (operation,) = found.operations
    assert (operation.target, operation.results, operation.is_single) == (
        "relu.default",
        ("relu",),
        True,
    )
    assert [frame.path for frame in operation.frames] == ["act"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"as_none": True}, None),
        ({"as_bool": False}, False),
        ({"as_int": -3, "hint": 4}, -3),
        ({"as_float": 2}, 2.0),
        ({"as_float": "-Infinity"}, float("-inf")),
        ({"as_string": "mean"}, "mean"),
        ({"as_scalar_type": 6}, torch.float16),
        ({"as_device": {"type": "cuda"}}, None),
        ({"as_tensor": {"name": "p_w"}}, Weight("w")),
        ({"as_tensor": {"name": "x"}}, Name("x")),
        ({"as_sym_int": {"as_name": "s0"}}, Name("s0")),
        ({"as_tensors": [{"name": "x"}, {"name": "p_w"}]}, (Name("x"), Weight("w"))),
        ({"as_optional_tensors": [{"as_none": True}]}, (None,)),
        ({"as_sym_ints": [{"as_int": 1}, {"as_name": "s0"}]}, (1, Name("s0"))),
        ({"as_ints": [1, 2]}, (1, 2)),
        ({"as_floats": [0.5, 1]}, (0.5, 1.0)),
        ({"as_bools": [True]}, (True,)),
    ],
)
def test_each_kind_of_argument(value: Any, expected: Any) -> None:
    found = argument(value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"as_complex": 1}, "an argument is a complex"),
        ({"as_int": 2**63}, "a number is too large"),
        ({"as_int": True}, "True stands where a int is needed"),
        ({"as_string": 3}, "3 stands where a str is needed"),
        ({"as_scalar_type": 99}, "there is no 99"),
        ({"as_float": "much"}, "much stands where a float is needed"),
    ],
)
def test_arguments_that_no_network_needs_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ModelError, match=f"holds a program that cannot be read: {words}"):
        argument(value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spec({"token": {}}), "it takes a token, which is no image"),
        (spec({"user_input": {"arg": {"as_int": 3}}}), "it takes a user_input, which is no image"),
        (spec({"user_input": {"arg": {"as_tensor": {"name": "y"}}}}), "it takes 2 tensors"),
        (spec({"parameter": {"parameter_name": "w", "arg": {"name": "q"}}}), "two tensors have"),
        (
            spec({"parameter": {"parameter_name": "a..b", "arg": {"name": "q"}}}),
            "a tensor is named",
        ),
        (result({"as_complex": 1}), "an operation gives a complex"),
        (result({"as_tensor": {"name": "x"}}), "two results have one name"),
        (lambda module: module["graph"].update(nodes=[{}] * 20_001), "it has 20,001 operations"),
    ],
)
def test_what_a_program_may_not_be_is_named(
    change: Callable[[dict[str, Any]], object], words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        read(given(change))


def test_a_program_of_endless_text_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_file, "_MAX_BYTES", 100)
    with pytest.raises(ModelError, match="which is too long"):
        read(program())


def test_buffers_constants_and_inputs_that_are_nothing() -> None:
    def more(module: dict[str, Any]) -> None:
        for entry in (
            {"buffer": {"buffer_name": "b", "arg": {"name": "b_b"}, "persistent": True}},
            {"buffer": {"buffer_name": "s", "arg": {"name": "b_s"}, "persistent": False}},
            {"tensor_constant": {"tensor_constant_name": "c", "arg": {"name": "c_c"}}},
            {"user_input": {"arg": {"as_none": True}}},
        ):
            module["signature"]["input_specs"].append(entry)

    found = read(given(more))
    assert (found.weights, found.constants) == ({"w": True, "b": False}, ("s", "c"))


@pytest.mark.parametrize(
    ("entry", "names", "is_single"),
    [
        ({"as_tensors": [{"name": "a"}, {"name": "b"}]}, ("a", "b"), False),
        ({"as_none": True}, ("",), True),
        ({"as_sym_int": {"as_name": "n"}}, ("n",), True),
    ],
)
def test_each_kind_of_result(entry: Any, names: tuple[str, ...], is_single: bool) -> None:
    (operation,) = read(given(result(entry))).operations
    assert (operation.results, operation.is_single) == (names, is_single)


def test_sizes_that_are_not_fixed_have_an_example() -> None:
    sizes = [{"as_expr": {"hint": {"as_int": 5}}}, {"as_int": 3}, {"as_expr": {}}]

    def free(module: dict[str, Any]) -> None:
        module["graph"]["tensor_values"]["x"]["sizes"] = sizes

    found = read(given(free))
    assert (found.image_shape, found.example_shape) == ((None, 3, None), (5, 3, 64))


@pytest.mark.parametrize(
    ("stack", "paths"),
    [
        ("", []),
        ("no commas at all", []),
        ("k,,net.Net", []),
        ("k,a.__b,x.Y;k,a b,x.Y", ["a b"]),
        ("k,a,a", []),
        (";".join(f"k{n},a{n},x.Y" for n in range(99)), [f"a{n}" for n in range(51)]),
    ],
)
def test_a_stack_of_modules_gives_names_and_never_an_error(stack: str, paths: list[str]) -> None:
    def stacked(module: dict[str, Any]) -> None:
        module["graph"]["nodes"][0]["metadata"]["nn_module_stack"] = stack

    (operation,) = read(given(stacked)).operations
    assert [frame.path for frame in operation.frames] == paths
