"""Objects that are made of arrays and numbers to a few plain arrays, and back into new ones.

What is kept of an object is the order and the values of its attributes, not their names: it is put
back into an object that was made in the same way. Whoever keeps arrays on a disk has to make sure
that the same version of the code takes them up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass

import numpy as np

from reportgen.report.arrays import Array

LAYOUT = "layout"
"Number of the kind, number of axes and shape of each array, one after the other."
KINDS = "kinds"
"The kinds of numbers, as numpy writes them, in 8 bytes each."


def packed(arrays: Iterable[Array]) -> Mapping[str, Array]:
    """Many arrays as a few: those of one kind in one row, and how to take them apart."""
    rows: dict[str, list[Array]] = {}
    layout: list[int] = []
    for array in arrays:
        rows.setdefault(array.dtype.str, []).append(array.ravel())
        layout += [list(rows).index(array.dtype.str), array.ndim, *array.shape]
    found = {f"row {number}": np.concatenate(row) for number, row in enumerate(rows.values())}
    names = "".join(f"{kind:8}" for kind in rows).encode("ascii")
    return {
        LAYOUT: np.array(layout, np.int64),
        KINDS: np.frombuffer(names, np.uint8),
        **found,
    }


def unpacked(rows: Mapping[str, Array]) -> Iterator[Array]:
    """The many arrays again, in their order; they are parts of the rows, not copies.

    Raises:
        ValueError: if the rows are not of such a kind or length.
        KeyError: if one is missing.
    """
    layout = rows[LAYOUT].tolist()
    names = rows[KINDS].tobytes().decode("ascii")
    kinds = [names[at : at + 8].strip() for at in range(0, len(names), 8)]
    left = [rows[f"row {number}"] for number in range(len(kinds))]
    if any(row.dtype.str != kind for row, kind in zip(left, kinds, strict=True)):
        raise ValueError("a row is of another kind than it says")
    at = 0
    while at < len(layout):
        kind, axes = layout[at : at + 2]
        shape = layout[at + 2 : at + 2 + axes]
        size = int(np.prod(shape, dtype=np.int64))
        if size > len(left[kind]):
            raise ValueError("a row is shorter than it says")
        yield left[kind][:size].reshape(shape)
        left[kind] = left[kind][size:]
        at += 2 + axes


def values_of(thing: object) -> Iterator[Array]:
    """Every array, number and text that an object of ours holds, itself or in another of ours.

    Raises:
        TypeError: if it holds something else that may change, unless that is empty.
    """
    for owner, name in _places(thing):
        value = getattr(owner, name)
        yield np.frombuffer(value.encode(), np.uint8) if isinstance(value, str) else np.array(value)


def take_values(thing: object, arrays: Iterator[Array]) -> None:
    """Puts back what `values_of` gave into a new object; what it does not need stays.

    Raises:
        ValueError: if they are of another kind or shape than what is there, or too few.
    """
    for owner, name in _places(thing):
        new, old = getattr(owner, name), next(arrays, None)
        is_text = isinstance(new, str)
        like = old if is_text else np.asarray(new)
        if old is None or like is None or (old.dtype, old.shape) != (like.dtype, like.shape):
            raise ValueError(f"{type(owner).__name__}.{name} is of another kind or shape")
        if isinstance(new, np.ndarray):
            # A copy: a part of a row would keep all of the row in memory.
            setattr(owner, name, old.copy())
        else:
            setattr(owner, name, old.tobytes().decode() if is_text else old.item())


def _places(thing: object) -> Iterator[tuple[object, str]]:
    """Each attribute that holds a value, with the object that has it.

    Tuples and our dataclasses never change, and are there in a new object too.
    """
    for name, value in vars(thing).items():
        if isinstance(value, (np.ndarray, np.generic, bool, int, float, str)):
            yield thing, name
        elif isinstance(value, tuple) or is_dataclass(value):
            continue
        elif type(value).__module__.startswith(__name__.partition(".")[0]):
            yield from _places(value)
        elif value:
            raise TypeError(f"{type(thing).__name__}.{name} cannot be kept as numbers")
