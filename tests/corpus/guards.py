"""Watches what a process does while it reads a bad file: nothing but read it, and use its worker.

The watch is an audit hook of Python, which cannot be taken off again; so there is one, which looks
only while a `watched()` block runs. Processes that are forked meanwhile inherit it, and what they
do stands in the same log: the worker that reads model files is watched like everything else.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TELLING = ("socket.", "os.exec", "os.posix_spawn", "os.spawn", "pty.", "ftplib.", "urllib.")
_TELLING_NAMES = frozenset(
    {"subprocess.Popen", "os.system", "os.startfile", "webbrowser.open", "smtplib.connect"}
    | {"marshal.loads", "marshal.load", "os.putenv", "shutil.rmtree", "ctypes.dlopen"}
)
_OURS = ("reportgen.figures.press", "reportgen.load.limited")
"Modules that start workers."

# The log of the block that runs, and the process that opened it; None outside of any.
_log: int | None = None
_opener = 0


def _notice(event: str, arguments: tuple[Any, ...]) -> None:
    if _log is None or not _is_forbidden(event, arguments):
        return
    os.write(_log, f"{event} {str(arguments)[:200]}\n".encode(errors="replace"))


def _is_forbidden(event: str, arguments: tuple[Any, ...]) -> bool:
    if event in ("os.fork", "subprocess.Popen"):
        return not any(name in _OURS for name in _callers())
    if event == "marshal.loads":
        # Python reads its own compiled modules so.
        return not any(name.startswith(("importlib", "zipimport")) for name in _callers())
    if event == "ctypes.dlopen":
        return arguments[0] is not None and os.getpid() != _opener
    if event == "os.putenv":
        return os.getpid() != _opener
    return event in _TELLING_NAMES or event.startswith(_TELLING)


def _callers() -> Iterator[str]:
    frame = sys._getframe(2)
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back  # type: ignore[assignment]


_is_installed = False


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Lists what was done in the block that no file may bring about; complete when it has ended."""
    global _log, _opener, _is_installed
    if not _is_installed:
        sys.addaudithook(_notice)
        _is_installed = True
    done: list[str] = []
    # Without a buffer: each event stands there at once, whoever writes it, and however it ends.
    with tempfile.TemporaryFile(buffering=0) as log:
        _log, _opener = log.fileno(), os.getpid()
        try:
            yield done
        finally:
            _log = None
            log.seek(0)
            done += log.read().decode().splitlines()


def state_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every file and folder below `folder`, with what changes when somebody touches it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        known = path.lstat()
        found[str(path.relative_to(folder))] = (
            known.st_mode, known.st_size, known.st_mtime_ns, known.st_ino
        )  # fmt: skip
    return found


def children() -> set[int]:
    """Ids of the processes that this one started and that are there, dead ones too."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir() if sys.platform == "linux" else ():
        found |= {int(word) for word in (task / "children").read_text().split()}
    return found
