"""Tables of images in Arrow and Parquet files: one group of rows in memory, whatever their number.

Read as data by pyarrow; no code that comes with a file is run.
"""

import bisect
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from reportgen.errors import OptionError
from reportgen.load.decode import MAX_BYTES, UnreadableImage
from reportgen.load.lists import LABEL_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = b"PAR1"
"What a Parquet file begins with."
_IMAGE_COLUMNS = ("image", "img", "picture", "pixel_values")
_UNKNOWN = -1
"What stands for a class that is not stated."
_KEPT = 64
_KEPT_BYTES = 2**22
"Files that are kept unpacked, of so many bytes at most: pictured ones are asked for again."

Cell: TypeAlias = tuple[bytes | None, str | None]
"The content of a file, and its name."


class Kept:
    """What all the tables of a data set hold in memory together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.group: tuple[Table, int, Any] | None = None
        self.cells: OrderedDict[tuple[Table, int], Cell] = OrderedDict()


class Table:
    """One file, of which the description is in memory, and rows in what is `Kept`."""

    def __init__(self, file: Path, kept: Kept) -> None:
        """Reads what describes the file.

        Raises:
            OptionError: if no column holds images, or the description is damaged.
            pyarrow.ArrowException, OSError, ValueError: if the file is damaged.
        """
        self._file, self._kept = file, kept
        self._parquet: Any = None
        self._places: list[int] = []
        "Where in an Arrow file its batches begin."
        if _is_parquet(file):
            self._parquet, self.schema = _described(file)
            groups = range(self._parquet.num_row_groups)
            counts = [self._parquet.row_group(at).num_rows for at in groups]
        else:
            self.schema, self._places, counts = _stream(file)
        self._starts = [0]
        for count in counts:
            self._starts.append(self._starts[-1] + count)
        self.image, self.label, self.names = _columns(self.schema)

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._starts[-1]

    def labels(self) -> Iterator[tuple[str | None, int | None]]:
        """The class of each row: its text, and its index where the file names its classes."""
        if self.label is None:
            yield from repeat((None, None), self.rows)
            return
        for at in range(len(self._starts) - 1):
            for value in self._columns_of(at, self.label).to_pylist():
                yield self._label(value)

    def _label(self, value: Any) -> tuple[str | None, int | None]:
        if value == _UNKNOWN or isinstance(value, bool) or not isinstance(value, int | str):
            return None, None
        if self.names and isinstance(value, int):
            is_named = 0 <= value < len(self.names)
            return (self.names[value], value) if is_named else (None, None)
        return str(value) or None, None

    def cell(self, row: int) -> Cell:
        """What a row holds as its image.

        Raises:
            UnreadableImage: if that is no image.
            pyarrow.ArrowException, OSError, ValueError, LookupError: if the file is damaged.
        """
        kept = self._kept
        with kept.lock:
            if (self, row) in kept.cells:
                kept.cells.move_to_end((self, row))
                return kept.cells[self, row]
            at = bisect.bisect_right(self._starts, row) - 1
            if kept.group is None or kept.group[:2] != (self, at):
                kept.group = None  # before the next takes its memory
                kept.group = (self, at, self._columns_of(at, self.image))
            found = _cell(kept.group[2][row - self._starts[at]].as_py())
            if len(found[0] or b"") <= _KEPT_BYTES:
                kept.cells[self, row] = found
                if len(kept.cells) > _KEPT:
                    kept.cells.popitem(last=False)
            return found

    def _columns_of(self, at: int, name: str) -> Any:
        """One column of one group of rows."""
        import pyarrow as pa
        from pyarrow import parquet

        if self._parquet is None:
            with pa.memory_map(str(self._file)) as source:
                source.seek(self._places[at])
                # A view of the mapped file, or a copy where the batch is compressed.
                batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), self.schema)
            column = batch.column(name)
            # A batch is as it lies in the file: lengths that are not so would end the process.
            column.validate(full=True)
            return column
        group = self._parquet.row_group(at)
        size = sum(
            group.column(c).total_uncompressed_size
            for c in range(group.num_columns)
            if group.column(c).path_in_schema.partition(".")[0] == name
        )
        if size > 4 * MAX_BYTES:
            raise UnreadableImage("A group of rows is too large: save it with fewer rows a group.")
        with parquet.ParquetFile(self._file, memory_map=True, metadata=self._parquet) as file:
            return file.read_row_group(at, columns=[name]).column(name)


def has_images(file: Path) -> bool | None:
    """Whether a Parquet file has a column of images; None where it cannot be told."""
    try:
        import pyarrow as pa
    except ImportError:
        # As the list beside the images of an `ImageFolder` is called.
        return file.name != "metadata.parquet"
    try:
        return _image_column(_described(file)[1]) is not None
    except (pa.ArrowException, OSError, ValueError, LookupError, OptionError):
        return None  # which is said when it is read


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as source:
        return source.read(len(PARQUET)) == PARQUET


def _described(file: Path) -> tuple[Any, "pa.Schema"]:
    """What a Parquet file says of its groups of rows and of its columns."""
    from pyarrow import parquet

    with parquet.ParquetFile(file, memory_map=True) as opened:
        return opened.metadata, opened.schema_arrow


def _stream(file: Path) -> tuple["pa.Schema", list[int], list[int]]:
    """The columns of an Arrow stream, where its batches begin, and how many rows each has."""
    import pyarrow as pa

    places: list[int] = []
    counts: list[int] = []
    with pa.memory_map(str(file)) as source:
        try:
            schema = pa.ipc.read_schema(pa.ipc.read_message(source))
        except EOFError as error:
            raise pa.ArrowInvalid("the file is empty") from error
        while True:
            place = source.tell()
            try:
                message = pa.ipc.read_message(source)
            except EOFError:
                return schema, places, counts
            counts.append(pa.ipc.read_record_batch(message, schema).num_rows)
            places.append(place)


def _cell(value: Any) -> Cell:
    """What a table has for an image, as content or as a name.

    Raises:
        UnreadableImage: if it is neither.
    """
    data, path = value, None
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
    elif isinstance(value, str):
        data, path = None, value
    if isinstance(data, bytes):
        return data, None
    if data is not None or not isinstance(path, str | None):
        raise UnreadableImage("The row holds neither the content of a file nor its name.")
    return None, path


def _features(schema: "pa.Schema") -> Mapping[str, Mapping[str, Any]]:
    """What `datasets` wrote into a file of its columns; empty where it did not.

    Raises:
        OptionError: if that is damaged.
    """
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        for key in ("info", "features"):
            found = found.get(key, {})
        kinds = {name: kind for name, kind in found.items() if isinstance(kind, dict)}
    except (AttributeError, ValueError, RecursionError) as error:
        raise OptionError("What the data set says of its columns is damaged.") from error
    return {name: kind for name, kind in kinds.items() if name in schema.names}


def _image_column(schema: "pa.Schema") -> str | None:
    """What `datasets` wrote into the file says which it is; else its name and type do."""
    import pyarrow as pa

    kinds = _features(schema).items()
    image = next((name for name, kind in kinds if kind.get("_type") == "Image"), None)
    if image is not None:
        return image
    for field in schema:
        inner = {part.name for part in field.type} if pa.types.is_struct(field.type) else set()
        is_plain = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
        is_named = field.name.casefold() in _IMAGE_COLUMNS
        if {"bytes", "path"} <= inner or (is_plain and is_named):
            return str(field.name)
    return None


def _columns(schema: "pa.Schema") -> tuple[str, str | None, tuple[str, ...]]:
    """The columns of images and of classes, and the names of these.

    Raises:
        OptionError: if none holds images, or what names the classes is damaged.
    """
    import pyarrow as pa

    image = _image_column(schema)
    if image is None:
        raise OptionError(
            f"No column of the data set holds images; there are {', '.join(schema.names)}."
        )
    kinds = _features(schema).items()
    label = next((name for name, kind in kinds if kind.get("_type") == "ClassLabel"), None)
    if label is not None:
        return image, label, _class_names(dict(kinds)[label].get("names"))
    by_name = {field.name.casefold(): field for field in schema}
    known = [by_name[name] for name in LABEL_COLUMNS if name in by_name]
    stated = (f for f in known if pa.types.is_integer(f.type) or pa.types.is_string(f.type))
    return image, next((field.name for field in stated), None), ()


def _class_names(names: Any) -> tuple[str, ...]:
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(n, str) and _is_text(n) for n in names):
        raise OptionError(
            "The names of the data set's classes are damaged: they are no list of names."
        )
    return tuple(names)


def _is_text(name: str) -> bool:
    """Whether it can be written; JSON has halves of characters too."""
    return name.encode("utf-8", "replace").decode() == name
