"""Small model files of every format, from which the fuzzer sets out."""

import datetime
import io
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from tests.fuzz.containers import CONTAINERS, TABLE, after_legacy_head, legacy_file

PLAIN, CHECKPOINT, LEGACY, SAFETENSORS, SCRIPT, PT2_TABLE, PT2_PROGRAM = range(len(CONTAINERS))


def _net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 16, 1), nn.ReLU()).eval()


def _contents() -> Iterator[object]:
    """What people save."""
    state = _net().state_dict()
    yield {"w": torch.ones(16), "b": torch.zeros(32, dtype=torch.float16)}
    yield {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}
    yield {"model": state, "ema": state, "time": datetime.datetime(2026, 1, 1), "s": slice(2)}
    yield _net()
    yield nn.DataParallel(_net())
    yield {
        "n_averaged": torch.zeros(8, dtype=torch.int64),
        **{f"module._orig_mod.{n}": v for n, v in state.items()},
    }
    yield {"loss": np.float64(2), "d": defaultdict(int, a=1), "w": torch.ones(4, 4).T}
    yield OrderedDict(w=nn.Parameter(torch.ones(16)), s=torch.ones(16).to_sparse())
    yield [torch.ones(16), {"a": (1, 2.5, None, True, b"x", "y" * 300, 1 << 40)}]


def _record(file: bytes, ending: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith(ending)))


def seeds() -> Iterator[bytes]:
    """Inputs for the fuzzer: the number of a container, and what is in it."""
    for content in _contents():
        stream = io.BytesIO()
        torch.save(content, stream)
        legacy = legacy_file(content)
        yield bytes([PLAIN]) + stream.getvalue()
        yield bytes([PLAIN]) + legacy
        yield bytes([CHECKPOINT]) + _record(stream.getvalue(), "/data.pkl")
        yield bytes([SCRIPT]) + _record(stream.getvalue(), "/data.pkl")
        yield bytes([LEGACY]) + legacy[after_legacy_head(legacy) :]
    file = save({"w": torch.ones(12), "conv.bias": torch.zeros(4)}, {"format": "pt"})
    length = int.from_bytes(file[:8], "little")
    yield bytes([PLAIN]) + file
    yield bytes([SAFETENSORS]) + file[8 : 8 + length]
    yield bytes([PT2_TABLE]) + TABLE
    exported = io.BytesIO()
    torch.export.save(torch.export.export(_net(), (torch.ones(2, 1, 3, 4),)), exported)
    yield bytes([PLAIN]) + exported.getvalue()
    yield bytes([PT2_TABLE]) + _record(exported.getvalue(), "_weights_config.json")
    yield bytes([PT2_PROGRAM]) + _record(exported.getvalue(), "models/model.json")
    for text in (
        b"",
        b"<!doctype html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"\x1f\x8b",
    ):
        yield bytes([PLAIN]) + text
