"""Reads the program that `torch.export` writes: what is computed, as plain data and never as code.

A `.pt2` file holds it as JSON: operations in order, each with the name of a function of PyTorch,
its arguments, the names of its results and the module that it happened in.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from reportgen.errors import ModelError
from reportgen.load.program import Argument, Frame, Name, Operation, Program, Weight

_MAX_BYTES = 64 * 2**20
_MAX_OPERATIONS = 10_000
_MAX_DEPTH = 50
"Of modules in modules."
_PATH = re.compile(r"[\w +:@=-]{1,200}(\.[\w +:@=-]{1,200})*")

DTYPES: Mapping[int, torch.dtype] = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
"The numbers that torch.export writes for number formats (its schema's ScalarType)."


def read_program(text: bytes, file: str) -> Program:
    """The program in the JSON of a `.pt2` file.

    Raises:
        ModelError: if it is none, takes more than one image, or holds what no network needs.
    """
    if len(text) > _MAX_BYTES:
        raise ModelError(f"{file} holds a program of {len(text):,} bytes, which is too long.")
    try:
        graph_module = json.loads(text, object_pairs_hook=_without_duplicates)["graph_module"]
        calls = graph_module.get("module_call_graph", [])
        return _program(graph_module["graph"], graph_module["signature"], calls)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RecursionError) as error:
        words = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{file} holds a program that cannot be read: {words[:200]}.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _program(
    graph: Mapping[str, Any], signature: Mapping[str, Any], calls: list[Mapping[str, Any]]
) -> Program:
    if len(graph["nodes"]) > _MAX_OPERATIONS:
        raise ValueError(f"it has {len(graph['nodes']):,} operations")
    weights: dict[str, bool] = {}
    constants: list[str] = []
    named: dict[str, Argument] = {}
    images: list[str] = []
    for spec in signature["input_specs"]:
        ((kind, content),) = spec.items()
        match kind:
            case "parameter" | "buffer":
                path = _path(content[f"{kind}_name"])
                named[_text(content["arg"]["name"])] = Weight(path)
                if content.get("persistent", True):
                    weights[path] = kind == "parameter"
                else:
                    constants.append(path)
            case "tensor_constant":
                path = _path(content["tensor_constant_name"])
                named[_text(content["arg"]["name"])] = Weight(path)
                constants.append(path)
            case "user_input" if "as_tensor" in content["arg"]:
                images.append(_text(content["arg"]["as_tensor"]["name"]))
            case "user_input" if "as_none" in content["arg"]:
                pass
            case _:
                raise ValueError(f"it takes a {kind}, which is no image")
    if len(images) != 1:
        raise ValueError(f"it takes {len(images)} tensors where one batch of images is needed")
    paths = list(named.values())
    if len(set(paths)) < len(paths):
        raise ValueError("two tensors have one name")
    roots: list[str] = []
    operations = tuple(_operations(graph["nodes"], named, roots))
    results = [images[0], *(name for o in operations for name in o.results if name)]
    if len(set(results)) < len(results):
        raise ValueError("two results have one name")
    outputs = [s["user_output"]["arg"] for s in signature["output_specs"] if "user_output" in s]
    sizes = graph["tensor_values"][images[0]]["sizes"]
    return Program(
        operations=operations,
        image=images[0],
        image_shape=tuple(_whole(size["as_int"]) if "as_int" in size else None for size in sizes),
        example_shape=tuple(_example(size) for size in sizes),
        outputs=tuple(_text(o["as_tensor"]["name"]) for o in outputs if "as_tensor" in o),
        weights=weights,
        constants=tuple(constants),
        modules=tuple(path for call in calls if _is_path(path := _text(call["fqn"]))),
        type=roots[0] if roots else "",
    )


def _operations(
    nodes: list[Mapping[str, Any]], named: Mapping[str, Argument], roots: list[str]
) -> Iterator[Operation]:
    """The operations; the class of the network itself goes into `roots`."""
    for node in nodes:
        arguments = {
            _text(given["name"]): _argument(given["arg"], named) for given in node["inputs"]
        }
        results = tuple(name for output in node["outputs"] for name in _results(output))
        target = _text(node["target"]).removeprefix("torch.ops.aten.")
        is_single = len(node["outputs"]) == 1 and not {"as_tensors"} & node["outputs"][0].keys()
        frames = _frames(_text(node["metadata"].get("nn_module_stack", "")), roots)
        yield Operation(target, arguments, results, is_single, frames)


def _argument(given: Mapping[str, Any], named: Mapping[str, Argument]) -> Argument:
    """One argument, tagged with its kind as in `{"as_int": 3}`."""
    ((kind, value),) = ((k, v) for k, v in given.items() if k != "hint")
    match kind:
        case "as_none":
            return None
        case "as_bool":
            truth: bool = _of(bool, value)
            return truth
        case "as_int":
            return _whole(value)
        case "as_float":
            return _real(value)
        case "as_string":
            return _text(value)
        case "as_scalar_type":
            return DTYPES[_whole(value)]
        case "as_memory_format" | "as_layout" | "as_device":
            # Where and in what order numbers lie in memory changes nothing in what they are.
            return None
        case "as_tensor":
            name = _text(value["name"])
            return named.get(name, Name(name))
        case "as_name":
            return Name(_text(value))
        case "as_sym_int" | "as_sym_float" | "as_optional_tensor":
            return _argument(value, named)
        case "as_tensors":
            return tuple(_argument({"as_tensor": item}, named) for item in value)
        case "as_sym_ints" | "as_optional_tensors":
            return tuple(_argument(item, named) for item in value)
        case "as_ints":
            return tuple(_whole(item) for item in value)
        case "as_floats":
            return tuple(_real(item) for item in value)
        case "as_bools":
            return tuple(_of(bool, item) for item in value)
    raise ValueError(f"an argument is a {kind.removeprefix('as_')}, which no image network needs")


def _results(output: Mapping[str, Any]) -> Iterator[str]:
    ((kind, value),) = output.items()
    match kind:
        case "as_tensor":
            yield _text(value["name"])
        case "as_sym_int" | "as_sym_bool" | "as_sym_float":
            yield _text(value["as_name"])
        case "as_tensors":
            yield from (_text(item["name"]) for item in value)
        case "as_none":
            yield ""
        case _:
            raise ValueError(f"an operation gives a {kind.removeprefix('as_')}")


def _frames(stack: str, roots: list[str]) -> tuple[Frame, ...]:
    """The modules in `L__self__,,net.Net;L__self__conv@1,conv,torch.nn.modules.conv.Conv2d`.

    They only give names to what is computed. So a stack that cannot be read is an empty one.
    """
    frames: list[Frame] = []
    for entry in stack.split(";")[: _MAX_DEPTH + 1]:
        call, _, rest = entry.partition(",")
        path, _, kind = rest.partition(",")
        if not path:
            if kind and not roots:
                roots.append(kind)
        elif _is_path(path) and kind != path:
            frames.append(Frame(path, kind, call))
    return tuple(frames)


def _is_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text)) and text.count(".") < _MAX_DEPTH and "__" not in text


def _path(name: object) -> str:
    """The path of a tensor, whose parts become names of attributes."""
    text = _text(name)
    if not _is_path(text):
        raise ValueError(f"a tensor is named {text[:80]!r}")
    return text


def _example(size: Mapping[str, Any]) -> int:
    """The size that an axis had when the program was exported."""
    if "as_int" in size:
        return _whole(size["as_int"])
    hint = size["as_expr"].get("hint") or {}
    return _whole(hint.get("as_int", 64))


def _of(kind: type, value: object) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{str(value)[:40]} stands where a {kind.__name__} is needed")
    return value


def _whole(value: object) -> int:
    number: int = _of(int, value)
    if abs(number) >= 2**63:
        raise ValueError("a number is too large")
    return number


def _real(value: object) -> float:
    if value in ("Infinity", "-Infinity", "NaN"):
        return float(str(value))
    number: float = float(value) if type(value) is int else _of(float, value)
    return number if math.isfinite(number) else _of(str, number)


def _text(value: object) -> str:
    text: str = _of(str, value)
    return text
