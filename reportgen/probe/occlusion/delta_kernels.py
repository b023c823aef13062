"""The two operations on differences that are worth compiled code: rectifying and largest values.

Each reads every number once, where PyTorch would copy windows out of the clean map first. bfloat16
is the upper half of a float32.
"""

from typing import Any

import numpy as np
import torch
from numba.extending import overload

from reportgen.probe.intrinsics import compiled_function
from reportgen.probe.occlusion.kinds import Reaches
from reportgen.probe.occlusion.windows import Windows


def rectified(
    differences: torch.Tensor,
    addend: torch.Tensor | None,
    clean: torch.Tensor,
    windows: Windows,
    into: torch.Tensor,
) -> None:
    """Differences behind a rectifier: max(d + min(y, 0), -max(y, 0)).

    Args:
        differences: d in front of it, (places h w c).
        addend: to be added to them before; None for nothing.
        clean: y for the whole map, (h w c), float32.
        windows: in which the differences lie.
        into: where the result is put, (places h w c).
    """
    starts = windows.rows.starts, windows.columns.starts
    d, y, out = _array(differences), _array(clean), _array(into)
    if addend is None:
        _rectify(d, y, *starts, out)
    else:
        _rectify_sum(d, _array(addend), y, *starts, out)


def largest(
    differences: torch.Tensor,
    have: Windows,
    reaches: Reaches,
    clean: tuple[torch.Tensor, torch.Tensor],
    want: Windows,
    into: torch.Tensor,
) -> None:
    """Differences of the largest of the cells around.

    Args:
        differences: of the cells, (places h w c).
        have: their windows.
        reaches: which cells lie around.
        clean: the whole maps before and behind the pooling, (h w c), float32.
        want: windows of the result.
        into: where the result is put, (places h w c).
    """
    _largest(
        _array(differences),
        np.stack([have.rows.starts, have.columns.starts]),
        np.array([(r.kernel, r.stride, r.padding, r.dilation) for r in reaches]),
        _array(clean[0]),
        _array(clean[1]),
        np.stack([want.rows.starts, want.columns.starts]),
        _array(into),
    )


def _array(maps: torch.Tensor) -> Any:
    """The same numbers as an array; bfloat16 as its bits."""
    maps = maps.contiguous()
    return (maps.view(torch.uint16) if maps.dtype == torch.bfloat16 else maps).numpy()


def _load(number: Any) -> Any:
    raise NotImplementedError


def _store(array: Any, index: Any, number: Any) -> Any:
    raise NotImplementedError


@overload(_load, inline="always")
def _load_overload(number: Any) -> Any:
    if number.bitwidth == 16:

        def widened(number: Any) -> Any:
            return np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)

        return widened

    def itself(number: Any) -> Any:
        return number

    return itself


@overload(_store, inline="always")
def _store_overload(array: Any, index: Any, number: Any) -> Any:
    if array.dtype.bitwidth == 16:

        def store(array: Any, index: Any, number: Any) -> Any:
            bits = np.float32(number).view(np.uint32)
            # To the nearest, to the even one of two.
            bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
            array[index] = np.uint16(bits >> np.uint32(16))

        return store

    def keep(array: Any, index: Any, number: Any) -> Any:
        array[index] = number

    return keep


ZERO = np.float32(0)


@compiled_function
def _rectify(d: Any, y: Any, rows: Any, columns: Any, out: Any) -> None:
    places, height, width, channels = d.shape
    for b in range(places):
        for i in range(height):
            for j in range(width):
                one, clean, into = d[b, i, j], y[rows[b] + i, columns[b] + j], out[b, i, j]
                for c in range(channels):
                    v = clean[c]
                    _store(into, c, max(_load(one[c]) + min(v, ZERO), -max(v, ZERO)))


@compiled_function
def _rectify_sum(d: Any, e: Any, y: Any, rows: Any, columns: Any, out: Any) -> None:
    places, height, width, channels = d.shape
    for b in range(places):
        for i in range(height):
            for j in range(width):
                one, other = d[b, i, j], e[b, i, j]
                clean, into = y[rows[b] + i, columns[b] + j], out[b, i, j]
                for c in range(channels):
                    v = clean[c]
                    total = _load(one[c]) + _load(other[c])
                    _store(into, c, max(total + min(v, ZERO), -max(v, ZERO)))


@compiled_function
def _largest(d: Any, have: Any, reach: Any, y: Any, y_out: Any, want: Any, out: Any) -> None:
    places, height, width, channels = out.shape
    tall, broad = d.shape[1], d.shape[2]
    best = np.empty(channels, np.float32)
    for b in range(places):
        for i in range(height):
            top = (want[0, b] + i) * reach[0, 1] - reach[0, 2]
            for j in range(width):
                left = (want[1, b] + j) * reach[1, 1] - reach[1, 2]
                best[:] = -np.inf
                for u in range(reach[0, 0]):
                    row = top + u * reach[0, 3]
                    if row < 0 or row >= y.shape[0]:
                        continue
                    for v in range(reach[1, 0]):
                        column = left + v * reach[1, 3]
                        if column < 0 or column >= y.shape[1]:
                            continue
                        clean = y[row, column]
                        r, s = row - have[0, b], column - have[1, b]
                        if 0 <= r < tall and 0 <= s < broad:
                            one = d[b, r, s]
                            for c in range(channels):
                                true = clean[c] + _load(one[c])
                                # What is not a number is the largest, as in PyTorch.
                                best[c] = true if true > best[c] or true != true else best[c]
                        else:
                            for c in range(channels):
                                best[c] = max(best[c], clean[c])
                before, into = y_out[want[0, b] + i, want[1, b] + j], out[b, i, j]
                for c in range(channels):
                    _store(into, c, best[c] - before[c])
