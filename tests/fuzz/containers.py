"""Puts fuzzed bytes where they matter: a file of noise would stop at its first checksum."""

import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping

import torch

_STORAGES = {f"data/{number}": bytes(64) for number in range(12)}
"What the tensors of a fuzzed pickle find: 16 numbers each, which torch wants to be exact."
Container = Callable[[bytes], bytes]


def _zipped(records: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            archive.writestr(f"m/{name}", content)
    return stream.getvalue()


def _checkpoint(data: bytes) -> bytes:
    return _zipped({"data.pkl": data, "byteorder": b"little", **_STORAGES, "version": b"3\n"})


def _script(data: bytes) -> bytes:
    return _zipped(
        {"data.pkl": data, "constants.pkl": b"\x80\x02).", **_STORAGES, "version": b"3\n"}
    )


def after_legacy_head(file: bytes) -> int:
    """Where the magic number, the version and the machine end in a file of torch before 1.6."""
    stream = io.BytesIO(file)
    for _ in range(3):
        for _ in pickletools.genops(stream):
            pass
    return stream.tell()


def legacy_file(content: object) -> bytes:
    """What torch before 1.6 wrote."""
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


_NOTHING = legacy_file({})
_LEGACY_HEAD = _NOTHING[: after_legacy_head(_NOTHING)]


def _safetensors(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data + bytes(64)


def _entry(number: int, *shape: int) -> dict[str, object]:
    return {
        "path_name": f"weight_{number}",
        "is_param": True,
        "use_pickle": False,
        "tensor_meta": {
            "dtype": 7,
            "sizes": [{"as_int": size} for size in shape],
            "strides": [{"as_int": 1} for _ in shape],
            "storage_offset": {"as_int": 0},
        },
    }


TABLE = json.dumps(
    {"config": {"0.weight": _entry(0, 16, 1, 1, 1), "0.bias": _entry(1, 16)}}
).encode()
_PT2 = {"archive_format": b"pt2", "byteorder": b"little", "version": b"0"}
_PT2 |= {f"data/weights/weight_{number}": bytes(64) for number in range(4)}


def _table(data: bytes) -> bytes:
    return _zipped({**_PT2, "data/weights/m_weights_config.json": data})


def _program(data: bytes) -> bytes:
    table = {"data/weights/m_weights_config.json": TABLE}
    return _zipped({**_PT2, **table, "models/m.json": data})


CONTAINERS: tuple[Container, ...] = (
    bytes,
    _checkpoint,
    lambda data: _LEGACY_HEAD + data,
    _safetensors,
    _script,
    _table,
    _program,
)
"By the first byte of an input; the rest is what they hold."


def contained(data: bytes) -> bytes:
    """The model file that an input of the fuzzer stands for."""
    return CONTAINERS[data[0] % len(CONTAINERS)](data[1:]) if data else b""
