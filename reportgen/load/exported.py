"""The weights in files that torch writes together with code, which is never read."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

import torch
from torch import Tensor

from reportgen.errors import ModelError
from reportgen.load.program_file import DTYPES


def without_code(stream: IO[bytes]) -> IO[bytes]:
    """A TorchScript file as an ordinary checkpoint: its object and its tensors, no code."""
    kept = io.BytesIO()
    with zipfile.ZipFile(stream) as archive, zipfile.ZipFile(kept, "w") as copy:
        for name in archive.namelist():
            inside = name.split("/", 1)[-1]
            if not inside.startswith(("code/", "constants", "extra/")):
                copy.writestr(name, archive.read(name))
    kept.seek(0)
    return kept


@dataclass(frozen=True, eq=False)
class Exported:
    """What a program of `torch.export` holds beside its weights, as it lies in the file."""

    program: bytes
    "JSON; empty where there is none, or more than one."
    constants: Mapping[str, Tensor]
    "Tensors that are no part of the state_dict."
    pruned: bytes
    "What `reportgen prune` put beside the program; empty otherwise."


def pt2_contents(stream: IO[bytes], file: str) -> tuple[dict[str, Tensor], Exported]:
    """The state_dict of a program of `torch.export`, and the rest: JSON and raw numbers.

    Raises:
        ModelError: if the file holds no table of weights, or one that is not plain.
    """
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        tables = [name for name in names if name.endswith("_weights_config.json")]
        if len(tables) != 1:
            raise ModelError(
                f"{file} is a .pt2 file with {len(tables)} tables of weights where one is needed; "
                "save it again with torch.export.save of torch 2.10 or later, or its state_dict."
            )
        order = [name for name in names if name.endswith("/byteorder")]
        if any(archive.read(name) != b"little" for name in order):
            raise ModelError(f"{file} was written on a big-endian machine, which is not read.")
        constants = [name for name in names if name.endswith("_constants_config.json")]
        programs = [name for name in names if re.search(r"^[^/]*/models/[^/]*\.json$", name)]
        extras = [name for name in names if name.endswith("/extra/reportgen.json")]
        return _table(archive, tables[0], file), Exported(
            program=archive.read(programs[0]) if len(programs) == 1 else b"",
            constants=_table(archive, constants[0], file, is_optional=True) if constants else {},
            pruned=archive.read(extras[0]) if extras else b"",
        )


def _table(
    archive: zipfile.ZipFile, record: str, file: str, *, is_optional: bool = False
) -> dict[str, Tensor]:
    """All tensors that a table names, from the records in its folder."""
    folder = record.rsplit("/", 1)[0]
    try:
        table = json.loads(archive.read(record))["config"]
        # Tensors that were one in memory name one record.
        raw = cache(lambda name: bytearray(archive.read(f"{folder}/{name}")))
        return {
            name: _pt2_tensor(raw, entry)
            for name, entry in table.items()
            # A constant may be an object, which is never read, and which no network here needs.
            if not (is_optional and entry["use_pickle"])
        }
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        words = str(error.args[0] if error.args else error)[:200].rstrip(".")
        raise ModelError(f"{file} has a table of weights that cannot be read: {words}.") from error


def _pt2_tensor(content: Callable[[str], bytearray], entry: dict[str, Any]) -> Tensor:
    """One tensor, read within the bounds of its own record."""
    if entry["use_pickle"]:
        raise ValueError("it asks for a pickle")
    if not re.fullmatch(r"\w+", entry["path_name"]):
        raise ValueError(f"{entry['path_name']} is no plain record name")
    layout = entry["tensor_meta"]
    dtype = DTYPES.get(layout["dtype"])
    if dtype is None:
        raise ValueError(f"number format {layout['dtype']} is not supported")
    sizes = [int(size["as_int"]) for size in layout["sizes"]]
    strides = [int(stride["as_int"]) for stride in layout["strides"]]
    offset = int(layout["storage_offset"]["as_int"])
    raw = content(entry["path_name"])
    if not raw and 0 in sizes:
        return torch.empty(sizes, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if min([offset, *sizes, *strides]) < 0 or last >= flat.numel():
        raise ValueError(f"{entry['path_name']} is smaller than its shape")
    return flat.as_strided(sizes, strides, offset)
