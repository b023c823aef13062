"""A program as `torch.export` writes it, read in full; its limits to the number; its refusals."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from torch._export.serde.schema import ScalarType

from reportgen.errors import ModelError
from reportgen.load.program import Frame, Name, Operation, Program, Weight
from reportgen.load.program_file import DTYPES, read_program
from tests.load.test_program_file import argument, given, program, read, result, spec

Change = Callable[[dict[str, Any]], object]


def node(target: str, result: Any, *inputs: tuple[str, Any], stack: str = "") -> dict[str, Any]:
    return {
        "target": target,
        "inputs": [{"name": name, "arg": value, "kind": 1} for name, value in inputs],
        "outputs": result if isinstance(result, list) else [result],
        "metadata": {"nn_module_stack": stack} if stack else {},
    }


def tensor(name: str) -> dict[str, Any]:
    return {"as_tensor": {"name": name}}


ROOT = "L__self__,,net.Net"
CONV = f"{ROOT};L__self__body,body,net.Body;L__self__body.0@1,body.0,torch.nn.modules.conv.Conv2d"


def rich(module: dict[str, Any]) -> None:
    """A program with one of everything."""
    module["graph"]["nodes"] = [
        node(
            "torch.ops.aten.conv2d.default",
            tensor("conv"),
            *(("input", tensor("x")), ("weight", tensor("p_w")), ("bias", tensor("c_c"))),
            ("stride", {"as_ints": [2, 1]}),
            stack=CONV,
        ),
        node(
            "torch.ops.aten.max.dim",
            [tensor("values"), tensor("places")],
            *(("self", tensor("conv")), ("dim", {"as_int": 1})),
            stack="L__self__,,net.Other",
        ),
        node(
            "torch.ops.aten.unbind.int",
            {"as_tensors": [{"name": "row"}]},
            ("self", tensor("values")),
        ),
        node(
            "torch.ops.aten._assert_scalar.default",
            {"as_none": True},
            ("self", {"as_sym_int": {"as_name": "s0"}}),
        ),
        node(
            "torch.ops.aten._assert_scalar.default",
            {"as_none": True},
            ("self", {"as_sym_float": {"as_float": 0.5}}),
        ),
        node("_operator.mul", {"as_sym_int": {"as_name": "n"}}, ("a", {"as_int": 3, "hint": 9})),
        node("_operator.lt", {"as_sym_bool": {"as_name": "b"}}, ("a", {"as_name": "n"})),
        node("torch.ops.aten.sym.x", {"as_sym_float": {"as_name": "f"}}),
    ]
    module["signature"] = {
        "input_specs": [
            {"parameter": {"parameter_name": "body.0.weight", "arg": {"name": "p_w"}}},
            {"buffer": {"buffer_name": "b", "arg": {"name": "b_b"}}},
            {"buffer": {"buffer_name": "s", "arg": {"name": "b_s"}, "persistent": False}},
            {"tensor_constant": {"tensor_constant_name": "c", "arg": {"name": "c_c"}}},
            {"user_input": {"arg": {"as_none": True}}},
            {"user_input": {"arg": tensor("x")}},
        ],
        "output_specs": [
            {"buffer_mutation": {"arg": {"name": "b"}, "buffer_name": "b"}},
            {"user_output": {"arg": tensor("places")}},
            {"user_output": {"arg": {"as_int": 3}}},
            {"user_output": {"arg": tensor("row")}},
        ],
    }
    module["graph"]["tensor_values"]["x"]["sizes"] = [
        {"as_expr": {"expr_str": "s0", "hint": {"as_int": 5}}},
        {"as_int": 3},
        {"as_int": 8},
        {"as_expr": {"expr_str": "s1"}},
    ]
    module["module_call_graph"] = [
        *({"fqn": name} for name in ("", "body", "body.0", "a.__b", "body.nothing"))
    ]


def test_a_program_is_read_in_full() -> None:
    conv = Frame("body.0", "torch.nn.modules.conv.Conv2d", "L__self__body.0@1")
    frames = (Frame("body", "net.Body", "L__self__body"), conv)
    found = read(given(rich))
    assert {name: getattr(found, name) for name in Program.__dataclass_fields__} == {
        "operations": (
            Operation(
                "conv2d.default",
                {
                    "input": Name("x"),
                    "weight": Weight("body.0.weight"),
                    "bias": Weight("c"),
                    "stride": (2, 1),
                },
                ("conv",),
                True,
                frames,
            ),
            Operation("max.dim", {"self": Name("conv"), "dim": 1}, ("values", "places"), False, ()),
            Operation("unbind.int", {"self": Name("values")}, ("row",), False, ()),
            Operation("_assert_scalar.default", {"self": Name("s0")}, ("",), True, ()),
            Operation("_assert_scalar.default", {"self": 0.5}, ("",), True, ()),
            Operation("_operator.mul", {"a": 3}, ("n",), True, ()),
            Operation("_operator.lt", {"a": Name("n")}, ("b",), True, ()),
            Operation("sym.x", {}, ("f",), True, ()),
        ),
        "image": "x",
        "image_shape": (None, 3, 8, None),
        "example_shape": (5, 3, 8, 64),
        "outputs": ("places", "row"),
        "weights": {"body.0.weight": True, "b": False},
        "constants": ("s", "c"),
        "modules": ("body", "body.0", "body.nothing"),
        "type": "net.Net",
    }


def test_a_network_whose_class_is_nowhere_has_none() -> None:
    assert read(given(lambda m: m["graph"]["nodes"][0]["metadata"].clear())).type == ""

    def late(module: dict[str, Any]) -> None:
        rich(module)
        module["graph"]["nodes"][0]["metadata"]["nn_module_stack"] = "L__self__,,"

    assert read(given(late)).type == "net.Other"


def test_number_formats_are_those_of_torch() -> None:
    names = {kind.value: kind.name for kind in ScalarType}
    words = {"BYTE": "uint8", "CHAR": "int8", "SHORT": "int16", "INT": "int32", "LONG": "int64"}
    words |= {"HALF": "float16", "FLOAT": "float32", "DOUBLE": "float64", "BOOL": "bool"}
    words |= {"BFLOAT16": "bfloat16"}
    assert {names[code]: str(dtype) for code, dtype in DTYPES.items()} == {
        name: f"torch.{dtype}" for name, dtype in words.items()
    }
    for code, dtype in DTYPES.items():
        assert argument({"as_scalar_type": code}) is dtype


@pytest.mark.parametrize("kind", ["as_memory_format", "as_layout", "as_device"])
def test_where_numbers_lie_is_left_aside(kind: str) -> None:
    assert argument({kind: 2}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"as_name": "s0"}, Name("s0")),
        ({"as_sym_float": {"as_float": 0.5}}, 0.5),
        ({"as_optional_tensor": tensor("p_w")}, Weight("w")),
        ({"as_optional_tensors": [tensor("x"), {"as_none": True}]}, (Name("x"), None)),
        ({"as_float": "Infinity"}, float("inf")),
        ({"as_int": 2**63 - 1}, 2**63 - 1),
        ({"as_int": 1 - 2**63}, 1 - 2**63),
        ({"as_bool": True}, True),
    ],
    ids=str,
)
def test_more_kinds_of_arguments(value: Any, expected: Any) -> None:
    found = argument(value)
    assert found == expected and type(found) is type(expected)


def test_a_number_may_be_none() -> None:
    assert str(argument({"as_float": "NaN"})) == "nan"


def refusal(content: dict[str, Any]) -> str:
    with pytest.raises(ModelError) as caught:
        read(content)
    start, end = "m.pt2 holds a program that cannot be read: ", "."
    message = str(caught.value)
    assert message.startswith(start) and message.endswith(end)
    return message[len(start) : -len(end)]


def added(value: Any) -> dict[str, Any]:
    """The program with one argument more."""
    entry = {"name": "extra", "arg": value, "kind": 1}
    return given(lambda module: module["graph"]["nodes"][0]["inputs"].append(entry))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"as_complex": 1}, "an argument is a complex, which no image network needs"),
        ({"as_int": -(2**63)}, "a number is too large"),
        ({"as_int": 1.0}, "1.0 stands where a int is needed"),
        ({"as_string": ["a" * 60]}, f"['{'a' * 38} stands where a str is needed"),
        ({"as_bool": 1}, "1 stands where a bool is needed"),
        ({"as_bools": [True, 1]}, "1 stands where a bool is needed"),
        ({"as_float": True}, "True stands where a float is needed"),
        ({"as_float": 1e999}, "inf stands where a str is needed"),
        ({"as_scalar_type": 10}, "there is no 10"),
        ({"as_name": 4}, "4 stands where a str is needed"),
        ({"as_tensor": {}}, "there is no 'name'"),
        ({}, "not enough values to unpack (expected 1, got 0)"),
    ],
    ids=str,
)
def test_an_argument_that_is_none_is_told(value: Any, words: str) -> None:
    assert refusal(added(value)) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spec({"token": {}}), "it takes a token, which is no image"),
        (
            spec({"user_input": {"arg": {"as_int": 3}}}),
            "it takes a user_input, which is no image",
        ),
        (
            spec({"user_input": {"arg": tensor("y")}}),
            "it takes 2 tensors where one batch of images is needed",
        ),
        (
            lambda module: module["signature"]["input_specs"].pop(),
            "it takes 0 tensors where one batch of images is needed",
        ),
        (
            spec({"buffer": {"buffer_name": "w", "arg": {"name": "q"}}}),
            "two tensors have one name",
        ),
        (
            spec({"parameter": {"parameter_name": "a." * 90, "arg": {"name": "q"}}}),
            f"a tensor is named '{'a.' * 40}'",
        ),
        (result({"as_complex": 1}), "an operation gives a complex"),
        (result({"as_tensor": {"name": "x"}}), "two results have one name"),
        (
            lambda module: module["graph"]["nodes"].extend(module["graph"]["nodes"]),
            "two results have one name",
        ),
        (lambda module: module["graph"].update(nodes=[{}] * 10_001), "it has 10,001 operations"),
        (lambda module: module["graph"].pop("tensor_values"), "there is no 'tensor_values'"),
        (lambda module: module["graph"].update(nodes=["a" * 300]), "string indices must be in"),
    ],
)
def test_what_a_program_may_not_be_is_told(change: Change, words: str) -> None:
    found = refusal(given(change))
    assert found == words or (words.endswith(" in") and found.startswith(words))


def test_words_about_what_is_wrong_have_an_end() -> None:
    long = f"a{'b' * 400}"
    assert len(refusal(added({f"as_{long}": 1}))) == 200


def test_an_operation_that_gives_nothing_may_come_twice() -> None:
    assert len(read(given(rich)).operations) == 8


def test_a_program_has_a_largest_length() -> None:
    text = json.dumps(program()).encode()
    most = 64 * 2**20
    padded = text + b" " * (most - len(text))
    assert read_program(padded, "m.pt2").image == "x"
    with pytest.raises(ModelError) as caught:
        read_program(padded + b" ", "m.pt2")
    assert str(caught.value) == ("m.pt2 holds a program of 67,108,865 bytes, which is too long.")


def test_a_program_has_a_largest_count_of_operations() -> None:
    def many(module: dict[str, Any]) -> None:
        module["graph"]["nodes"] = [
            node("torch.ops.aten.relu.default", tensor(f"r{i}")) for i in range(10_000)
        ]

    assert len(read(given(many)).operations) == 10_000


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        (".".join("a" * 50), True),
        (".".join("a" * 51), False),
        ("a" * 200, True),
        ("a" * 201, False),
        ("a b+c:@=-d.0", True),
        ("a__b", False),
        ("a.", False),
        ("a/b", False),
        ("", False),
    ],
)
def test_a_path_is_made_of_plain_names(path: str, is_one: bool) -> None:
    change = spec({"parameter": {"parameter_name": path, "arg": {"name": "q"}}})
    if is_one:
        assert read(given(change)).weights == {"w": True, path: True}
    else:
        assert refusal(given(change)) == f"a tensor is named {path[:80]!r}"


def test_modules_in_modules_have_a_largest_depth() -> None:
    def stacked(module: dict[str, Any]) -> None:
        stack = ";".join(f"k{n},a{n},x.Y" for n in range(99))
        module["graph"]["nodes"][0]["metadata"]["nn_module_stack"] = stack

    (operation,) = read(given(stacked)).operations
    assert operation.frames == tuple(Frame(f"a{n}", "x.Y", f"k{n}") for n in range(51))


def test_a_file_that_holds_a_key_twice_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        read_program(b'{"graph_module": {}, "graph_module": {}}', "m.pt2")
    assert str(caught.value) == "m.pt2 holds a program that cannot be read: a key appears twice."
