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
    values: torch.Tensor, columns: NDArray[np.float64], highest: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Fills in what `reduction.Part` holds of some values, in all threads that PyTorch uses.

    Args:
        values: (images units positions), float32 on the CPU, contiguous, none of the axes empty.
        columns: (columns units)
        highest: (images units)

    Returns:
        Values in each of 256 bins, and then the exponent of the bins' width; one row a thread.
    """
    bins = np.zeros((torch.get_num_threads(), 257), np.int64)
    bins[:, 256] = -149
    addresses = _addresses(highest, columns, bins)
    _run(
        kernels.summarise, np.array([0, 0, *values.shape, values.data_ptr(), *addresses]), len(bins)
    )
    return bins


def summary_side_by_side(
    values: torch.Tensor,
    columns: NDArray[np.float64],
    highest: NDArray[np.float32],
    places: NDArray[np.int64],
) -> NDArray[np.int64]:
    """What `summary` does, for values of which the units of a position lie side by side.

    Args:
        values: (images units positions), float32 on the CPU; in memory (images positions units).
        columns: (columns units)
        highest: (images units)
        places: first position of each of these, (images units); 0 where nothing is finite.

    Returns:
        As `summary`.
    """
    bins = np.zeros((torch.get_num_threads(), 257), np.int64)
    bins[:, 256] = -149
    addresses = _addresses(highest, places, columns, bins)
    job = np.array([0, 0, *values.shape, values.data_ptr(), *addresses])
    _run(lanes.summarise, job, len(bins))
    return bins


def enter_nine(
    values: torch.Tensor,
    highest: Highest,
    first: int,
    least: Sequence[NDArray[Any]],
    nine: Sequence[NDArray[Any]],
) -> None:
    """Puts images into each unit's nine, and finds the first position of their highest values.

    Args:
        values: (images units positions), float32 on the CPU; neighbouring positions side by side
            unless the places of the highest are known.
        highest: what is highest in them.
        first: index of the first image.
        least: value (units,) and image that an image has to come before to be looked at.
        nine: value (units 9), larger ones first, image, and position; -1 where there is none.
    """
    addresses = _addresses(*least, *nine)
    places = 0 if highest.places is None else highest.places.data_ptr()
    tensors = (highest.values.data_ptr(), values.data_ptr(), *values.stride()[:2], places)
    job = np.array([0, *values.shape, first, *tensors, *addresses])
    _run(enter, job, torch.get_num_threads())


def merge_nine(nine: Sequence[NDArray[Any]], more: Sequence[NDArray[Any]]) -> None:
    """Puts the images of one unit's nine into another nine, for every unit.

    Args:
        nine: value (units 9), larger ones first, image, and position; -1 where there is none.
        more: the same of other images.
    """
    addresses = _addresses(*nine, *more)
    _run(merge, np.array([0, len(nine[0]), *addresses]), 1)


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
    job = np.array([0, units, height, width, *shape, maps.data_ptr(), *addresses])
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


def _run(entry: Any, job: NDArray[np.int64], threads: int) -> None:
    """Has a job done in as many threads as PyTorch uses; in one where those cannot be had."""
    data = ctypes.c_void_p(*_addresses(job))
    parallel = _openmp()
    if parallel is None or threads == 1:
        _single(entry.address)(data)
    else:
        work = ctypes.c_void_p(entry.address)
        parallel(work, data, ctypes.c_uint(threads), ctypes.c_uint(0))
