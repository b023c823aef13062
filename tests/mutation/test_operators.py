"""The mistakes that are tried: real ones, one at a time, and none in words for people."""

import ast

import pytest

from tests.mutation.operators import mutants
from tests.mutation.watched import TESTS, THEN

SOURCE = '''
"""Words."""
LIMIT: "int" = 3
def f(x: "int") -> "str":
    """Words."""
    if x in (1,) and not x > LIMIT:
        raise ValueError("Words." + f"{x}")
    for y in x:
        x += y
        if x:
            break
    return [y for y in x if y] or "text"
'''


def changed() -> list[str]:
    return [ast.unparse(mutant.tree) for mutant in mutants(SOURCE)]


@pytest.mark.parametrize(
    "line",
    [
        "LIMIT: 'int' = 4",
        "if x not in (1,) and (not x > LIMIT):",
        "if x in (2,) and (not x > LIMIT):",
        "if x in (1,) or not x > LIMIT:",
        "if x in (1,) and x > LIMIT:",
        "if x in (1,) and (not x >= LIMIT):",
        "if x in (1,) and (not x <= LIMIT):",
        "for y in ():",
        "for y in x:\n        pass",
        "if not x:",
        "continue",
        "return None",
        "return [y for y in x] or 'text'",
        "return [y for y in x if y] and 'text'",
        "return [y for y in x if y] or 'XXtext'",
    ],
)
def test_each_mistake_is_tried(line: str) -> None:
    assert sum(line in text for text in changed()) == 1


def test_each_is_another_program_and_only_one_mistake() -> None:
    texts = changed()
    original = ast.unparse(ast.parse(SOURCE))
    assert original not in texts and len(set(texts)) == len(texts)
    for text in texts:
        assert text.count("Words.") == 3 or "raise" not in text


def test_every_module_has_its_tests() -> None:
    assert THEN.keys() <= TESTS.keys()
    assert all(tests for tests in TESTS.values())
