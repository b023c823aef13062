"""The modules of a network that was made from a program: what each does, step by step."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import nn

from reportgen.load.program import Argument, Name, Weight

Source: TypeAlias = Name | Weight
_LONGEST_NAME = 100


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a function, a layer or another block."""

    function: Callable[..., Any]
    places: tuple[Argument, ...]
    named: Mapping[str, Argument]
    results: tuple[str, ...]
    is_single: bool
    ends: tuple[Source, ...] = ()
    "What no later step reads."


@dataclass(frozen=True, eq=False)
class Routine:
    """What a block does when it is called."""

    inputs: tuple[Source, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Name, ...]


class Block(nn.Module):
    """A module of the exported network, which does what was done in it step by step."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.routines: list[Routine] = []
        "One for each call in a forward pass."

    def forward(self, *given: Any, call: int = 0) -> Any:
        """Does the steps of a call; one result as it is, several as a tuple."""
        routine = self.routines[call]
        values: dict[Source, Any] = dict(zip(routine.inputs, given, strict=True))
        for step in routine.steps:
            places = [self._value(argument, values) for argument in step.places]
            named = {key: self._value(argument, values) for key, argument in step.named.items()}
            result = step.function(*places, **named)
            if step.is_single:
                values[Name(step.results[0])] = result
            else:
                # By number, for what stands in for a result while the network is traced has no end.
                # What has no name is read by nobody, and is not kept.
                values.update(
                    {Name(name): result[i] for i, name in enumerate(step.results) if name}
                )
            for source in step.ends:
                values.pop(source, None)
        results = tuple(values[name] for name in routine.outputs)
        return results[0] if len(results) == 1 else results

    def _value(self, argument: Argument, values: Mapping[Source, Any]) -> Any:
        if isinstance(argument, Weight) and argument not in values:
            return operator.attrgetter(_inside(argument.path, self.path))(self)
        if isinstance(argument, (Name, Weight)):
            return values[argument]
        if isinstance(argument, tuple):
            return [self._value(item, values) for item in argument]
        return argument


class Network(Block):
    """The exported network itself."""

    # All that runs it gives one batch of images.
    def forward(self, image: Any) -> Any:  # type: ignore[override]
        """Scores of normalised images (b c h w)."""
        return super().forward(image)


def named(base: type[Block], name: str) -> type[Block]:
    """A class of the name that the network's author gave to it."""
    if not name.isidentifier() or len(name) > _LONGEST_NAME:
        return base
    return type(name, (base,), {"__doc__": base.__doc__})


def _inside(path: str, outer: str) -> str:
    return path[len(outer) + 1 :] if outer else path
