"""Work that threads do ahead of who needs it: a bounded amount, handed over in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from reportgen.options import Options

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 16
"Threads that are taken unasked: decoding more at a time than this, memory is what is short."


def ahead(
    make: Callable[[Item], Result], items: Iterable[Item], workers: int, count: int
) -> Iterator[Result]:
    """What is made of each item, in order.

    An error comes where its result would have come; what is not begun by then, or when nobody
    wants more, is not done.

    Args:
        make: runs in a thread.
        items: taken one by one.
        workers: threads; with 0 nothing is done ahead.
        count: results, at most, that are made and wait.
    """
    if not workers:
        yield from map(make, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, "images") as threads:
        try:
            for item in items:
                waiting.append(threads.submit(make, item))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def workers_of(options: Options) -> int:
    """Threads that are asked for, else one for each processor that PyTorch leaves free.

    Where it leaves none, threads that decode would only take turns with the network's.
    """
    if options.workers is not None:
        return options.workers
    known = getattr(os, "sched_getaffinity", None)
    processors = len(known(0)) if known else os.cpu_count() or 1
    is_gpu = options.device.startswith("cuda")
    is_gpu |= options.device == "auto" and torch.cuda.is_available()
    return min(MOST, max(0, processors - (0 if is_gpu else options.threads)))
