"""Runs commands in processes of their own and ends them in the middle; a program by itself.

It imports what a build needs once and forks for each run, for torch takes seconds to import. Lines
of JSON come in: words of a command, which signal after how many seconds or behind which line of
its progress. Lines of JSON go out: how the process ended, what it said, how long it took to end,
and how many processes outlived it.
"""

import ctypes
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_SUBREAPER = 36
"PR_SET_CHILD_SUBREAPER: whoever loses its parent below us becomes our child."


def serve(run: Callable[[list[str]], NoReturn]) -> None:
    """Answer every line; `run` takes the words of a command and ends the process."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line), run)), flush=True)


def _answer(asked: dict[str, Any], run: Callable[[list[str]], NoReturn]) -> dict[str, Any]:
    descriptor, name = tempfile.mkstemp()
    child = os.fork()
    if not child:
        os.dup2(descriptor, 2)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        run(asked["words"])
    os.close(descriptor)
    said = Path(name)
    _wait_for(asked, child, said)
    sent = time.monotonic()
    if asked["signal"]:
        os.kill(child, asked["signal"])
    _, status = os.waitpid(child, 0)
    took = time.monotonic() - sent
    told = said.read_text()
    said.unlink()
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "told": told, "took": took, "outlived": _outlived()}


def _wait_for(asked: dict[str, Any], child: int, said: Path) -> None:
    """Until the line was said, and then the seconds; no longer than the process lives."""
    while asked["line"] and asked["line"] not in said.read_text() and _lives(child):
        time.sleep(0.001)
    time.sleep(asked["seconds"])


def _lives(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _outlived() -> int:
    """Processes that a run left and that do not end within seconds by themselves."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return 0
    return 1


def command(words: list[str]) -> NoReturn:
    """The command as a process of its own runs it."""
    from reportgen.cli import main

    sys.argv = ["reportgen", *words]
    print(BEGUN, file=sys.stderr, flush=True)
    main()


def writing(words: list[str]) -> NoReturn:
    """Writes two reports in turn to one folder, for ever."""
    from reportgen.write import write_site

    while True:
        for files in PREPARED:
            write_site(files.items(), Path(words[0]))


BEGUN = "The command begins"
"Said before the first line of a command's own."

PREPARED = tuple(
    {"report.json": b"{}", "index.html": bytes(text, "ascii") * 999}
    | {f"img/{text}{index}.png": bytes([index]) * 20_000 for index in range(30)}
    for text in ("one", "two")
)
"Two reports with different files."

if __name__ == "__main__":
    # In the background Ctrl-C is ignored. Before the first fork, for a signal may come before a new
    # process has done anything.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, str(Path(__file__).parents[2]))
    if sys.argv[1] == "writing":
        import reportgen.write as imported
    else:
        import reportgen.pipeline as imported  # noqa: F401 - for every child
    serve({"writing": writing, "command": command}[sys.argv[1]])
