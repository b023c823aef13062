"""Saved Hugging Face datasets, in Arrow or Parquet files: read as data, by pyarrow alone.

Nothing is looked up in a network, and no code that comes with a data set is run.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen.errors import OptionError
from reportgen.load.candidates import Candidate, Part, text
from reportgen.load.content import TOO_LARGE, content
from reportgen.load.decode import MAX_BYTES, UnreadableImage
from reportgen.load.lists import LABEL_COLUMNS
from reportgen.report.records import SkippedImage

if TYPE_CHECKING:
    import pyarrow as pa

_STATE, _SPLITS = "state.json", "dataset_dict.json"
_IMAGE_COLUMNS = ("image", "img", "picture", "pixel_values")
_UNKNOWN = -1
"What stands for a class that is not stated."
_KEPT = 64
_KEPT_BYTES = 2**22
"Files that a table keeps unpacked, of so many bytes at most: pictured ones are asked for again."


def is_dataset(location: Path) -> bool:
    """Whether a folder is a data set that `datasets` saved, or holds one in Parquet files."""
    if (location / _STATE).is_file() or (location / _SPLITS).is_file():
        return True
    return any(True for place in (location, location / "data") for _ in place.glob("*.parquet"))


def is_table(head: bytes) -> bool:
    """Whether a file that begins so is a Parquet file."""
    return head.startswith(b"PAR1")


def saved(location: Path) -> Part:
    """The images of a data set, row by row, with the names of their classes.

    Raises:
        OptionError: if pyarrow is not installed, or no column holds images.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise OptionError(
            f"{location} is a data set in Arrow or Parquet files, which needs pyarrow: "
            "pip install torch-reportgen[datasets]."
        ) from error
    parts = []
    for split, files in _files(location):
        try:
            tables = [_Table(file) for file in files]
            parts.append(_of_split(split, tables, location))
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:120].rstrip(".")
            reason = f"The data set cannot be read ({reason})."
            parts.append(Part(skipped={split: SkippedImage(split, reason)}))
    names = {part.class_names for part in parts}
    splits = [split for split, _ in _files(location)]
    notes = (f"The splits {', '.join(splits)} were read: give one alone for its own numbers.",)
    return Part(
        tuple(candidate for part in parts for candidate in part.candidates),
        {key: entry for part in parts for key, entry in part.skipped.items()},
        notes if len(splits) > 1 else (),
        class_names=names.pop() if len(names) == 1 else (),
    )


def _files(location: Path) -> list[tuple[str, list[Path]]]:
    """The files of each split, under its name."""
    if location.is_file():
        return [("", [location])]
    if (location / _SPLITS).is_file():
        splits = _json(location / _SPLITS).get("splits", [])
        names = [name for name in splits if isinstance(name, str) and _is_plain(name)]
        return [(name, _arrow_files(location / name)) for name in names]
    if (location / _STATE).is_file():
        return [("", _arrow_files(location))]
    found: dict[str, list[Path]] = {}
    for place in (location, location / "data"):
        for file in sorted(place.glob("*.parquet")):
            # As `train-00000-of-00002.parquet` is named.
            found.setdefault(file.stem.partition("-")[0], []).append(file)
    return list(found.items())


def _arrow_files(folder: Path) -> list[Path]:
    entries = _json(folder / _STATE).get("_data_files", [])
    names = [entry.get("filename", "") for entry in entries if isinstance(entry, dict)]
    return [folder / name for name in names if isinstance(name, str) and _is_plain(name)]


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"{file} is damaged: it should describe a data set.") from error
    return found if isinstance(found, dict) else {}


def _is_plain(name: str) -> bool:
    """Whether a name stays in its folder."""
    return bool(name) and name == Path(name).name and name != ".."


