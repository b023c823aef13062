"""Files that ask for code: refused by name, and nothing of theirs ever runs."""

import ast
import ctypes
import functools
import operator
import os
import pickle
import re
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.serialization import MAGIC_NUMBER, get_safe_globals

import reportgen
from reportgen.errors import ModelError, UnsafeModelError
from reportgen.load.model import load_model
from reportgen.load.pickle_names import is_dangerous
from tests.corpus.models_hostile import CALLS, save, save_pickle
from tests.load.model_files import Call, small_net, with_records

ATTACKS: dict[str, Callable[[Path], Call]] = {
    **CALLS,
    "io.open": lambda canary: Call(open, str(canary), "w"),
    "builtins.__import__": lambda canary: Call(__import__, "antigravity"),
    "shutil.copy": lambda canary: Call(shutil.copy, __file__, str(canary)),
    "socket.create_connection": lambda canary: Call(socket.create_connection, ("127.0.0.1", 9)),
    "ctypes.CDLL": lambda canary: Call(ctypes.CDLL, None),
    "operator.attrgetter": lambda canary: Call(operator.attrgetter, "system"),
    "sys.exit": lambda canary: Call(sys.exit, 3),
    "functools.reduce": lambda canary: Call(functools.reduce, torch.nn.functional.relu, [1, 2]),
    "torch.serialization.load": lambda canary: Call(torch.load, str(canary)),
    "torch.serialization.save": lambda canary: Call(torch.save, 1, str(canary)),
    "torch.nn.init.ones_": lambda canary: Call(torch.nn.init.ones_, torch.zeros(1)),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("place", ["alone", "alone in the old format", "in a module", "named only"])
def test_each_attack_is_refused_by_name_and_does_nothing(
    name: str, place: str, tmp_path: Path
) -> None:
    """The corpus has them among the settings of a checkpoint; here they stand elsewhere."""
    canary = tmp_path / "canary"
    attack: Any = ATTACKS[name](canary)
    content: Any = attack
    if place == "in a module":
        content = torch.nn.Linear(2, 2)
        content.trick = attack
    if place == "named only":
        if name in ("functools.reduce", "torch.nn.init.ones_"):
            pytest.skip("a plain function that is not called may be an activation")
        content = {"state_dict": {"weight": torch.ones(2, 2)}, "act": attack.function}
    file = save(content, tmp_path / "model.pth", is_old="old" in place)
    told = "builtins.exec" if (name, place) == ("marshal.loads", "named only") else name
    with pytest.raises(UnsafeModelError, match=rf"asks for .*\b{re.escape(told)}.*nothing in it"):
        load_model(file)
    assert not canary.exists()


@pytest.mark.parametrize("is_old", [False, True], ids=["zip", "legacy"])
def test_no_environment_variable_makes_a_file_run(
    is_old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    canary = tmp_path / "canary"
    file = tmp_path / "model.pth"
    torch.save(
        Call(os.system, f"touch '{canary}'"), file, _use_new_zipfile_serialization=not is_old
    )
    with pytest.raises(UnsafeModelError):
        load_model(file)
    # A class of our own, on no list of names: its code must not run either.
    torch.save({"weight": torch.ones(2), "x": Armed(str(canary))}, file)
    with pytest.raises(ModelError, match="no network that reportgen knows"):
        load_model(file)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Armed(str(canary))))
    assert canary.exists()


class Armed:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: str) -> None:
        self.canary = canary

    def __setstate__(self, state: dict[str, str]) -> None:
        Path(state["canary"]).touch()


