"""Programs that are damaged or mean harm: one sentence, and nothing of theirs is run."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.aten import FUNCTIONS, parameters_of
from reportgen.load.model import load_model
from tests.load.model_files import with_records
from tests.load.programs import edited, export

Edit = Callable[[dict[str, Any]], object]


class Small(nn.Module):
    """Three functions of its own, so that nothing is recognised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x).relu()
        return self.head(maps.mean((2, 3)).view(x.shape[0], 4))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pt2") / "small.pt2"
    export(Small().eval(), torch.rand(2, 3, 8, 9), file)
    assert load_model(file).architecture == "Small"
    return file


def nodes(program: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program["graph_module"]["graph"]["nodes"]
    return found


def node(program: dict[str, Any], target: str) -> dict[str, Any]:
    return next(n for n in nodes(program) if n["target"] == f"torch.ops.aten.{target}")


def calling(target: str, **arguments: Any) -> Edit:
    """Puts another function in the place of the ReLU."""

    def edit(program: dict[str, Any]) -> None:
        relu = node(program, "relu.default")
        relu["target"] = target
        for name, value in arguments.items():
            relu["inputs"].append({"name": name, "arg": value, "kind": 1})

    return edit


def setting(target: str, name: str, value: Any) -> Edit:
    """Gives an argument of a function another value."""

    def edit(program: dict[str, Any]) -> None:
        inputs = node(program, target)["inputs"]
        (given,) = (i for i in inputs if i["name"] == name)
        given["arg"] = value

    return edit


def parameter(program: dict[str, Any], name: str) -> None:
    """Renames the first parameter."""
    spec = program["graph_module"]["signature"]["input_specs"][0]["parameter"]
    spec["parameter_name"] = name


def nested(program: dict[str, Any]) -> None:
    stack = ";".join(f"k{i},{'.'.join('a' * i)},x.Y" for i in range(1, 3000))
    for n in nodes(program):
        n["metadata"]["nn_module_stack"] = stack


def endless_pieces(program: dict[str, Any]) -> None:
    """Cuts a map of 200,000 columns into its columns."""
    program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][3] = {"as_int": 200_000}
    calling("torch.ops.aten.unbind.int", dim={"as_int": 3})(program)


def squares(program: dict[str, Any]) -> None:
    """Numbers that double their digits sixty times."""
    last = {"as_int": 10**9}
    for i in range(60):
        factors = [{"name": n, "arg": last, "kind": 1} for n in "ab"]
        result = {"as_sym_int": {"as_name": f"n{i}"}}
        nodes(program).insert(
            i,
            {"target": "_operator.mul", "inputs": factors, "outputs": [result], "metadata": {}},
        )
        last = {"as_sym_int": {"as_name": f"n{i}"}}


def counting(target: str, a: dict[str, Any], b: dict[str, Any]) -> Edit:
    """Puts a function of Python in front of everything."""

    def edit(program: dict[str, Any]) -> None:
        inputs = [{"name": name, "arg": value, "kind": 1} for name, value in (("a", a), ("b", b))]
        result = {"as_sym_int": {"as_name": "n"}}
        nodes(program).insert(
            0, {"target": target, "inputs": inputs, "outputs": [result], "metadata": {}}
        )

    return edit


