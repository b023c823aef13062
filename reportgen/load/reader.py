"""The child process that reads a model file: forgets its parent, takes limits, writes a parcel."""

import codecs
import contextlib
import errno
import faulthandler
import gc
import io
import os
import signal
import sys
from pathlib import Path
from typing import IO, NoReturn

import torch

from reportgen.errors import ModelError
from reportgen.load.checkpoint import Checkpoint, read_checkpoint
from reportgen.load.limits import Limits, is_out_of_memory
from reportgen.load.parcel import pack, pack_failure
from reportgen.load.program_file import read_program
from reportgen.load.pruned_files import description

OUT_OF_MEMORY = 77
"Exit code of a reader that had no memory left, not even to write that down."
_ASKS_FOR_MORE = (
    "asks its reader for a file or a part of Python that no model file needs; save it again."
)
_ENCODINGS = ("cp437", "latin-1", "raw-unicode-escape", "utf-16", "utf-32")
"What names in zip archives, texts in pickles and JSON may be written in."
_STANDARD = 3
"File descriptors below are standard input, output and error."


def rehearse() -> None:
    """Read a file of our own: all is imported that reading takes, while files can be opened."""
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)
    for is_new in (True, False):
        file = io.BytesIO()
        torch.save(torch.ones(1), file, _use_new_zipfile_serialization=is_new)
        file.seek(0)
        torch.load(file, weights_only=True)


def read_and_leave(
    path: Path, stream: IO[bytes], weights_key: str, out: IO[bytes], limits: Limits
) -> NoReturn:
    """Be the reader: read the model file in `stream`, write a parcel to `out`, end the process.

    Args:
        path: where the file lies, for its name in messages.
        stream: the file.
        weights_key: which entry of a wrapped checkpoint to take.
        out: where the parcel goes; is empty.
        limits: what this may take.
    """
    status = 1
    try:
        _forget_the_parent((stream.fileno(), out.fileno()))
        limits.impose()
        try:
            checkpoint = read_checkpoint(path, stream, weights_key)
            _rehearse_reading(path, checkpoint)
            pack(checkpoint, out, limits.parcel, path.name)
            status = 0
        # A refusal is handed on; so is whatever else it was, for whoever waits to raise.
        except Exception as error:
            if is_out_of_memory(error):
                status = OUT_OF_MEMORY
            elif isinstance(error, OSError) and error.errno == errno.EMFILE:
                pack_failure(ModelError(f"{path.name} {_ASKS_FOR_MORE}"), out)
            else:
                pack_failure(error, out)
    finally:
        # Nothing of the parent's is flushed or cleaned up a second time.
        os._exit(status)


def serve(path: str, weights_key: str) -> NoReturn:
    """Be the reader in a fresh Python: the file is standard input, the parcel standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stream, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    limits = Limits.for_file(os.fstat(stream.fileno()).st_size)
    rehearse()
    read_and_leave(Path(path), stream, weights_key, out, limits)


def _rehearse_reading(path: Path, checkpoint: Checkpoint) -> None:
    """Read the JSON in a program as the parent will: what ends this process never reaches it."""
    if checkpoint.exported:
        description(path, "", checkpoint.exported)
        with contextlib.suppress(ModelError):
            read_program(checkpoint.exported.program, path.name)


def _forget_the_parent(kept: tuple[int, ...]) -> None:
    """Drop what a fork inherits: handlers of signals, open files, threads of PyTorch."""
    faulthandler.disable()
    gc.disable()
    # Threads are not inherited, and a pool that believes to have some would wait for them.
    torch.set_num_threads(1)
    _ignore_signals()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(_STANDARD):
        if standard not in kept:
            os.dup2(null, standard)
    last = _STANDARD - 1
    for descriptor in sorted({*kept, 1 << 20}):
        os.closerange(last + 1, descriptor)
        last = descriptor


def _ignore_signals() -> None:
    """Leave Ctrl-C and its like to the parent, which ends this process; the rest as at first."""
    if sys.platform == "win32":
        return
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
