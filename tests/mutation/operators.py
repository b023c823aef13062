"""Small mistakes that could stand in a module, one at a time: a test should fail for each.

The words of messages are left alone: which ones they are is a matter of taste, that there is the
right one is what tests look for.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_RAISED = ("Error", "refusal", "Image", "SkippedImage")
"Endings of the names of calls whose words are for people."
_SENTENCE = 3
"Spaces from which a text is for people."

Change: TypeAlias = Callable[[ast.AST], ast.AST | None]


@dataclass(frozen=True, eq=False)
class Mutant:
    """One mistake in one module."""

    line: int
    mistake: str
    lines: range
    "Of the statement that it is in, as far as it is of one piece."
    path: tuple[int, ...]
    "Number of the outermost statement or member of a class that it is in."
    original: ast.Module
    number: int
    "Of the node."
    change: Change

    @property
    def function(self) -> ast.FunctionDef | None:
        """That it is in; None where it runs when its module is imported."""
        statement: Any = self.original
        for number in self.path:
            statement = statement.body[number]
        return statement if isinstance(statement, ast.FunctionDef) else None

    @property
    def tree(self) -> ast.Module:
        """The module with the mistake."""
        changed = copy.deepcopy(self.original)
        target = list(ast.walk(changed))[self.number]
        replacement = self.change(target)
        if replacement is not None:
            _put(changed, target, replacement)
        return ast.fix_missing_locations(changed)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mistake that is known here."""
    tree = ast.parse(source)
    left_alone = set(_left_alone(tree))
    places = dict(_places(tree, (), range(0)))
    for number, node in enumerate(ast.walk(tree)):
        if number in left_alone or not isinstance(node, (ast.stmt, ast.expr, ast.ExceptHandler)):
            continue
        path, lines = places[node]
        for mistake, change in _changes(node):
            yield Mutant(node.lineno, mistake, lines, path, tree, number, change)


def _places(
    node: ast.AST, path: tuple[int, ...], lines: range
) -> Iterator[tuple[ast.AST, tuple[tuple[int, ...], range]]]:
    """Each node with the path and the lines of the statement that it is in."""
    if isinstance(node, (ast.stmt, ast.ExceptHandler)):
        blocks = [part for name in _BLOCKS for part in getattr(node, name, ())]
        end = min((block.lineno for block in blocks), default=(node.end_lineno or 0) + 1)
        lines = range(node.lineno, max(end, node.lineno + 1))
    yield node, (path, lines)
    members = node.body if isinstance(node, (ast.Module, ast.ClassDef)) else []
    for child in ast.iter_child_nodes(node):
        inner = (*path, members.index(child)) if child in members else path
        yield from _places(child, inner, lines)


_BLOCKS = ("body", "orelse", "handlers", "finalbody")


