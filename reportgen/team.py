"""The processes that `torchrun` started for one run, and what they say to each other.

They share the images; the first makes the rest of the report and writes it. What is exchanged are
arrays in the memory of the machine, once in a run, so that gloo carries them on GPUs too. There are
no pickles in it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from reportgen.errors import EndedError

if TYPE_CHECKING:
    from torch import Tensor

    from reportgen.report.arrays import Array

    Rows: TypeAlias = Mapping[str, Array]
    Move: TypeAlias = Callable[[Tensor], object]

_PIECE = 1 << 28
"Bytes that go at a time."
_LONGEST = timedelta(days=30)
"That one process waits for another: nobody knows how long a share takes. A dead one is noticed."

_stores: list[Any] = []
"What all processes of this run can write in, once it is known."


class Processes:
    """The processes of a run: what `passing.Team` asks for."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size

    def gathered(self, rows: "Rows | None") -> "Iterator[Rows]":
        """On the first process what all others give, in their order; they get nothing.

        Raises:
            EndedError: if another process has ended.
        """
        import torch.distributed as dist

        if rows is not None:
            with self._others_there():
                _give(rows, lambda tensor: dist.send(tensor, 0))
            return
        for rank in range(1, self.size):
            with self._others_there():
                found = _taken(lambda tensor, rank=rank: dist.recv(tensor, rank))  # type: ignore[misc]
            yield found

    def told(self, rows: "Rows | None") -> "Rows":
        """What the first process gives.

        Raises:
            EndedError: if another process has ended.
        """
        import torch.distributed as dist

        def move(tensor: "Tensor") -> None:
            dist.broadcast(tensor, 0)

        with self._others_there():
            if rows is None:
                return _taken(move)
            _give(rows, move)
            return rows

    @contextmanager
    def _others_there(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # gloo says it in many ways, and has no class for it
            raise EndedError(
                f"Another of the {self.size} processes of this run ended before its share was "
                "done; the same command with --resume takes up what was kept."
            ) from error


@contextmanager
def processes() -> Iterator[Processes | None]:
    """The processes that `torchrun` started, this one among them; None where there are no others.

    With GPUs each process takes one of its machine.
    """
    if not _are_several():
        yield None
        return
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    store, rank, size = next(rendezvous("env://", timeout=_LONGEST))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=_LONGEST)
    _stores.append(store)
    try:
        yield Processes(rank, size)
    finally:
        dist.destroy_process_group()


def is_to_tell() -> bool:
    """Whether this process is to say how the run ends: the first one that asks.

    What goes wrong in one process ends all others, and what was typed wrong is so for all.
    """
    if not _are_several():
        return True
    if not _stores:
        return os.environ["RANK"] == "0"
    try:
        return bool(_stores[0].add("reportgen/told", 1) == 1)
    except RuntimeError:  # who keeps it has ended; better told twice than never
        return True


def _are_several() -> bool:
    """Whether `torchrun` started this process and others; not that somebody trains with them."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def _give(rows: "Rows", move: "Move") -> None:
    """Sends arrays: how long the list of them is, the list, and the bytes of each."""
    import numpy as np
    import torch

    flat = {name: np.ascontiguousarray(row) for name, row in rows.items()}
    listed = [(name, row.dtype.str, row.shape) for name, row in flat.items()]
    told = np.frombuffer(json.dumps(listed).encode(), np.uint8)
    move(torch.tensor([len(told)]))
    for row in (told, *flat.values()):
        for piece in _pieces(row.reshape(-1).view(np.uint8)):
            move(torch.from_numpy(piece.copy() if not piece.flags.writeable else piece))


def _taken(move: "Move") -> "Rows":
    """Receives what `_give` sends."""
    import numpy as np
    import torch

    length = torch.zeros(1, dtype=torch.int64)
    move(length)
    told = np.empty(int(length), np.uint8)
    rows: dict[str, Array] = {}
    for piece in _pieces(told):
        move(torch.from_numpy(piece))
    for name, kind, shape in json.loads(told.tobytes()):
        rows[name] = np.empty(shape, kind)
        for piece in _pieces(rows[name].reshape(-1).view(np.uint8)):
            move(torch.from_numpy(piece))
    return rows


def _pieces(values: "Array") -> "Iterator[Array]":
    for start in range(0, len(values), _PIECE):
        yield values[start : start + _PIECE]
