"""Tables as CSV: for people, and where the report keeps the rows of long tables.

A long table stands in its CSV alone, and `report.json` says which kind of values each column holds.
What would not come back exactly, value and type, stays in `report.json` as well.
"""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reportgen.report.blocks import Cell, Link, Table

LONG = 32
"Rows; a table with more is kept in its CSV."

MANY_LAYERS = 100
"""Layers beyond which a network is deep: each of them then gets less, for a report has one size.
The CSVs of its layers are gzipped, which takes 60 % off."""

Row: TypeAlias = tuple[Cell, ...]

_GZIPPED = b"\x1f\x8b"
_LARGEST = 256 * 2**20
"Bytes that a gzipped table may unpack to: no report of ours has a tenth of it."

_FORMULA = ("=", "+", "-", "@")


def table_path(section: str, subject: str, block: str, table: Table | None = None) -> str:
    """Where a table lies: `data/activations.features.3.statistics.csv`, or `.csv.gz`."""
    ending = "csv.gz" if table and table.gzipped else "csv"
    return "data/" + ".".join(filter(None, (section, subject, block, ending)))


def table_file(table: Table) -> bytes:
    """The content of that file."""
    content = table_csv(table)
    return gzip.compress(content, mtime=0) if table.gzipped else content


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
        link leads; other text in such a column is no link.
    """
    if len(table.rows) <= LONG:
        return None
    hrefs = {cell.text: cell.href for row in table.rows for cell in row if isinstance(cell, Link)}
    kinds = [_kind(cells, hrefs) for cells in zip(*table.rows, strict=True)]
    return None if None in kinds else {"kinds": kinds, "hrefs": hrefs}


def _kind(cells: tuple[Cell, ...], hrefs: Mapping[str, str]) -> str | None:
    """The one kind of a column; None where it has several, or values that CSV cannot tell apart."""
    present = [cell for cell in cells if cell is not None]
    types = {type(cell) for cell in present}
    if types <= {int}:
        return "integer"
    if types == {float}:
        # `report.json` has null for what is not finite, in short tables and in long ones.
        return "number" if all(isinstance(c, float) and math.isfinite(c) for c in present) else None
    if not types <= {str, Link}:
        return None
    words = [cell.text if isinstance(cell, Link) else str(cell) for cell in present]
    # An apostrophe would be taken for ours, and a lone carriage return for the end of a row.
    if any(word.startswith("'") or "\r" in word or not _is_unicode(word) for word in words):
        return None
    if Link not in types:
        return "text" if len(present) == len(cells) else None
    is_plain = all(
        hrefs.get(word) == (cell.href if isinstance(cell, Link) else None)
        for word, cell in zip(words, present, strict=True)
    )
    return "link" if is_plain and "" not in words else None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def rows_in(content: bytes, kinds: Sequence[str], hrefs: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a table again, each value of the type that it had.

    Args:
        content: what `table_file` made.
        kinds: of the columns, as `columns_of` tells.
        hrefs: where the text of a link leads.

    Raises:
        ValueError: if it is not a CSV of these columns.
    """
    if content.startswith(_GZIPPED):
        content = _unpacked(content)
    readers: dict[str, Callable[[str], Cell]] = {
        "integer": int,
        "number": float,
        "link": lambda text: _linked(_text(text), hrefs),
    }
    lines = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    columns = [readers.get(kind) for kind in kinds]
    try:
        next(lines, None)
        return tuple(
            tuple(
                _text(word) if read is None else read(word) if word else None
                for word, read in zip(line, columns, strict=True)
            )
            for line in lines
        )
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _unpacked(content: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as file:
            text = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error
    if len(text) > _LARGEST:
        raise ValueError(f"it unpacks to more than {_LARGEST:,} bytes")
    return text


def _linked(text: str, hrefs: Mapping[str, str]) -> Cell:
    return Link(text, hrefs[text]) if text in hrefs else text


def _text(word: str) -> str:
    return word[1:] if word.startswith("'") and word[1:].startswith(_FORMULA) else word