class _Table:
    """One file, of which a group of rows at most is in memory."""

    def __init__(self, file: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[bytes | None, str | None]] = OrderedDict()
        self._at = -1
        self._group: Any = None
        self._file = file
        source = pa.memory_map(str(file))
        with source:
            is_parquet = source.read(4) == b"PAR1"
        self._parquet = parquet.ParquetFile(file, memory_map=True) if is_parquet else None
        # Batches of a stream are views of the mapped file.
        self._batches: Sequence[pa.RecordBatch] = ()
        if self._parquet is None:
            reader = pa.ipc.open_stream(pa.memory_map(str(file)))
            self.schema, self._batches = reader.schema, list(reader)
            counts = [batch.num_rows for batch in self._batches]
        else:
            self.schema = self._parquet.schema_arrow
            described = self._parquet.metadata
            counts = [described.row_group(at).num_rows for at in range(described.num_row_groups)]
        self._starts = [sum(counts[:at]) for at in range(len(counts) + 1)]
        self.image, self.label, self.names = _columns(self.schema)

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self._starts[-1])

    def labels(self) -> Iterator[str | None]:
        """The class of each row, by name or index; None where it is not stated."""
        for at in range(len(self._starts) - 1):
            if self.label is None:
                yield from [None] * (self._starts[at + 1] - self._starts[at])
                continue
            for value in self._columns_of(at, [self.label]).column(self.label).to_pylist():
                yield self._label(value)

    def _label(self, value: Any) -> str | None:
        if value is None or value == _UNKNOWN or isinstance(value, bool):
            return None
        if self.names and isinstance(value, int):
            return self.names[value] if 0 <= value < len(self.names) else None
        return str(value) or None

    def cell(self, row: int) -> tuple[bytes | None, str | None]:
        """What a row holds as its image: the content of a file, and its path."""
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
                return self._kept[row]
            at = next(at for at, end in enumerate(self._starts[1:]) if row < end)
            if at != self._at:
                self._group = None  # before the next takes its memory
                self._at, self._group = at, self._columns_of(at, [self.image])
            value = self._group.column(self.image)[row - self._starts[at]].as_py()
            if isinstance(value, dict):
                found = (value.get("bytes"), value.get("path"))
            else:
                found = (value, None) if isinstance(value, bytes) else (None, value)
            if len(found[0] or b"") <= _KEPT_BYTES:
                self._kept[row] = found
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return found

    def _columns_of(self, at: int, names: list[str]) -> Any:
        if self._parquet is None:
            return self._batches[at].select(names)
        group = self._parquet.metadata.row_group(at)
        size = sum(
            group.column(c).total_uncompressed_size
            for c in range(group.num_columns)
            if group.column(c).path_in_schema.partition(".")[0] in names
        )
        if size > 4 * MAX_BYTES:
            raise UnreadableImage("A group of rows is too large: save it with fewer rows a group.")
        return self._parquet.read_row_group(at, columns=names)


def _columns(schema: "pa.Schema") -> tuple[str, str | None, tuple[str, ...]]:
    """The columns of images and of classes, and the names of these.

    What `datasets` wrote into the file says which they are; else their names and types do.
    """
    import pyarrow as pa

    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = described.get("info", {}).get("features", {}) if isinstance(described, dict) else {}
    kinds = {name: kind for name, kind in features.items() if isinstance(kind, dict)}
    typed = {name: kind.get("_type") for name, kind in kinds.items() if name in schema.names}
    image = next((name for name, kind in typed.items() if kind == "Image"), None)
    for field in schema:
        inner = {part.name for part in field.type} if pa.types.is_struct(field.type) else set()
        is_cell = {"bytes", "path"} <= inner
        is_plain = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
        if image is None and (is_cell or (is_plain and field.name.casefold() in _IMAGE_COLUMNS)):
            image = field.name
    if image is None:
        raise OptionError(
            f"No column of the data set holds images; there are {', '.join(schema.names)}."
        )
    label = next((name for name, kind in typed.items() if kind == "ClassLabel"), None)
    if label is not None:
        return image, label, tuple(map(str, kinds[label].get("names") or ()))
    by_name = {field.name.casefold(): field for field in schema}
    known = [by_name[name] for name in LABEL_COLUMNS if name in by_name]
    stated = (f for f in known if pa.types.is_integer(f.type) or pa.types.is_string(f.type))
    return image, next((field.name for field in stated), None), ()


@dataclass(frozen=True, eq=False)
class _InTable:
    """The image of one row."""

    table: _Table
    row: int
    folder: Path
    "Of the data set: images that it names rather than holds lie there."

    def read(self) -> bytes:
        """Its content; raises UnreadableImage."""
        import pyarrow as pa

        try:
            data, path = self.table.cell(self.row)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UnreadableImage("The data set is damaged here.") from error
        if data is not None:
            if len(data) > MAX_BYTES:
                raise UnreadableImage(TOO_LARGE)
            return data
        if not path:
            raise UnreadableImage("The row holds no image.")
        place = (self.folder / path).resolve()
        if not place.is_relative_to(self.folder.resolve()):
            raise UnreadableImage("The row names a file out of the data set's folder.")
        return content(place)


def _of_split(split: str, tables: Sequence[_Table], location: Path) -> Part:
    folder = location if location.is_dir() else location.parent
    candidates, start = [], 0
    for table in tables:
        for row, label in enumerate(table.labels()):
            number = f"{split}/{start + row}" if split else str(start + row)
            shown = None if label is None else text(label)
            candidates.append(Candidate(_InTable(table, row, folder), number, None, shown))
        start += table.rows
    names = {table.names for table in tables}
    return Part(tuple(candidates), class_names=names.pop() if len(names) == 1 else ())
