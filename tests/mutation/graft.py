"""Puts a mistake into a module that is loaded, so that nothing is imported a second time."""

import ast
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any


class Unimportable(Exception):
    """A module that cannot be imported with its mistake, which every test notices."""


def graft(module: ModuleType, tree: ast.Module, path: tuple[int, ...]) -> None:
    """Let a module be as `tree` has it, which is another at one place.

    Args:
        module: that was loaded from the same source without the mistake.
        tree: its source with the mistake.
        path: number of the statement with the mistake, inside that of its class and so on.

    Raises:
        Unimportable: if it cannot be so.
    """
    statement: Any = tree
    owner: Any = module
    for number in path:
        if isinstance(statement, ast.ClassDef):
            owner = getattr(owner, statement.name)
        statement = statement.body[number]
    if isinstance(statement, ast.FunctionDef):
        functions = list(_functions_at(statement, module))
        if any("__class__" in function.__code__.co_freevars for function in functions):
            # A mistake may leave `super()` out, and the function has a place for its class.
            mention = ast.copy_location(
                ast.Expr(ast.Name("__class__", ast.Load())), statement.body[-1]
            )
            statement.body.append(ast.fix_missing_locations(mention))
        codes = _codes(compile(tree, str(module.__file__), "exec"))
        for function in functions:
            place = function.__code__.co_qualname, function.__code__.co_firstlineno
            function.__code__ = codes[place]
            _give_defaults(function, statement, vars(module))
    elif owner is module:
        _run_again(module, tree, statement)
    else:
        _give_attribute(owner, statement, vars(module))


def names_given(tree: ast.Module, path: tuple[int, ...]) -> frozenset[str]:
    """What a statement outside of functions gives a value, or what rests on it."""
    statement: Any = tree
    for number in path:
        statement = statement.body[number]
    names = _bound(statement)
    if len(path) == 1:
        for later in tree.body[path[0] + 1 :]:
            if _is_plain(later) and names & _used(later):
                names |= _bound(later)
    return names


def _codes(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """All the code in a module by its name and first line."""
    found = {(code.co_qualname, code.co_firstlineno): code}
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= _codes(inner)
    return found


def _functions(holder: Mapping[str, Any], module: str) -> Iterator[FunctionType]:
    """The functions of a module and of its classes, inside whatever decorates them."""
    for value in list(holder.values()):
        if isinstance(value, type) and value.__module__ == module:
            if vars(value) is not holder:
                yield from _functions(vars(value), module)
            continue
        for part in ("fget", "func", "__func__", "__wrapped__"):
            value = getattr(value, part, value)
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield value


def _functions_at(definition: Any, module: ModuleType) -> Iterator[FunctionType]:
    """The function that a definition has made."""
    first = min([definition, *definition.decorator_list], key=lambda node: node.lineno).lineno
    for function in _functions(vars(module), module.__name__):
        if function.__code__.co_firstlineno == first:
            yield function


def _give_defaults(function: FunctionType, statement: Any, names: dict[str, Any]) -> None:
    """Defaults as a definition states them, which are no part of the code."""
    arguments = statement.args
    if function.__defaults__:
        function.__defaults__ = tuple(_value(default, names) for default in arguments.defaults)
    if function.__kwdefaults__:
        function.__kwdefaults__ = {
            argument.arg: _value(default, names)
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if default is not None
        }


def _run_again(module: ModuleType, tree: ast.Module, statement: ast.stmt) -> None:
    """A statement of the module, those that rest on it, and whoever has imported what they give."""
    names = _bound(statement)
    _run_one(module, statement)
    for later in tree.body[tree.body.index(statement) + 1 :]:
        if _is_plain(later) and names & _used(later):
            _run_one(module, later)
            names |= _bound(later)
        for definition in ast.walk(later):
            if isinstance(definition, ast.FunctionDef) and names & _used(definition.args):
                for function in _functions_at(definition, module):
                    _give_defaults(function, definition, vars(module))


def _run_one(module: ModuleType, statement: ast.stmt) -> None:
    before = {name: vars(module).get(name) for name in _bound(statement)}
    code = compile(ast.Module([statement], []), str(module.__file__), "exec")
    try:
        exec(code, vars(module))
    except Exception as error:
        raise Unimportable from error
    for other in list(sys.modules.values()):
        if other is not module and getattr(other, "__name__", "").startswith(("reportgen", "test")):
            for name, value in before.items():
                if vars(other).get(name) is value and value is not None:
                    setattr(other, name, vars(module)[name])


def _give_attribute(owner: type, statement: Any, names: dict[str, Any]) -> None:
    """Another value of a class, which a dataclass also has as the default of an argument."""
    for name in _bound(statement):
        old, new = vars(owner).get(name), _value(statement.value, names)
        setattr(owner, name, new)
        begin = vars(owner).get("__init__")
        if hasattr(owner, "__dataclass_fields__") and begin is not None and begin.__defaults__:
            begin.__defaults__ = tuple(
                new if argument == name and default is old else default
                for argument, default in zip(
                    begin.__code__.co_varnames[: begin.__code__.co_argcount][
                        -len(begin.__defaults__) :
                    ],
                    begin.__defaults__,
                    strict=True,
                )
            )


def _value(expression: ast.expr, names: dict[str, Any]) -> object:
    try:
        return eval(compile(ast.Expression(expression), "default", "eval"), names)
    except Exception as error:
        raise Unimportable from error


def _is_plain(statement: ast.stmt) -> bool:
    return not isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom))


def _bound(statement: ast.AST) -> frozenset[str]:
    return frozenset(
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _used(statement: ast.AST) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
