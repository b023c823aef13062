"""Follows the sizes through a program, and frees them from the batch that it was exported with.

Nothing is computed: tensors have a shape and no values here. A program that was exported with a
batch of a fixed size says `view(x, [1, 512])` where the network said `x.view(len(x), 512)`.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from reportgen.errors import ModelError, first_line
from reportgen.load.aten import CHECKS, FUNCTIONS, overwrites, placed
from reportgen.load.program import Argument, Name, Operation, Program, Weight

Values: TypeAlias = dict[Name | Weight, Any]
Way: TypeAlias = tuple[Operation, ...]
"One operation, with others before it that compute its sizes."

_LARGEST = 2**28
"Numbers for one image in one tensor: 1 GiB, far more than a network makes that runs anywhere."
_LONGEST = 100_000
"Positions of an axis that is cut into pieces."
_MOST_UNTRIED = 64
_STEPS_EACH, _SPARE_STEPS = 3, 10_000
"Steps for each operation, of which two lead through the program, and some more for all."
_ITEMS_A_STEP = 16
"Of a list: taking or giving a longer one counts as several steps."
_BATCH = Name("batch of any size")
_RESHAPES = {"view.default": "size", "reshape.default": "shape", "_unsafe_view.default": "size"}
_COPIES = {"expand.default": "size", "repeat.default": "repeats"}
_PIECES = ("chunk", "split", "unbind")
_OWN_CODE = "if it is your own network, give its code: --arch FILE.py:NAME."
FREE = "export it with a batch of any size (dynamic_shapes=({0: torch.export.Dim('batch')},))."


@dataclass(frozen=True)
class Sized:
    """The operations of a program for batches of any size."""

    operations: tuple[Operation, ...]
    is_guess: bool
    "Whether other ways to free it from its batch would have fitted the sizes so far too."


def sized(program: Program, weights: Mapping[str, Tensor], file: str) -> Sized:
    """A program for batches of any size.

    Args:
        program: as it was exported.
        weights: parameters, buffers and constants by path; their values are not read.
        file: name of the file, for messages.

    Raises:
        ModelError: if it calls what is not listed, its sizes do not fit each other, a tensor
            would be too large, or it cannot be freed from the batch that it was exported with.
    """
    for name in (operation.target for operation in program.operations):
        if name not in FUNCTIONS and name not in CHECKS:
            what = f"{file} calls {name[:80]}, which reportgen does not take from a program"
            raise ModelError(f"{what}; {_OWN_CODE}")
    sides = program.example_shape
    if len(sides) not in (4, 5) or not 1 <= math.prod(sides) <= _LARGEST:
        sizes = " x ".join(map(str, sides)) or "a single number"
        raise ModelError(f"{file} takes {sizes}, which is no batch of images (b c h w).")
    if not program.operations or not program.outputs:
        raise ModelError(f"{file} holds a program that computes nothing.")
    _check_writing(program, file)
    follower = _Follower(program, weights, file)
    return Sized(follower.operations(), follower.is_guess)


def _check_writing(program: Program, file: str) -> None:
    """Refuse a program that writes into its own weights: it would be another after each image."""
    from_image = {Name(program.image)}
    for operation in program.operations:
        first = next(iter(operation.arguments.values()), None)
        is_harmless = operation.target in ("detach_.default", "unsqueeze_.default")
        if overwrites(operation.target) and not is_harmless and first not in from_image:
            raise ModelError(
                f"{file} changes its own weights as it runs ({operation.target}); export it in "
                "evaluation mode (model.eval())."
            )
        if any(name in from_image for name in _names(tuple(operation.arguments.values()))):
            from_image.update(map(Name, operation.results))


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (list, tuple)) else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Tensor))


def _names(arguments: Argument) -> Iterator[Name]:
    if isinstance(arguments, Name):
        yield arguments
    elif isinstance(arguments, tuple):
        for argument in arguments:
            yield from _names(argument)


class _Follower:
    """Goes through a program with two batches at once, of which the first is the exported one."""

    def __init__(self, program: Program, weights: Mapping[str, Tensor], file: str) -> None:
        self._program, self._file = program, file
        self._is_fixed = program.image_shape[0] is not None
        batch, *shape = program.example_shape
        self._batches = (batch, 2 * batch + 1)
        self._weights: Values = {
            Weight(path): torch.empty(
                tensor.shape,
                device="meta",
                dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype,
            )
            for path, tensor in weights.items()
        }
        self.is_guess = False
        self._steps_left = _STEPS_EACH * len(program.operations) + _SPARE_STEPS
        self._values: tuple[Values, Values] = ({}, {})
        for values, size in zip(self._values, self._batches, strict=True):
            values[_BATCH] = size
            values[Name(program.image)] = torch.empty((size, *shape), device="meta")

    def operations(self) -> tuple[Operation, ...]:
        """The operations, each in the first way in which all sizes fit."""
        given = [o for o in self._program.operations if o.target not in CHECKS]
        image = Name(self._program.image)
        batch = Operation("sym_size.int", {"self": image, "dim": 0}, (_BATCH.name,), True, ())
        done = [batch] if self._is_fixed else []
        untried: deque[tuple[int, int, int, Way]] = deque(maxlen=_MOST_UNTRIED)
        place = 0
        way: Way = ()
        misfits: dict[int, ModelError] = {}
        while place < len(given):
            if not way:
                way, *others = self._ways(given[place])
                self.is_guess |= bool(others)
                known = len(self._values[0])
                # The next to be tried is the last of the list.
                untried.extend((place, len(done), known, other) for other in reversed(others))
            try:
                for operation in way:
                    self._run(operation)
                if place + 1 == len(given):
                    self._check_outputs()
            # PyTorch says in many kinds of errors that sizes do not fit.
            except Exception as error:
                misfits.setdefault(place, self._misfit(given[place], error))
                if isinstance(error, ModelError) or not untried:
                    raise misfits[max(misfits)] from error
                place, length, known, way = untried.pop()
                del done[length:]
                for values in self._values:
                    while len(values) > known:
                        values.popitem()
                continue
            done += way
            place, way = place + 1, ()
        is_used = any(_BATCH in _names(tuple(o.arguments.values())) for o in done)
        return tuple(done[self._is_fixed and not is_used :])

    def _run(self, operation: Operation) -> None:
        """Find the sizes of the results for both batches."""
        places, named = placed(operation.target, operation.arguments)
        for values, batch in zip(self._values, self._batches, strict=True):
            args = [self._value(value, values) for value in places]
            if operation.target.startswith("_operator.") and not all(map(_is_number, args)):
                # Of words and lists Python would make copies, as many as it is told.
                raise TypeError(f"{operation.target} is given what is no number")
            if operation.target.startswith(_PIECES) and max(args[0].shape) > _LONGEST:
                raise self._too_large(operation)
            keywords = {name: self._value(value, values) for name, value in named.items()}
            self._spend(1 + max(map(_length, args), default=0) // _ITEMS_A_STEP)
            result = FUNCTIONS[operation.target](*args, **keywords)
            self._spend(_length(result) // _ITEMS_A_STEP)
            for name, item in zip(
                operation.results, [result] if operation.is_single else result, strict=True
            ):
                if isinstance(item, Tensor) and item.numel() > batch * _LARGEST:
                    raise self._too_large(operation)
                if isinstance(item, int) and abs(item) >= 2**63:
                    raise self._too_large(operation)
                values[Name(name)] = item

    def _spend(self, steps: int) -> None:
        self._steps_left -= steps
        if self._steps_left < 0:
            raise ModelError(f"{self._file} holds a program that takes too long to follow.")

    def _value(self, argument: Argument, values: Values) -> Any:
        if isinstance(argument, Weight):
            return self._weights[argument]
        if isinstance(argument, Name):
            return values[argument]
        if isinstance(argument, tuple):
            return [self._value(item, values) for item in argument]
        return argument

    def _ways(self, operation: Operation) -> list[Way]:
        """The ways to read an operation, the likeliest first."""
        known = _RESHAPES | _COPIES
        if not self._is_fixed or operation.target not in known:
            return [(operation,)]
        key, tensor = known[operation.target], operation.arguments.get("self")
        sizes = operation.arguments.get(key)
        if not isinstance(sizes, tuple) or not all(isinstance(size, int) for size in sizes):
            return [(operation,)]
        if not isinstance(tensor, (Name, Weight)):
            return [(operation,)]
        first, second = (self._value(tensor, values).shape for values in self._values)
        changed = [axis for axis in range(len(first)) if first[axis] != second[axis]]
        numbers = [int(size) for size in sizes if isinstance(size, int)]
        if operation.target in _COPIES:
            return self._copies(operation, key, numbers, list(first), changed)
        if len(changed) != 1:
            return [(operation,)]
        if -1 in numbers:
            rest = -math.prod(numbers)
            numbers[numbers.index(-1)] = math.prod(first) // rest if rest else 0
        return [
            (operation,) if sizes[axis] == -1 else self._resized(operation, key, numbers, axis)
            for axis in _axes_for(math.prod(first[: changed[0]]), first[changed[0]], numbers)
            if numbers[axis] % self._batches[0] == 0
        ] or [(operation,)]

    def _copies(
        self,
        operation: Operation,
        key: str,
        numbers: list[int],
        shape: list[int],
        changed: list[int],
    ) -> list[Way]:
        """Ways to read a copy for each image, such as that of a class token."""
        new = len(numbers) - len(shape)
        if changed:
            if operation.target == "repeat.default":
                return [(operation,)]
            kept = [-1 if axis - new in changed else size for axis, size in enumerate(numbers)]
            return [(replace(operation, arguments={**operation.arguments, key: tuple(kept)}),)]
        is_each = bool(numbers) and numbers[0] == self._batches[0] and (new > 0 or shape[0] == 1)
        return [*([self._resized(operation, key, numbers, 0)] if is_each else []), (operation,)]

    def _resized(self, operation: Operation, key: str, numbers: list[int], axis: int) -> Way:
        """An operation whose result grows along an axis with the batch."""
        times = numbers[axis] // self._batches[0]
        size = Name(f"size of {operation.results[0]}") if times > 1 else _BATCH
        sizes: Argument = (*numbers[:axis], size, *numbers[axis + 1 :])
        resized = replace(operation, arguments={**operation.arguments, key: sizes})
        if times == 1:
            return (resized,)
        factors: dict[str, Argument] = {"a": _BATCH, "b": times}
        return (Operation("_operator.mul", factors, (size.name,), True, operation.frames), resized)

    def _check_outputs(self) -> None:
        for values, batch in zip(self._values, self._batches, strict=True):
            shapes = [tuple(values[Name(name)].shape) for name in self._program.outputs]
            if not shapes[0] or shapes[0][0] != batch:
                raise ValueError(f"it gives {shapes[0]} for {batch} images")

    def _too_large(self, operation: Operation) -> ModelError:
        name = operation.target
        return ModelError(f"{self._file} makes a tensor that no memory would hold ({name}).")

    def _misfit(self, operation: Operation, error: Exception) -> ModelError:
        """One sentence that says what does not fit."""
        if isinstance(error, ModelError):
            return error
        name = operation.results[0][:80] if operation.results else operation.target
        where = f"at {name}: {first_line(error)[:200]}"
        if self._is_fixed and all(Name(name) in self._values[0] for name in operation.results):
            return ModelError(
                f"{self._file} was exported for batches of {self._batches[0]} and cannot be freed "
                f"from that ({where}); {FREE}"
            )
        return ModelError(f"{self._file} holds a program whose sizes do not fit ({where}).")


def _axes_for(before: int, size: int, sizes: list[int]) -> list[int]:
    """The axes of a reshaped tensor that the batch may be in, the likeliest first.

    Args:
        before: how many positions lie before the axis that the batch was in, row by row.
        size: of that axis, which may hold other factors too.
        sizes: of the reshaped tensor.
    """
    starts = [math.prod(sizes[:axis]) for axis in range(len(sizes))]
    at = [axis for axis, start in enumerate(starts) if start == before][:1]
    around = [a for a, start in enumerate(starts) if start < before < start * sizes[a]]
    # A batch of one at the end of an axis leaves no trace in the sizes.
    behind = [a for a, start in enumerate(starts) if start < before == start * sizes[a]]
    inside = [a for a, start in enumerate(starts) if before < start <= before * size]
    return [*at, *around, *behind, *inside]
