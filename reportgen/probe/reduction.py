"""What a batch of activations is reduced to: a few numbers a unit and one histogram."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray

SIDE = 128
"Bins on either side of zero."

LOWEST_EXPONENT = -149
"Of the bin width: that of the smallest float32 number."

CHUNK = 1 << 20
"Values that PyTorch works on at a time on a CPU: few enough for the cache."

CHUNK_ON_A_GPU = 1 << 26
"As above, elsewhere: few enough for the memory."

LANES = 16
"Units that compiled code reads at once where they lie side by side in memory."

INFINITE = 0x7F800000
"Key of infinity. A key is a float32's bits as an integer, changed so that keys sort as numbers do."

MANY_UNITS = 64
"From here on, units that are left over hardly count."

COLUMNS = 9
"Numbers of each unit: see `Part`."


@dataclass(frozen=True, eq=False)
class Highest:
    """What is highest in each image and unit."""

    values: torch.Tensor
    "The highest finite value, (images units); -inf without any."
    places: torch.Tensor
    "Its first position, (images units); 0 without any."


@dataclass(frozen=True, eq=False)
class Part:
    """What some images gave; on the device until it is asked for."""

    columns: torch.Tensor
    """(columns units) float64: minimum, maximum, mean, the sum of squares around it, and how many
    values are finite, positive and zero, images it fired on, and values that are not finite."""
    bins: torch.Tensor
    "(n 257): values in each bin, and then the exponent of the bins' width; rows are added up."
    highest: Highest
    positions: int
    is_broken: bool | None
    "Whether a value is NaN or infinite; None where to ask would be to wait for a device."


def parts(values: torch.Tensor) -> list[Part]:
    """Reduces values (images units positions) without waiting for a GPU; no parts where none are.

    Compiled code reads float32 on the CPU; everything else is done by PyTorch.
    """
    if not values.numel():
        return []
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    if values.device.type == "mps":
        # It has no float64.
        values = values.cpu()
    here = is_here(values)
    # More would not fit the counters of a bin.
    is_plain = here and values.dtype == torch.float32 and values.numel() < 1 << 32
    if is_plain and (code := compiled()):
        return [_compiled(code, values)]
    images, units, positions = values.shape
    step = max(1, (CHUNK if here else CHUNK_ON_A_GPU) // (units * positions))
    return [_eager(values[first : first + step]) for first in range(0, images, step)]


def is_here(values: torch.Tensor) -> bool:
    """Whether values can be read at once, without waiting for another device to compute them."""
    return values.is_cpu


@cache
def compiled() -> ModuleType | None:
    """The compiled code; None where there is no numba, or none that works here."""
    try:
        from reportgen.probe import compiled as found
    # What a compiler raises on a machine that it does not know is not foreseeable, and everything
    # can be done without it.
    except Exception as error:
        logging.getLogger(__name__).warning("Statistics are slower, for want of numba: %s", error)
        return None
    return found


def _compiled(code: ModuleType, values: torch.Tensor) -> Part:
    """Reads float32 values on the CPU once."""
    images, units, positions = values.shape
    if positions == 1 and are_side_by_side(turned := values.transpose(0, 2)):
        # As if the images were positions of one image, which is read many units at once.
        part = _compiled(code, turned)
        part.columns[7] = part.columns[5]  # each image fires where it is positive
        return replace(part, highest=highest_of(values), positions=1)
    columns = torch.empty((COLUMNS, units), dtype=torch.float64)
    highest = torch.empty((images, units))
    places = torch.empty((images, units), dtype=torch.int64)
    together = are_side_by_side(values)
    values = values if together else values.contiguous()
    bins, is_broken = code.summary(values, columns, highest, places, are_side_by_side=together)
    return Part(columns, bins, Highest(highest, places), positions, is_broken)


def are_side_by_side(values: torch.Tensor) -> bool:
    """Whether the units of a position lie side by side, and are many enough to be read so."""
    images, units, positions = values.shape
    # Units that do not fill a vector are read one by one.
    are_vectors = units % LANES == 0 or units > MANY_UNITS
    is_dense = values.stride(0) == units * positions or images == 1
    return are_vectors and positions > 1 and is_dense and values.stride()[1:] == (1, units)


def _eager(rows: torch.Tensor) -> Part:
    """Reads values on any device many times, with PyTorch's own functions."""
    finite = torch.isfinite(rows)
    precise = torch.where(finite, rows, 0.0).double()
    count = finite.sum((0, 2))
    mean = precise.sum((0, 2)) / count.clamp(min=1)
    highest = highest_of(rows)
    minimum = torch.where(finite, rows, torch.inf).amin((0, 2)).double()
    maximum = highest.values.amax(0).double()
    around = torch.where(finite, precise - mean[:, None], 0.0)
    columns = (
        minimum,
        maximum,
        mean,
        around.square_().sum((0, 2)),
        count,
        (precise > 0).sum((0, 2)),
        (rows == 0).sum((0, 2)),
        (highest.values > 0).sum(0),
        (~finite).sum((0, 2)),
    )
    exponent = _exponent(minimum.amin(), maximum.amax())
    # A power of two by its bits: exact, and scaling by it is so in float64.
    scale = (1023 - exponent << 52).view(torch.float64)
    codes = torch.where(finite, precise.mul_(scale).floor_() + SIDE, -1.0)
    # Unlike `bincount`, this does not wait for a GPU.
    counts = torch.histc(codes, 2 * SIDE, 0, 2 * SIDE)
    return Part(
        columns=torch.stack([column.double() for column in columns]),
        bins=torch.cat([counts, exponent.double()[None]])[None],
        highest=highest,
        positions=rows.shape[2],
        is_broken=not bool(finite.all()) if is_here(rows) else None,
    )


def highest_of(rows: torch.Tensor) -> Highest:
    """What is highest in each image and unit, found by PyTorch on any device."""
    found = torch.where(torch.isfinite(rows), rows, -torch.inf).max(2)
    return Highest(found.values + 0.0, found.indices)  # zero has no sign


def highest_in(come: Sequence[Part]) -> Highest:
    """What is highest in the images of all parts, at least one, one after the other."""
    if len(come) == 1:
        return come[0].highest
    return Highest(
        torch.cat([part.highest.values for part in come]),
        torch.cat([part.highest.places for part in come]),
    )


def _exponent(lowest: torch.Tensor, highest: torch.Tensor) -> torch.Tensor:
    """The smallest bin width, as a power of two, for which all values fall into the bins."""
    # A number is fraction * 2**power, fraction in [0.5, 1): below 2**power, not below its half.
    powers = torch.frexp(highest).exponent
    above = torch.where(torch.isfinite(highest) & (highest > 0), powers, LOWEST_EXPONENT)
    # The lowest bin includes its lower edge.
    fractions, powers = torch.frexp(-lowest)
    powers = powers - (fractions == 0.5).int()
    below = torch.where(torch.isfinite(lowest) & (lowest < 0), powers, LOWEST_EXPONENT)
    return torch.maximum(above, below).sub(7).clamp(min=LOWEST_EXPONENT).long()


def widened(counts: NDArray[np.int64], doublings: int) -> NDArray[np.int64]:
    """The counts with bins 2**doublings times as wide; neighbours merge, and zero stays an edge."""
    if not doublings:
        return counts
    # Seven doublings leave one bin on either side, and there it stays.
    groups = counts.reshape(-1, 1 << min(doublings, 7)).sum(axis=1)
    result = np.zeros_like(counts)
    result[SIDE - len(groups) // 2 : SIDE + len(groups) // 2] = groups
    return result