def test_names_that_the_process_holds_safe_are_not_trusted(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    file = tmp_path / "model.pth"
    torch.save({"weight": torch.ones(2), "x": Armed(str(canary))}, file)
    with torch.serialization.safe_globals([Armed]):
        torch.load(file, weights_only=True)
        assert canary.exists()
        canary.unlink()
        with pytest.raises(ModelError, match="no network that reportgen knows"):
            load_model(file)
        assert Armed in get_safe_globals()
    assert not canary.exists()


OPCODES = {
    "hidden STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x06system(t0\x93\x8c\x04true\x85R.",
    "Python 2's name": b"\x80\x02ccommands\ngetoutput\nX\x04\x00\x00\x00true\x85R.",
    "nested name": b"\x80\x02ctorch.serialization\nos.system\nX\x04\x00\x00\x00true\x85R.",
}


@pytest.mark.parametrize("name", OPCODES)
def test_instructions_that_hide_a_name_are_refused(name: str, tmp_path: Path) -> None:
    file = save_pickle(OPCODES[name], tmp_path / "model.pth", is_old=False)
    with pytest.raises(UnsafeModelError, match="asks for"):
        load_model(file)


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_is_refused_too(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(Call(os.system, f"touch '{canary}'"), protocol))
    with pytest.raises(UnsafeModelError, match="system"):
        load_model(file)
    assert not canary.exists()


@pytest.mark.filterwarnings("ignore")
def test_the_code_of_a_torchscript_file_does_not_run(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    torch.jit.script(small_net()).save(file)
    armed = with_records(
        file, tmp_path / "armed.pt", lambda name, code: b"raise 1" if "/code/" in name else code
    )
    with pytest.raises(Exception, match="raise"):
        torch.jit.load(armed)
    assert load_model(armed).architecture == "squeezenet1_1"


@pytest.mark.filterwarnings("ignore")
def test_a_pt2_file_that_asks_for_a_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(torch.nn.Linear(3, 2), (torch.zeros(1, 3),)), file)
    changes = {
        b'"use_pickle": true': "asks for a pickle",
        b'"path_name": "../x", "use_pickle": false': "no plain record name",
        b'"use_pickle": false, "x': "",
    }
    for change, words in changes.items():

        def edit(name: str, content: bytes, change: bytes = change) -> bytes:
            is_table = name.endswith("_weights_config.json")
            return content.replace(b'"use_pickle": false', change, 1) if is_table else content

        armed = with_records(file, tmp_path / "armed.pt2", edit)
        with pytest.raises(ModelError, match=words or "cannot be read"):
            load_model(armed)

    def shorten(name: str, content: bytes) -> bytes:
        return content[:-4] if name.endswith("/weight_0") else content

    with pytest.raises(ModelError, match="smaller than its shape"):
        load_model(with_records(file, tmp_path / "short.pt2", shorten))


def test_modules_that_contain_themselves_end(tmp_path: Path) -> None:
    file = tmp_path / "loop.pth"
    loop = torch.nn.Sequential(torch.nn.Linear(2, 2))
    loop._modules["again"] = loop
    torch.save(loop, file)
    with pytest.raises(ModelError, match="contains itself"):
        load_model(file)
    net: torch.nn.Module = torch.nn.Linear(2, 2)
    for _ in range(60):
        net = torch.nn.Sequential(net, net)
    torch.save(net, file)
    with pytest.raises(ModelError, match="more than 20,000 modules"):
        load_model(file)


@pytest.mark.parametrize(
    "state", [{"training": 1, "_modules": 3, "_parameters": 4}, {"training": 1, "_buffers": [2]}]
)
def test_modules_with_nonsense_inside_hold_no_weights(
    state: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "odd.pth"
    net = torch.nn.ReLU()
    net.__dict__ = state
    torch.save(net, file)
    with pytest.raises(ModelError, match="holds no weights"):
        load_model(file)


def test_honest_names_are_not_dangerous() -> None:
    for name in (
        "torch.nn.modules.activation.ReLU",
        "torchvision.models.resnet.ResNet",
        "torch._dynamo.eval_frame.OptimizedModule",
        "__main__.Net",
        "__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d",
        "builtins.set",
        "functools.partial",
        "project.test.code.Net",
    ):
        assert not is_dangerous(name), name


FORBIDDEN = re.compile(
    r"weights_only\s*=\s*(?!True)|pickle\.loads?\b|[Uu]npickler\(|torch\.jit\.|torch\.export\.load"
    r"|torch\.hub|torch\.package|allow_pickle\s*=\s*(?!False)|shelve|runpy|import pickle\b"
    r"|from pickle\b|cloudpickle\.|dill\.|joblib\.|marshal\.loads"
)


def test_no_loader_that_runs_code_stands_in_the_package() -> None:
    package = Path(reportgen.__file__).parent
    files = sorted(package.rglob("*.py"))
    assert len(files) > 20
    # What it unpickles was pickled by the process at the other end of its own pipe.
    files.remove(package / "figures/press.py")
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        text = ast.unparse(_Wordless().visit(tree))
        assert not FORBIDDEN.search(text), f"{file.name}: {FORBIDDEN.search(text)}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(node)
    assert FORBIDDEN.search("torch.load(f, weights_only=False)")
    assert FORBIDDEN.search("pickle.load(f)") and FORBIDDEN.search("torch.jit.load(f)")


class _Wordless(ast.NodeTransformer):
    """Blanks texts: a message may name what the code must not call."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node


def test_a_name_of_many_words_is_cut_in_what_is_said(tmp_path: Path) -> None:
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC_NUMBER, 1001, {}))
    file = tmp_path / "m.pth"
    file.write_bytes(head + b"\x80\x02ctorch\n" + b"x y " * 3000 + b"\n." + pickle.dumps([], 2))
    with pytest.raises(ModelError) as caught:
        load_model(file)
    said = str(caught.value)
    assert len(said) == 2000
    assert said.startswith("m.pth is damaged: its pickle asks for 'torch.x y x y ")
    assert said.endswith("x y ', which is no name.")
