"""How many threads compute: as many as was asked for, whatever the machine has.

A convolution of one pixel, a product of matrices or a sum over everything takes another order, or
another algorithm, with another number of threads, and its last digit moves (measured: 1, 2, 3, 4, 8
and 16 threads all differ somewhere). So the number is an option with a fixed default, and not what
the machine or `OMP_NUM_THREADS` would give.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_TURNS = "20000"
"Of GNU OpenMP's waiting loop, where it would take 300,000: some 0.05 ms."


@contextmanager
def in_threads(count: int) -> Iterator[None]:
    """PyTorch computes in `count` threads inside, and then again in as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepare() -> None:
    """Says what libraries read when they are loaded; for a process that has none of them yet.

    NumPy's products of matrices depend on the number of threads too, and are too small to need
    more than one. Threads of PyTorch that have nothing to do sleep sooner: on a machine that is
    busy with other things, a thread that waits in a loop for one that has no core takes that core
    from it, and two threads took twenty times as long as one.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("GOMP_SPINCOUNT", _TURNS)
