"""A checkpoint as bytes that are only data: how it leaves the process that read it.

First where the JSON stands and how long it is, then raw numbers, then the JSON: what was read, or
why nothing was. Tensors are used where they lie, so that opening a parcel copies none.
"""

import json
import struct
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import IO, Any, TypeAlias

import torch
from torch import Tensor

from reportgen.errors import ModelError, OptionError, ReportgenError, UnsafeModelError
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.exported import Exported
from reportgen.load.salvage import SavedModule

_FRONT = struct.Struct("<QQ")
_ALIGNMENT = 64
"Bytes, as of PyTorch's own tensors."
_REFUSALS = {kind.__name__: kind for kind in (ModelError, OptionError, UnsafeModelError)}

Place: TypeAlias = tuple[str, list[int], int]
"Number format, shape and offset of a tensor."


def pack(checkpoint: Checkpoint, out: IO[bytes], most: int, file: str) -> None:
    """Write a checkpoint; tensors that are one in memory are written once.

    Args:
        checkpoint: whose tensors are plain ones on the CPU.
        out: empty, and open for writing.
        most: bytes that its tensors may have.
        file: name of the file, for messages.

    Raises:
        ModelError: if they have more, which only tensors that repeat their numbers can.
    """
    out.seek(_FRONT.size)
    places: dict[object, Place] = {}

    def placed(tensor: Tensor) -> Place:
        kind, shape = str(tensor.dtype).removeprefix("torch."), list(tensor.shape)
        key = (tensor.data_ptr(), kind, *shape, tensor.stride())
        if key not in places:
            start = -(-out.tell() // _ALIGNMENT) * _ALIGNMENT
            if start + tensor.nbytes > most:
                raise ModelError(f"{file} holds tensors that repeat few numbers {most:,} times.")
            out.seek(start)
            out.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            places[key] = kind, shape, start
        return places[key]

    def table(tensors: Mapping[str, Tensor]) -> dict[str, Place]:
        return {name: placed(tensor) for name, tensor in tensors.items()}

    def text(content: bytes) -> tuple[int, int]:
        return out.tell(), out.write(content)

    exported = checkpoint.exported
    _finish(
        out,
        {
            "tensors": table(checkpoint.tensors),
            "format": checkpoint.format,
            "notes": checkpoint.notes,
            "modules": {path: asdict(module) for path, module in checkpoint.modules.items()},
            "exported": exported
            and {
                "program": text(exported.program),
                "constants": table(exported.constants),
                "pruned": text(exported.pruned),
            },
        },
    )


def pack_failure(error: BaseException, out: IO[bytes]) -> None:
    """Write why there is no checkpoint: a refusal, or a fault of ours with where it happened."""
    if isinstance(error, ReportgenError) and type(error).__name__ in _REFUSALS:
        _finish(out, {"refusal": type(error).__name__, "sentence": str(error)})
    else:
        trace = "".join(traceback.format_exception(error))
        _finish(out, {"fault": f"{type(error).__name__}: {error}", "trace": trace})


def _finish(out: IO[bytes], said: Mapping[str, Any]) -> None:
    """Write the JSON, then the front: a parcel that was not finished has none."""
    content = json.dumps(said).encode()
    start = max(out.tell(), _FRONT.size)
    out.seek(start)
    out.write(content)
    out.seek(0)
    out.write(_FRONT.pack(start, len(content)))
    out.flush()


def is_finished(data: Any) -> bool:
    """Whether a parcel is whole."""
    if len(data) < _FRONT.size:
        return False
    start, length = _FRONT.unpack(data[: _FRONT.size])
    return bool(length) and start + length <= len(data)


def unpack(data: Any) -> Checkpoint:
    """The checkpoint in a finished parcel, whose tensors stay where they lie.

    Raises:
        ReportgenError: that was written in its place.
        RuntimeError: for a fault of ours.
    """
    start, length = _FRONT.unpack(data[: _FRONT.size])
    said = json.loads(data[start : start + length])
    if "refusal" in said:
        raise _REFUSALS[said["refusal"]](said["sentence"])
    if "fault" in said:
        fault = RuntimeError(said["fault"])
        fault.add_note(said["trace"])
        raise fault

    @cache
    def tensor(kind: str, shape: tuple[int, ...], offset: int) -> Tensor:
        dtype = getattr(torch, kind)
        count = torch.empty(shape, device="meta").numel()
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(data, dtype=dtype, count=count, offset=offset).reshape(shape)

    def table(places: Mapping[str, Place]) -> dict[str, Tensor]:
        return {
            name: tensor(k, tuple(shape), offset) for name, (k, shape, offset) in places.items()
        }

    def text(start: int, length: int) -> bytes:
        return bytes(data[start : start + length])

    exported = said["exported"]
    return Checkpoint(
        tensors=table(said["tensors"]),
        format=said["format"],
        notes=tuple(said["notes"]),
        modules={path: _module(entry) for path, entry in said["modules"].items()},
        exported=exported
        and Exported(
            program=text(*exported["program"]),
            constants=table(exported["constants"]),
            pruned=text(*exported["pruned"]),
        ),
    )


def _module(entry: Mapping[str, Any]) -> SavedModule:
    """What a file says of a module; JSON knows no tuples, which are all the lists there can be."""
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry["settings"].items()
    }
    return SavedModule(entry["name"], settings, entry["is_leaf"], entry["has_hooks"])
