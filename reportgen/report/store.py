"""A report to files and back: `report.json`, with arrays, long tables and pictures beside it.

The layout is described key by key in `docs/report-schema.md`. What holds everywhere:

- An array is a reference such as `"arrays/occlusion.npz#chelsea.array"`; one that is used twice
  is stored once.
- A table of more than 32 rows is kept in its CSV, such as `data/weights.table.csv`.
- Strict JSON: a number that is not finite is written as null. It is read back as NaN where a number
  must stand (`Parameter.mean`), as None elsewhere. Arrays keep such values.
- The same report gives the same bytes: keys keep the order of the fields and of the panels' makers.
- An unknown key is left aside; an unknown `schema_version` is refused.
"""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from cattrs import BaseValidationError, transform_error

from reportgen.errors import OptionError
from reportgen.report.archive import read_member, written_archive
from reportgen.report.arrays import Array
from reportgen.report.decode import ReadArray, ReadFile, decoded
from reportgen.report.encode import Encoder
from reportgen.report.layout import EVERY_LEVEL, json_text
from reportgen.report.records import SCHEMA_VERSION, Report
from reportgen.report.tables import MANY_LAYERS

FILE = "report.json"
_REFERENCE = re.compile(r"arrays/\w[\w.-]*\.npz#[\w.-]+", re.ASCII)
_DAMAGED = (
    KeyError,
    ValueError,
    EOFError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
_PICTURE = re.compile(r"img/\w[\w.-]*\.(?:png|webp)", re.ASCII)

_TABLE = re.compile(r"data/\w[\w.-]*\.csv(?:\.gz)?", re.ASCII)


def stored(report: Report) -> Iterator[tuple[str, bytes]]:
    """The files of `report` as (path, content): `report.json`, arrays, long tables, pictures.

    Raises:
        ValueError: if a fact, an array and a section clash in name.
    """
    encoder = Encoder(report)
    # A file name that is not UTF-8 reaches us as lone surrogates; this writes them as JSON escapes.
    # A deep network has one line a layer: spaces would be half a megabyte.
    levels = 2 if len(report.layers) > MANY_LAYERS else EVERY_LEVEL
    text = json_text(encoder.document, levels=levels)
    yield FILE, f"{text}\n".encode("utf-8", "backslashreplace")
    for path, arrays in encoder.archives.items():
        yield path, written_archive(arrays)
    yield from encoder.tables.items()
    yield from encoder.pictures.items()


def load_report(folder: Path, *, pictures: bool = False) -> Report:
    """The report that was written to `folder`. Nothing in its files is executed.

    With `pictures` they are read too; pages need only their paths.

    Raises:
        OptionError: if there is no report, one of another schema, or a damaged one.
    """

    def content(name: str) -> bytes:
        try:
            location = (folder / name).resolve(strict=True)
            if location.is_relative_to(folder.resolve()):
                return location.read_bytes()
        except OSError as error:
            raise OptionError(
                f"cannot read {folder / name} ({error.strerror}); "
                "give the whole folder that `reportgen build` wrote"
            ) from None
        raise OptionError(f"{folder / name} leads out of the report; build the report again")

    return report_in(content, pictures=pictures)


def report_in(content: Callable[[str], bytes], *, pictures: bool = False) -> Report:
    """The report in files that `content` gives by path, such as `dict(stored(report)).__getitem__`.

    Raises:
        OptionError: if it is of another schema, or damaged.
    """
    with ExitStack() as opened:
        archives: dict[str, zipfile.ZipFile] = {}

        def read_array(reference: str) -> Array:
            file, key = reference.split("#")
            try:
                if file not in archives:
                    archive = zipfile.ZipFile(io.BytesIO(content(file)))
                    archives[file] = opened.enter_context(archive)
                return read_member(archives[file], key)
            except _DAMAGED:
                raise OptionError(
                    f"{file} is damaged or lacks the array {key}; build the report again"
                ) from None

        def read_picture(path: str) -> bytes:
            return content(path) if pictures else b""

        return report_from(content(FILE), read_array, content, read_picture)


def report_from(
    text: bytes,
    read_array: ReadArray,
    read_table: ReadFile,
    read_picture: ReadFile = lambda path: b"",
) -> Report:
    """The report in the bytes of a `report.json`.

    Args:
        text: the file's content.
        read_array: gives the array for a reference; asked once for each.
        read_table: gives the CSV of a long table.
        read_picture: gives the file for a path; empty where only the path is needed.

    Raises:
        OptionError: if it is of another schema, or damaged.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
        version = document["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(str(error)) from None
    if version != SCHEMA_VERSION:
        raise OptionError(
            f"{FILE} has schema version {version!r} and this reportgen reads {SCHEMA_VERSION}; "
            "build the report again, or use the reportgen that wrote it"
        )

    @cache
    def array(reference: str) -> Array:
        if not _REFERENCE.fullmatch(reference):
            raise _damaged(f"{reference!r} is no reference to an array")
        return read_array(reference)

    def picture(path: str) -> bytes:
        if not _PICTURE.fullmatch(path):
            raise _damaged(f"{path!r} is no path of a picture")
        return read_picture(path)

    def table(path: str) -> bytes:
        if not _TABLE.fullmatch(path):
            raise _damaged(f"{path!r} is no path of a table")
        return read_table(path)

    try:
        return decoded(document, array, picture, table)
    except BaseValidationError as errors:
        for leaf in _leaves(errors):
            if isinstance(leaf, OptionError):
                raise leaf from None
        raise _damaged(transform_error(errors)[0]) from None


def _damaged(detail: str) -> OptionError:
    return OptionError(f"{FILE} is damaged: {detail}; build the report again")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