def _left_alone(tree: ast.Module) -> Iterator[int]:
    """Numbers of the nodes that are text for people, types, or what a class has from others."""
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
    for node in ast.walk(tree):
        alone: list[ast.AST | None] = []
        match node:
            case ast.Expr(value=ast.Constant()):
                alone = [node, node.value]
            case ast.Raise(exc=ast.Call() as call):
                alone = [*call.args]
            case ast.Call(func=ast.Name(id=name)) if name.endswith(_RAISED):
                alone = [*node.args]
            case ast.JoinedStr():
                alone = [node]
            case ast.Constant(value=str() as words) if words.count(" ") >= _SENTENCE:
                alone = [node]
            case ast.ClassDef():
                alone = [*node.bases, *node.keywords, *node.decorator_list]
            case ast.AnnAssign():
                alone = [node.annotation]
            case ast.arg():
                alone = [node.annotation]
            case ast.FunctionDef():
                alone = [node.returns, *node.decorator_list]
        for part in filter(None, alone):
            yield from (numbers[id(inner)] for inner in ast.walk(part))


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """What may be wrong at one node: a name for it, and what makes it so."""
    match node:
        case ast.Compare(ops=[operator, *_]):
            for other in _COMPARED[type(operator)]:
                yield f"{type(operator).__name__} to {other.__name__}", _compares(other)
        case ast.BoolOp():
            yield "and for or", _other_boolean
        case ast.UnaryOp(op=ast.Not()):
            yield "not dropped", lambda target: target.operand  # type: ignore[attr-defined]
        case ast.BinOp() if type(node.op) in _COMPUTED:
            other_operator = _COMPUTED[type(node.op)]
            yield (
                f"{type(node.op).__name__} to {other_operator.__name__}",
                _computes(other_operator),
            )
        case ast.Constant(value=bool()):
            yield "true for false", _constant(lambda value: not value)
        case ast.Constant(value=int() | float()):
            yield "one more", _constant(lambda value: value + 1)
        case ast.Constant(value=str() | bytes()):
            yield "another text", _constant(_other_text)
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare):
            yield "condition turned", _turned
        case ast.Break() | ast.Continue():
            yield "break for continue", _other_jump
        case ast.Return(value=ast.AST() as value) if ast.unparse(value) != "None":
            yield "nothing returned", _returns_nothing
        case (
            ast.Raise()
            | ast.AugAssign()
            | ast.Expr(value=ast.Call() | ast.YieldFrom() | ast.Yield())
        ):
            yield "statement dropped", lambda target: ast.copy_location(ast.Pass(), target)
        case ast.ExceptHandler(type=ast.AST()):
            yield "not caught", _catches_nothing
        case ast.For():
            yield "no turn of the loop", _loops_over_nothing
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        for place, inner in enumerate(node.generators):
            if inner.ifs:
                yield "no filter", _without_filter(place)


def _compares(operator: type[ast.cmpop]) -> Change:
    def change(target: ast.AST) -> None:
        assert isinstance(target, ast.Compare)
        target.ops[0] = operator()

    return change


def _computes(operator: type[ast.operator]) -> Change:
    def change(target: ast.AST) -> None:
        assert isinstance(target, ast.BinOp)
        target.op = operator()

    return change


def _constant(other: Callable[..., object]) -> Change:
    def change(target: ast.AST) -> None:
        assert isinstance(target, ast.Constant)
        target.value = other(target.value)  # type: ignore[assignment]

    return change


def _other_text(text: str | bytes) -> str | bytes:
    return f"XX{text}" if isinstance(text, str) else b"XX" + text


def _other_boolean(target: ast.AST) -> None:
    assert isinstance(target, ast.BoolOp)
    target.op = ast.Or() if isinstance(target.op, ast.And) else ast.And()


def _turned(target: ast.AST) -> None:
    assert isinstance(target, (ast.If, ast.IfExp, ast.While))
    target.test = ast.UnaryOp(ast.Not(), target.test)


def _other_jump(target: ast.AST) -> ast.AST:
    other = ast.Continue() if isinstance(target, ast.Break) else ast.Break()
    return ast.copy_location(other, target)


def _returns_nothing(target: ast.AST) -> None:
    assert isinstance(target, ast.Return)
    target.value = ast.Constant(None)


def _catches_nothing(target: ast.AST) -> None:
    assert isinstance(target, ast.ExceptHandler)
    target.type = ast.Tuple([], ast.Load())


def _loops_over_nothing(target: ast.AST) -> None:
    assert isinstance(target, ast.For)
    target.iter = ast.Tuple([], ast.Load())


def _without_filter(place: int) -> Change:
    def change(target: ast.AST) -> None:
        target.generators[place].ifs.clear()  # type: ignore[attr-defined]

    return change


def _put(tree: ast.Module, target: ast.AST, replacement: ast.AST) -> None:
    """Put another node in the place of one."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, replacement)
                return
            if isinstance(value, list) and any(item is target for item in value):
                value[[item is target for item in value].index(True)] = replacement
                return
