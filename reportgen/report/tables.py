"""Tables as CSV: for people, and where the report keeps the rows of long tables.

A long table stands in its CSV alone, and `report.json` says which kind of values each column holds.
What would not come back exactly, value and type, stays in `report.json` as well.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reportgen.report.blocks import Cell, Link, Table

LONG = 32
"Rows; a table with more is kept in its CSV."

Row: TypeAlias = tuple[Cell, ...]

_KINDS: Mapping[type, str] = {int: "integer", float: "number", str: "text", Link: "link"}
_FORMULA = ("=", "+", "-", "@")


def table_path(section: str, subject: str, block: str) -> str:
    """Where a table lies: `data/activations.features.3.statistics.csv`."""
    return "data/" + ".".join(filter(None, (section, subject, block))) + ".csv"


def table_csv(table: Table) -> bytes:
    """One table: units in the header, links as their text, missing values as nothing."""
    head = [f"{c.name} ({c.unit})" if c.unit else c.name for c in table.columns]
    return csv_text(head, table.rows)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A header and rows, with every digit that it takes to read the same numbers back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([_plain(cell) for cell in row])
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _plain(cell: object) -> object:
    if isinstance(cell, float):
        # Nine digits tell any two float32 apart.
        short = f"{cell:.9g}"
        return short if float(short) == cell or math.isnan(cell) else repr(float(cell))
    words = cell.text if isinstance(cell, Link) else cell
    # Spreadsheets run text that starts like a formula; an apostrophe keeps it text.
    return f"'{words}" if isinstance(words, str) and words.startswith(_FORMULA) else words


def columns_of(table: Table) -> dict[str, object] | None:
    """What it takes to read a long table from its CSV; None where the rows stay in `report.json`.

    Returns:
        `kinds`: `integer`, `number`, `text` or `link` for each column. `hrefs`: where the text of a
        link leads.
    """
    if len(table.rows) <= LONG:
        return None
    kinds = [_kind(cells) for cells in zip(*table.rows, strict=True)]
    links = [cell for row in table.rows for cell in row if isinstance(cell, Link)]
    hrefs = {link.text: link.href for link in links}
    words = [cell for row in table.rows for cell in row if isinstance(cell, str)]
    if (
        None in kinds
        or any(hrefs[link.text] != link.href for link in links)
        or any(text.startswith("'") or not _is_unicode(text) for text in (*words, *hrefs))
        or "" in hrefs
    ):
        return None
    return {"kinds": kinds, "hrefs": hrefs}


def _kind(cells: tuple[Cell, ...]) -> str | None:
    """The one kind of a column; None where it has several, or values that CSV cannot tell apart."""
    types = {type(cell) for cell in cells if cell is not None}
    if len(types) > 1:
        return None
    kind = _KINDS.get(types.pop()) if types else "integer"
    if kind == "text" and None in cells:
        return None
    if kind == "number" and not all(c is None or math.isfinite(c) for c in cells):  # type: ignore[arg-type]
        return None  # `report.json` has null for these, in short tables and long ones
    return kind


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def rows_in(content: bytes, kinds: Sequence[str], hrefs: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a table again, each value of the type that it had.

    Args:
        content: what `table_csv` made.
        kinds: of the columns, as `columns_of` tells.
        hrefs: where the text of a link leads.

    Raises:
        ValueError: if it is not a CSV of these columns.
    """
    readers: dict[str, Callable[[str], Cell]] = {
        "integer": int,
        "number": float,
        "link": lambda text: Link(_text(text), hrefs[_text(text)]),
    }
    lines = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    columns = [readers.get(kind) for kind in kinds]
    next(lines, None)
    try:
        return tuple(
            tuple(
                _text(word) if read is None else read(word) if word else None
                for word, read in zip(line, columns, strict=True)
            )
            for line in lines
        )
    except (csv.Error, KeyError) as error:
        raise ValueError(f"no row of this table: {error}") from error


def _text(word: str) -> str:
    return word[1:] if word.startswith("'") and word[1:].startswith(_FORMULA) else word
