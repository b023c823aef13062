"""The weights in files that torch writes together with code, which is never read."""

import io
import json
import re
import zipfile
from typing import IO, Any

import torch
from torch import Tensor

from reportgen.errors import ModelError

# The numbers that torch.export writes for number formats (its schema's ScalarType).
_DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}


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


def pt2_tensors(stream: IO[bytes], file: str) -> dict[str, Tensor]:
    """The state_dict of a program of `torch.export`: a table in JSON and raw numbers.

    Raises:
        ModelError: if the file holds no such table, or one that is not plain.
    """
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        tables = [name for name in names if name.endswith("_weights_config.json")]
        if len(tables) != 1:
            raise ModelError(
                f"{file} is a .pt2 file with {len(tables)} tables of weights where one is needed; "
                "save it again with torch.export.save of torch 2.10 or later, or its state_dict."
            )
        folder = tables[0].rsplit("/", 1)[0]
        order = [name for name in names if name.endswith("/byteorder")]
        if any(archive.read(name) != b"little" for name in order):
            raise ModelError(f"{file} was written on a big-endian machine, which is not read.")
        try:
            table = json.loads(archive.read(tables[0]))["config"]
            return {name: _pt2_tensor(archive, folder, entry) for name, entry in table.items()}
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            raise ModelError(
                f"{file} has a table of weights that cannot be read: {error}"
            ) from error


def _pt2_tensor(archive: zipfile.ZipFile, folder: str, entry: dict[str, Any]) -> Tensor:
    """One tensor, read within the bounds of its own record."""
    if entry["use_pickle"]:
        raise ValueError("it asks for a pickle")
    if not re.fullmatch(r"\w+", entry["path_name"]):
        raise ValueError(f"{entry['path_name']} is no plain record name")
    layout = entry["tensor_meta"]
    dtype = _DTYPES.get(layout["dtype"])
    if dtype is None:
        raise ValueError(f"number format {layout['dtype']} is not supported")
    sizes = [int(size["as_int"]) for size in layout["sizes"]]
    strides = [int(stride["as_int"]) for stride in layout["strides"]]
    offset = int(layout["storage_offset"]["as_int"])
    raw = bytearray(archive.read(f"{folder}/{entry['path_name']}"))
    if not raw:
        return torch.empty(sizes, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if min([offset, *sizes, *strides]) < 0 or last >= flat.numel():
        raise ValueError(f"{entry['path_name']} is smaller than its shape")
    return flat.as_strided(sizes, strides, offset)