MANY = {"as_int": 2**40}
SLICE = "torch.ops.aten.slice.Tensor"
HUGE = {"as_ints": [1, 10**3, 10**3, 10**3]}
RELU = "torch.ops.aten.relu.default"
HOSTILE: dict[str, tuple[Edit, str]] = {
    "system": (calling("os.system"), r"calls os\.system, which reportgen does not take"),
    "python": (calling("builtins.eval"), r"calls builtins\.eval"),
    "power": (calling("_operator.pow"), r"calls _operator\.pow"),
    "load": (calling("torch.ops.aten.from_file.default"), r"calls from_file\.default"),
    "custom": (calling("torch.ops.evil.run.default"), r"calls torch\.ops\.evil\.run\.default"),
    "higher order": (calling("torch.ops.higher_order.cond"), r"calls torch\.ops\.higher_order"),
    "dotted": (calling("torch.ops.aten.relu.default.__class__"), "does not take from a program"),
    "argument": (calling(RELU, inplace={"as_bool": True}), "has no argument 'inplace'"),
    "graph": (calling(RELU, g={"as_graph": {}}), "an argument is a graph"),
    "operator": (calling(RELU, g={"as_operator": "os.system"}), "an argument is a operator"),
    "two tags": (calling(RELU, g={"as_int": 1, "as_float": 2.0}), "cannot be read"),
    "pieces": (endless_pieces, "no memory would hold"),
    "huge copy": (calling("torch.ops.aten.repeat.default", repeats=HUGE), "no memory would hold"),
    "huge view": (setting("view.default", "size", {"as_ints": [10**12, 4]}), "do not fit"),
    "huge number": (setting("view.default", "size", {"as_ints": [2**70, 4]}), "too large"),
    "digits": (squares, "no memory would hold"),
    "copies": (counting("_operator.mul", {"as_string": "a"}, MANY), "given what is no number"),
    "list": (counting("_operator.mul", {"as_ints": [1]}, MANY), "given what is no number"),
    "spaces": (
        counting("_operator.mod", {"as_string": "%099999999999d"}, MANY),
        "given what is no number",
    ),
    "axis": (calling(SLICE, dim=MANY), "there is no axis"),
    "axis from behind": (calling(SLICE, dim={"as_int": -(2**40)}), "there is no axis"),
    "word": (setting("view.default", "size", {"as_ints": ["4", 4]}), "is needed"),
    "truth": (setting("view.default", "size", {"as_ints": [True, 4]}), "True stands where a int"),
    "not yet": (setting("relu.default", "self", {"as_tensor": {"name": "linear"}}), "do not fit"),
    "itself": (setting("relu.default", "self", {"as_tensor": {"name": "relu"}}), "do not fit"),
    "weights": (
        lambda p: (
            calling("torch.ops.aten.relu_.default")(p),
            setting("relu_.default", "self", {"as_tensor": {"name": "p_conv_bias"}})(p),
        ),
        "changes its own weights",
    ),
    "path": (lambda p: parameter(p, "../../conv.weight"), "a tensor is named"),
    "private": (lambda p: parameter(p, "conv.__class__"), "a tensor is named"),
    "method": (lambda p: parameter(p, "forward"), "without its weights: forward"),
    "long path": (lambda p: parameter(p, ".".join("a" * 99)), "a tensor is named"),
    "twice": (lambda p: parameter(p, "conv.bias"), "two tensors have one name"),
    "unknown weight": (lambda p: parameter(p, "conv.other"), "without its weights: conv.other"),
    "no nodes": (lambda p: nodes(p).clear(), "computes nothing"),
    "no graph": (lambda p: p["graph_module"].pop("graph"), "there is no 'graph'"),
    "no mapping": (lambda p: p["graph_module"].update(graph=[]), "cannot be read"),
    "image size": (
        lambda p: p["graph_module"]["graph"]["tensor_values"]["x"].update(
            sizes=[{"as_int": 2}, {"as_int": 3}, {"as_int": 10**6}, {"as_int": 10**6}]
        ),
        "which is no batch of images",
    ),
    "no image": (
        lambda p: p["graph_module"]["graph"]["tensor_values"]["x"].update(sizes=[{"as_int": 2}]),
        "takes 2, which is no batch of images",
    ),
    "many": (lambda p: nodes(p).extend(nodes(p) * 4_000), "operations"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_is_refused_in_one_sentence(
    name: str, honest: Path, tmp_path: Path
) -> None:
    edit, words = HOSTILE[name]
    file = edited(honest, tmp_path / "hostile.pt2", edit)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "hostile.pt2" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "cannot be read"),
        (b"[" * 200_000, "cannot be read"),
        (b'{"graph_module": ' + b'{"a":' * 50_000, "cannot be read"),
        (b'{"graph_module": {}, "graph_module": {}}', "a key appears twice"),
        (b'{"graph_module": ' + b"9" * 10_000 + b"}", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
    ids=["cut", "brackets", "braces", "twice", "digits", "bytes"],
)
def test_json_that_is_none_is_refused(
    content: bytes, words: str, honest: Path, tmp_path: Path
) -> None:
    file = with_records(
        honest, tmp_path / "odd.pt2", lambda name, old: content if "/models/" in name else old
    )
    with pytest.raises(ModelError, match=words):
        load_model(file)


HARMLESS: dict[str, Edit] = {
    "nested": nested,
    "path": lambda p: node(p, "relu.default")["metadata"].update(
        nn_module_stack="L,,x.Small;a,../../etc,os.system"
    ),
    "method": lambda p: node(p, "relu.default")["metadata"].update(
        nn_module_stack="L,,x.Small;a,forward,os.system"
    ),
    "layer": lambda p: node(p, "relu.default")["metadata"].update(
        nn_module_stack="L,,x.Small;a,conv.weight,os.system"
    ),
    "same": lambda p: node(p, "relu.default")["metadata"].update(
        nn_module_stack="L,,x.Small;" + ";".join(f"k{i},a,x.A" for i in range(30))
    ),
    "modules": lambda p: p["graph_module"]["module_call_graph"].extend(
        {"fqn": name} for name in ("../x", "forward", "__dict__", "a.b.c", "conv.weight", "conv.x")
    ),
    "nothing": lambda p: [n["metadata"].clear() for n in nodes(p)],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_names_of_modules_change_nothing_in_what_is_computed(
    name: str, honest: Path, tmp_path: Path
) -> None:
    loaded = load_model(edited(honest, tmp_path / "named.pt2", HARMLESS[name]))
    images = torch.rand(3, 3, 8, 9)
    with torch.inference_mode():
        assert torch.allclose(loaded.module(images), load_model(honest).module(images), atol=1e-6)
    paths = [path for path, _ in loaded.module.named_modules()]
    assert not any(".." in path or "__" in path for path in paths)
    assert max(path.count(".") for path in paths) < 60


def test_no_listed_function_reads_writes_or_runs_anything() -> None:
    for target, function in FUNCTIONS.items():
        if target.startswith("_operator."):
            assert function.__module__ == "_operator"
            continue
        kinds = {str(parameter.type) for parameter in parameters_of(target)}
        # Words are modes of padding and rounding; there is no path, storage, generator or object.
        assert not any(word in kind for kind in kinds for word in ("Generator", "Storage", "Any"))
    words = {
        (target, parameter.name)
        for target in FUNCTIONS
        if not target.startswith("_operator.")
        for parameter in parameters_of(target)
        if "str" in str(parameter.type)
    }
    assert {name for _, name in words} == {"approximate", "mode", "padding", "rounding_mode"}


def test_a_program_without_weights_is_no_network(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a + b

    pair = (torch.rand(2, 3), torch.rand(2, 3))
    file = tmp_path / "two.pt2"
    torch.export.save(torch.export.export(Two(), pair), file)
    with pytest.raises(ModelError, match="holds no model weights"):
        load_model(file)


def test_the_code_stays_out(honest: Path, tmp_path: Path) -> None:
    """The sample inputs of a program are a pickle; nothing looks at them."""
    file = with_records(
        honest,
        tmp_path / "armed.pt2",
        lambda name, old: b"cos\nsystem\n(S'false'\ntR." if "sample_inputs" in name else old,
    )
    assert load_model(file).architecture == "Small"


def test_weights_without_numbers_are_refused(honest: Path, tmp_path: Path) -> None:
    file = with_records(
        honest, tmp_path / "odd.pt2", lambda name, old: b"" if "/weights/weight_" in name else old
    )
    with pytest.raises(ModelError, match="is smaller than its shape"):
        load_model(file)


def test_a_packed_description_is_refused(honest: Path, tmp_path: Path) -> None:
    file = tmp_path / "packed.pt2"
    shutil.copy(honest, file)
    with zipfile.ZipFile(file, "a") as archive:
        top = archive.namelist()[0].partition("/")[0]
        record = f"{top}/code/extra/reportgen.json"
        archive.writestr(record, b" " * 10_000, compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="holds a compressed record"):
        load_model(file)
