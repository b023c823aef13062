"""Runs commands in one or several processes that know of each other; a program by itself.

It imports what a build needs once and forks for each process, as tests/write/killer.py does, for
torch takes seconds to import. Several processes find in their environment what `torchrun` puts
there. Lines of JSON come in: the words of a command, how many processes, and which of them is
killed: behind which line of whose progress, after how many new versions of which file, and how many
seconds later. Lines of JSON go out: how each process
ended and what it said.
"""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist


def serve() -> None:
    """Answer every line."""
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        said = [Path(name) / str(rank) for rank in range(asked["size"])]
        children = [_started(asked, rank, store.port, file) for rank, file in enumerate(said)]
        if asked["kill"] is not None:
            file = said[asked["heard"]]
            while asked["line"] not in (file.read_text() if file.exists() else ""):
                time.sleep(0.001)
            _await_writes(Path(asked["file"]), asked["writes"])
            time.sleep(asked["seconds"])
            os.kill(children[asked["kill"]], signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        return {"codes": codes, "told": [file.read_text() for file in said]}


def _await_writes(file: Path, times: int) -> None:
    """Until a file was replaced so often, or made."""
    last = file.stat().st_mtime_ns if file.is_file() else 0
    while times:
        now = file.stat().st_mtime_ns if file.is_file() else 0
        times -= now != last
        last = now
        time.sleep(0.0005)


def _started(asked: dict[str, Any], rank: int, port: int, said: Path) -> int:
    child = os.fork()
    if child:
        return child
    out = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 2)
    os.dup2(out, 1)
    if asked["size"] > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(asked["size"]),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "test",
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }
    words = [word.replace("RANK", str(rank)) for word in asked["words"]]
    sys.argv = ["reportgen", *words]
    from reportgen.cli import main

    try:
        main()
    except SystemExit as left:
        # Not up to where the folder of the answers would go.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(left.code or 0))
    raise AssertionError("the command always exits")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import reportgen.pipeline  # noqa: F401 - for every child

    serve()
