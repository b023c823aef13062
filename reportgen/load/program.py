"""What a network computes, as plain data: the operations of a program of `torch.export`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch


@dataclass(frozen=True)
class Name:
    """The result of an earlier operation, or the image."""

    name: str


@dataclass(frozen=True)
class Weight:
    """A parameter, buffer or constant of the network, by its path."""

    path: str


# Numbers, words and number formats; names of results; lists of these.
Argument: TypeAlias = (
    "bool | int | float | str | torch.dtype | Name | Weight | tuple[Argument, ...] | None"
)


@dataclass(frozen=True)
class Frame:
    """A call of a module that an operation happened in."""

    path: str
    type: str
    "Full name of its class."
    call: str
    "Tells the calls of one module apart."


@dataclass(frozen=True)
class Operation:
    """One call of a function."""

    target: str
    "`conv2d.default` of PyTorch, or `_operator.mul` of Python."
    arguments: Mapping[str, Argument]
    results: tuple[str, ...]
    is_single: bool
    "Whether it gives one value and not several."
    frames: tuple[Frame, ...]
    "Of the modules around it, the network itself left out, outermost first."


@dataclass(frozen=True, eq=False)
class Program:
    """What a network computes."""

    operations: tuple[Operation, ...]
    image: str
    "Name of what it is given."
    image_shape: tuple[int | None, ...]
    "(b c h w); None where any size will do."
    example_shape: tuple[int, ...]
    "Sizes that it was exported with."
    outputs: tuple[str, ...]
    weights: Mapping[str, bool]
    "Parameters and saved buffers by path, with whether they are parameters."
    constants: tuple[str, ...]
    "Paths of tensors that are no part of the state_dict."
    modules: tuple[str, ...]
    "Paths of all modules that were called, those that do nothing too."
    type: str
    "Full name of the network's class; empty where it is not known."
