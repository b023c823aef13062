"""What must hold of every file that is opened as a model, whatever its bytes."""

import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from reportgen.errors import ModelError, UnsafeModelError
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.model import _printable
from reportgen.load.network import network_for
from reportgen.load.request import Request
from tests.fuzz.containers import contained

_ACTS = ("subprocess.", "socket.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove")
_ACTS += (
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "shutil.",
    "ctypes.",
    "urllib.",
    "pty.",
    "webbrowser.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Watch:
    """Notes what is done to the machine while a file is read."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.thread = 0
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if threading.get_ident() != self.thread:
            return
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if opened or event.startswith(_ACTS):
            self.seen.append(f"{event} {arguments!r:.200}")

    def __enter__(self) -> "Watch":
        self.seen.clear()
        self.thread = threading.get_ident()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread = 0


_WATCH = Watch()
"One for the process: an audit hook stays."


def outcome(data: bytes) -> str:
    """What reading the model file that `data` stands for comes to: a format, or one sentence.

    Raises:
        AssertionError: if something was done besides reading.
        Exception: whatever is no error that a user is told.
    """
    before = get_safe_globals()
    with _WATCH:
        try:
            told = _read(contained(data))
        except (ModelError, UnsafeModelError) as error:
            told = _printable(str(error))
            assert told.startswith("m.pth ") and told.rstrip().endswith((".", ")", "?")), told
            assert "Traceback" not in told and len(told) < 3000, told
        finally:
            # The process that reads a file ends with it; this one goes on to the next.
            clear_safe_globals()
            add_safe_globals(before)
            torch._utils._get_sparse_tensors_to_validate().clear()
    assert _WATCH.seen == [], _WATCH.seen
    return told


def _read(file: bytes) -> str:
    checkpoint = read_checkpoint(Path("m.pth"), io.BytesIO(file))
    assert checkpoint.tensors
    for name, tensor in checkpoint.tensors.items():
        assert isinstance(name, str) and type(tensor) is Tensor and not tensor.requires_grad
        assert tensor.layout == torch.strided and not tensor.is_meta
    network_for(Request("m.pth", "", checkpoint, "", {}))
    return checkpoint.format
