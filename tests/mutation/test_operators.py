"""The mistakes that are tried: real ones, one at a time, and none in words for people."""

import ast

import pytest

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.operators import mutants
from tests.mutation.watched import MODULES, ROOT, TESTS

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


def test_what_is_watched_is_there() -> None:
    assert {"reportgen.load.formats", "reportgen.write.locks"} <= MODULES.keys()
    assert all((ROOT / tests).exists() for tests in TESTS)


def test_a_mistake_knows_its_statement() -> None:
    found = {(mutant.path, mutant.lines) for mutant in mutants(SOURCE)}
    assert {path for path, _ in found} == {(1,), (2,)}
    assert ((2,), range(6, 7)) in found  # the condition, and not what it guards
    assert ((2,), range(8, 9)) in found


def test_each_mistake_that_is_none_still_stands_there() -> None:
    for (name, text, mistake), why in EQUIVALENT.items():
        source = MODULES[f"reportgen.{name}"].read_text("utf-8")
        lines = [line.strip() for line in source.splitlines()]
        known = {(lines[mutant.line - 1], mutant.mistake) for mutant in mutants(source)}
        assert (text, mistake) in known and why
