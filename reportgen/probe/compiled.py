"""Runs compiled code over activations, in the threads that PyTorch has anyway."""

import ctypes
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe import kernels, lanes
from reportgen.probe.nine import enter, merge
from reportgen.probe.reduction import Highest


def summary(
    values: torch.Tensor,
    columns: torch.Tensor,
    highest: torch.Tensor,
    places: torch.Tensor,
    *,
    are_side_by_side: bool,
) -> tuple[torch.Tensor, bool]:
    """Fills in what `reduction.Part` holds of some values, in all threads that PyTorch uses.

    Args:
        values: (images units positions), float32 on the CPU, contiguous, none of the axes empty.
        columns: (columns units)
        highest: (images units)
        places: first position of each of these, (images units).
        are_side_by_side: whether the values lie in memory as (images positions units) instead.

    Returns:
        Values in each of 256 bins, and then the exponent of the bins' width, one row a thread; and
        whether a value is not finite.
    """
    threads = torch.get_num_threads()
    bins = torch.empty((threads, 257), dtype=torch.int64)
    tensors = (values, highest, places, columns, bins)
    job = _job(0, 0, *values.shape, *(tensor.data_ptr() for tensor in tensors), 0)
    _run(lanes.summarise if are_side_by_side else kernels.summarise, job, threads)
    # The first counter says how many threads there were: seldom fewer than asked for.
    return bins if job[0] == threads else bins[: job[0]], bool(job[10])


def enter_nine(highest: Highest, first: int, nine: Sequence[NDArray[Any]]) -> None:
    """Puts images into each unit's nine.

    Args:
        highest: what is highest in them, on the CPU, contiguous.
        first: index of the first image.
        nine: value (units 9), larger ones first, image, and position; -1 where there is none.
    """
    found = (highest.values.data_ptr(), highest.places.data_ptr())
    job = _job(0, *highest.values.shape, first, *found, *_addresses(*nine))
    _run(enter, job, torch.get_num_threads())


def merge_nine(nine: Sequence[NDArray[Any]], more: Sequence[NDArray[Any]]) -> None:
    """Puts the images of one unit's nine into another nine, for every unit.

    Args:
        nine: value (units 9), larger ones first, image, and position; -1 where there is none.
        more: the same of other images.
    """
    addresses = _addresses(*nine, *more)
    _run(merge, _job(0, len(nine[0]), *addresses), 1)


def painted(
    maps: torch.Tensor, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float64]]:
    """Levels of each map between its lowest and its highest finite value, and the mean map.

    Args:
        maps: (units h w), float32 on the CPU, contiguous, none of the axes empty.
        shape: rows and columns of the levels, at most h and w; areas are averaged.

    Returns:
        Lowest and highest value (2 units), levels 0 to 254 (units rows columns), and the mean over
        the units (h w), float64.
    """
    units, height, width = maps.shape
    ranges, levels = np.empty((2, units), np.float32), np.empty((units, *shape), np.uint8)
    mean = np.empty((height, width))
    addresses = _addresses(ranges, levels, mean)
    job = _job(0, units, height, width, *shape, maps.data_ptr(), *addresses)
    _run(kernels.paint, job, torch.get_num_threads())
    return ranges, levels, mean


@cache
def _openmp() -> Any:
    """`GOMP_parallel` of the library whose threads PyTorch works with; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        # Looked up among what PyTorch itself needs, whatever that library is called: the threads of
        # another one, which other packages bring along, would fight with PyTorch's.
        return ctypes.CDLL("libtorch_cpu.so", mode=os.RTLD_NOLOAD | os.RTLD_NOW).GOMP_parallel
    except (OSError, AttributeError):
        return None


@cache
def _single(address: int) -> Any:
    """The function at an address, which Python lets other threads run beside."""
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)


def _addresses(*arrays: Any) -> list[int]:
    """Where arrays that are contiguous, and not empty, lie; quicker than numpy tells."""
    return [ctypes.addressof(ctypes.c_char.from_buffer(array)) for array in arrays]


def _job(*numbers: int) -> Any:
    """An array of integers that compiled code reads and writes."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


def _run(entry: Any, job: Any, threads: int) -> None:
    """Has a job done in as many threads as PyTorch uses; in one where those cannot be had."""
    parallel = _openmp()
    if parallel is None or threads == 1:
        _single(entry.address)(job)
    else:
        parallel(ctypes.c_void_p(entry.address), job, ctypes.c_uint(threads), ctypes.c_uint(0))
