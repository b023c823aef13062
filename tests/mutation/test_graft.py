"""A mistake in a loaded module reaches whoever has imported from it."""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.graft import Unimportable, graft, names_given
from tests.mutation.operators import mutants

SOURCE = """
import functools
from dataclasses import dataclass
LIMIT = 300
TWICE = LIMIT * 2
@dataclass(frozen=True)
class Box:
    size: int = 5
    @property
    def area(self):
        return self.size * self.size
@functools.cache
def cut(value, most=LIMIT, *, least=10):
    def low(number):
        return max(number, least)
    return min(low(value), most)
class Named(Exception):
    def __init__(self, name):
        super().__init__("named")
        self.name = name
"""
USER = "from grafted_module import LIMIT, TWICE, Box, Named, cut\nother = (LIMIT, TWICE)\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "grafted_module.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "test_grafted_user.py").write_text(USER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("test_grafted_user")
    yield importlib.import_module("grafted_module")
    del sys.modules["grafted_module"], sys.modules["test_grafted_user"]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("LIMIT = 301", "LIMIT, TWICE, cut(1000)"),
        ("TWICE = LIMIT // 2", "TWICE"),
        ("size: int = 6", "Box().size, Box().area, Box(2).size"),
        ("self.size // self.size", "Box(3).area"),
        ("least=11", "cut(0)"),
        ("pass\n        self.name", "Named('a').args, Named('b').name"),
        ("return None\n    return min", "cut"),
    ],
)
def test_a_graft_is_the_module_with_the_mistake(
    module: ModuleType, text: str, expression: str
) -> None:
    user = sys.modules["test_grafted_user"]
    (mutant,) = [m for m in mutants(SOURCE) if text in ast.unparse(m.tree)]
    expected: dict[str, object] = {"__name__": "grafted_module"}
    exec(compile(mutant.tree, "expected", "exec"), expected)
    graft(module, mutant.tree, mutant.path)
    if expression == "cut":
        with pytest.raises(TypeError):
            user.cut(0)
        return
    assert eval(expression, vars(user)) == eval(expression, expected)


def test_names_that_rest_on_a_statement_are_known() -> None:
    assert names_given(ast.parse(SOURCE), (2,)) == {"LIMIT", "TWICE"}
    assert names_given(ast.parse(SOURCE), (4, 0)) == {"size"}


def test_a_module_that_can_no_longer_be_imported_is_told(module: ModuleType) -> None:
    for text, mistaken in (
        ("LIMIT = 300", "LIMIT = 1 // 0"),
        ("size: int = 5", "size: int = 1 // 0"),
    ):
        path = (2,) if "LIMIT" in text else (4, 0)
        with pytest.raises(Unimportable):
            graft(module, ast.parse(SOURCE.replace(text, mistaken)), path)
