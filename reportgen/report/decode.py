"""Plain JSON values back to a report; strict about types, indifferent to keys it does not know."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias, TypeVar, get_args

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override

from reportgen.errors import OptionError
from reportgen.report.arrays import Array, Pixels
from reportgen.report.blocks import Block, Cell, Link, Table
from reportgen.report.encode import is_array
from reportgen.report.records import Fact, Image, Layer, Panel, Report
from reportgen.report.tables import rows_in

ReadArray: TypeAlias = Callable[[str], Array]
"Reference such as `arrays/occlusion.npz#chelsea.array` to array."
ReadFile: TypeAlias = Callable[[str], bytes]
"Path such as `img/chelsea-1a2b3c4d.png` or `data/weights.table.csv` to its content."
_KINDS: Mapping[str, type[Block]] = {kind.__name__.lower(): kind for kind in get_args(Block)}
Subject = TypeVar("Subject", Image, Layer)


def decoded(
    document: Any, read_array: ReadArray, read_picture: ReadFile, read_table: ReadFile
) -> Report:
    """The report that `document` describes.

    Raises:
        cattrs.BaseValidationError: if it is not a report; an `OptionError` in it tells more.
    """
    converter = Converter()
    converter.register_structure_hook(str, _exactly(str))
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(lambda hint: hint == Cell, _cell)
    converter.register_structure_hook_func(is_array, lambda value, _: read_array(_text(value)))
    pixels = make_dict_structure_fn(Pixels, converter, content=override(omit=True))

    def picture(value: Any, hint: type[Pixels]) -> Pixels:
        found = pixels(value, hint)
        return replace(found, content=read_picture(found.path))

    own_table = make_dict_structure_fn(Table, converter)

    def table(value: Any, hint: type[Table]) -> Table:
        kept = value["rows"]
        if not isinstance(kept, dict):
            return own_table(value, hint)
        kinds = [_text(kind) for kind in kept["kinds"]]
        hrefs = {text: _text(href) for text, href in kept["hrefs"].items()}
        path = _text(kept["csv"])
        content = read_table(path)
        try:
            rows = rows_in(content, kinds, hrefs)
        except ValueError as error:
            raise OptionError(f"{path} is damaged ({error}); build the report again") from None
        return replace(own_table({**value, "rows": []}, hint), rows=rows)

    def panel(value: Any, _: type[Panel]) -> Panel:
        names = value["arrays"]
        facts = {
            key: item for key, item in value.items() if key not in {"arrays", "blocks", *names}
        }
        return Panel(
            facts={name: _fact(fact) for name, fact in facts.items()},
            arrays={name: read_array(_text(value[name])) for name in names},
            blocks={
                name: converter.structure(block, _KINDS[block["block"]])
                for name, block in value["blocks"].items()
            },
        )

    converter.register_structure_hook(Pixels, picture)
    converter.register_structure_hook(Table, table)
    converter.register_structure_hook(Panel, panel)
    _register_subject(converter, Image)
    _register_subject(converter, Layer)
    return converter.structure(document, Report)


def _register_subject(converter: Converter, record: type[Subject]) -> None:
    own = make_dict_structure_fn(record, converter, panels=override(omit=True))
    names = {field.name for field in fields(record)}

    def subject(value: Any, hint: type[Subject]) -> Subject:
        panels = {
            name: converter.structure(item, Panel)
            for name, item in value.items()
            if name not in names and isinstance(item, dict) and "blocks" in item
        }
        return replace(own(value, hint), panels=panels)

    converter.register_structure_hook(record, subject)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def structured(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{kind.__name__} expected")
        return value

    return structured


def _text(value: Any) -> str:
    return str(_exactly(str)(value, str))


def _number(value: Any, _: Any) -> float:
    """A float; null stands for one that was not finite."""
    if type(value) not in {int, float, type(None)}:
        raise TypeError("float expected")
    return float("nan" if value is None else value)


def _scalar(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise TypeError("plain value expected")
    return value


def _cell(value: Any, _: Any) -> Any:
    return (
        Link(_text(value["text"]), _text(value["href"])) if type(value) is dict else _scalar(value)
    )


def _fact(value: Any) -> Fact:
    if isinstance(value, list):
        return tuple(_scalar(item) for item in value)
    fact: Fact = _scalar(value)
    return fact
