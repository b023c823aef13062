"""A program as a network: real layers at the paths they had, and a list of steps in each block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor, nn

from reportgen.load.aten import FUNCTIONS, placed
from reportgen.load.aten_layers import layer
from reportgen.load.program import Argument, Frame, Name, Operation, Program, Weight
from reportgen.load.program_blocks import Block, Network, Routine, Source, Step, named

_MOST_MODULES = 20_000


def network_of(
    program: Program, operations: Sequence[Operation], tensors: Mapping[str, Tensor]
) -> nn.Module:
    """The network that a program was exported from, its weights on the meta device.

    Args:
        program: as it was read.
        operations: of the program, for batches of any size.
        tensors: parameters, buffers and constants, by path. Only the constants are put in.

    Raises:
        KeyError: if a weight has the name of something that a module needs itself.
    """
    short = program.type.rpartition(".")[2]
    root = named(Network, short)("")
    tree = _Tree(root, tensors)
    outputs = tuple(map(Name, program.outputs))
    builder = _Builder(tree, operations, outputs)
    root.routines.append(builder.routine(0, len(operations), 0, (Name(program.image),), outputs))
    tree.complete(program)
    return root


def _settings(module: nn.Module) -> dict[str, object]:
    """The plain attributes of a layer: its sizes, stride, eps and the like."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


class _Tree:
    """The modules of a network by their paths."""

    def __init__(self, root: Block, tensors: Mapping[str, Tensor]) -> None:
        self._modules: dict[str, nn.Module] = {"": root}
        self._tensors = tensors
        self.shapes = {path: tuple(tensor.shape) for path, tensor in tensors.items()}

    def block(self, frame: Frame) -> Block | None:
        """The block that a frame is a call of; None where another module stands there."""
        found = self._modules.get(frame.path)
        if found is None:
            found = named(Block, frame.type.rpartition(".")[2])(frame.path)
            if not self._put(frame.path, found):
                return None
        return found if isinstance(found, Block) else None

    def layer(self, frame: Frame, made: nn.Module) -> nn.Module | None:
        """The layer of a frame: `made`, or an equal one of an earlier call."""
        found = self._modules.get(frame.path)
        if found is None:
            return made if self._put(frame.path, made) else None
        is_same = type(found) is type(made) and _settings(found) == _settings(made)
        return found if is_same else None

    def _put(self, path: str, module: nn.Module) -> bool:
        """Puts a module at a path, if that is free; blocks above it that are missing are made."""
        above, _, name = path.rpartition(".")
        if len(self._modules) >= _MOST_MODULES:
            return False
        if above not in self._modules and not self._put(above, Block(above)):
            return False
        parent = self._modules[above]
        if not isinstance(parent, Block) or (hasattr(parent, name) and name not in parent._modules):
            return False
        parent.add_module(name, module)
        self._modules[path] = module
        return True

    def complete(self, program: Program) -> None:
        """Adds the weights that no layer has, and modules that do nothing."""
        root = self._modules[""]
        held = root.state_dict().keys()
        for path, is_parameter in program.weights.items():
            if path not in held:
                module, name = self._owner(path)
                empty = torch.empty_like(self._tensors[path], device="meta")
                if is_parameter:
                    does_learn = empty.is_floating_point()
                    module.register_parameter(name, nn.Parameter(empty, does_learn))
                else:
                    module.register_buffer(name, empty)
        for path in program.constants:
            module, name = self._owner(path)
            module.register_buffer(name, self._tensors[path], persistent=False)
        for path in program.modules:
            if path not in self._modules:
                # A block that holds nothing but these is a block all the same.
                self._put(path, nn.Identity())
        # In the order in which the network's author made them, not that of the calls.
        order = {path: place for place, path in enumerate((*program.modules, *program.weights))}
        for above, module in self._modules.items():
            if isinstance(module, Block):
                paths = {name: f"{above}.{name}".lstrip(".") for name in module._modules}
                names = sorted(paths, key=lambda name: order.get(paths[name], len(order)))
                module._modules = {name: module._modules[name] for name in names}

    def _owner(self, path: str) -> tuple[nn.Module, str]:
        """The module that a tensor belongs to, and its name there."""
        above, _, name = path.rpartition(".")
        if above not in self._modules and not self._put(above, Block(above)):
            raise KeyError(path)
        return self._modules[above], name


class _Builder:
    """Turns operations into steps, those inside of a module into one call of it."""

    def __init__(
        self, tree: _Tree, operations: Sequence[Operation], outputs: tuple[Name, ...]
    ) -> None:
        self._tree, self._operations = tree, operations
        self._last_use: dict[Source, int] = {}
        for place, operation in enumerate(operations):
            for source in _sources(tuple(operation.arguments.values())):
                self._last_use[source] = place
        for name in outputs:
            self._last_use[name] = len(operations)

    def routine(
        self,
        start: int,
        stop: int,
        depth: int,
        inputs: tuple[Source, ...],
        outputs: tuple[Name, ...],
    ) -> Routine:
        """What a block does in some operations, which have `depth` frames in common."""
        steps: list[Step] = []
        frames = [operation.frames[depth : depth + 1] for operation in self._operations[start:stop]]
        place = start
        for called, group in groupby(frames):
            end = place + len(list(group))
            steps += self._steps(place, end, depth, called)
            place = end
        return Routine(inputs, tuple(_with_ends(steps, outputs)), outputs)

    def _steps(self, start: int, end: int, depth: int, called: tuple[Frame, ...]) -> Iterator[Step]:
        """The steps of one block: a call of a module inside, or functions of its own."""
        if called:
            step = self._layer(start, end, depth, called[0]) or self._call(
                start, end, depth, called[0]
            )
            if step:
                yield step
                return
        for operation in self._operations[start:end]:
            places, named = placed(operation.target, operation.arguments)
            function = FUNCTIONS[operation.target]
            yield Step(function, tuple(places), named, operation.results, operation.is_single)

    def _layer(self, start: int, end: int, depth: int, frame: Frame) -> Step | None:
        """A call of a layer of `torch.nn`."""
        done = self._operations[start:end]
        outputs = self._outputs(start, end)
        is_leaf = all(len(operation.frames) == depth + 1 for operation in done)
        if not is_leaf or outputs != tuple(map(Name, done[-1].results[:1])):
            return None
        made = layer(done, self._tree.shapes)
        function = self._tree.layer(frame, made) if made else None
        if function is None:
            return None
        made_inside = {Name(name) for operation in done for name in operation.results}
        read = next(
            source
            for operation in done
            for source in operation.arguments.values()
            if isinstance(source, Name) and source not in made_inside
        )
        return Step(function, (read,), {}, (outputs[0].name,), True)

    def _call(self, start: int, end: int, depth: int, frame: Frame) -> Step | None:
        """A call of another block."""
        block = self._tree.block(frame)
        outputs = self._outputs(start, end)
        if block is None or not outputs:
            return None
        made = {name for operation in self._operations[start:end] for name in operation.results}
        inputs = tuple(
            dict.fromkeys(
                source
                for operation in self._operations[start:end]
                for source in _sources(tuple(operation.arguments.values()))
                if not (isinstance(source, Name) and source.name in made)
                and not (isinstance(source, Weight) and source.path.startswith(f"{frame.path}."))
            )
        )
        named = {"call": len(block.routines)} if block.routines else {}
        # Its place among the calls, before the calls inside of it take theirs.
        block.routines.append(Routine((), (), ()))
        routine = self.routine(start, end, depth + 1, inputs, outputs)
        block.routines[named.get("call", 0)] = routine
        names = tuple(name.name for name in outputs)
        return Step(block, inputs, named, names, len(names) == 1)

    def _outputs(self, start: int, end: int) -> tuple[Name, ...]:
        """The results of some operations that are read after them."""
        return tuple(
            Name(name)
            for operation in self._operations[start:end]
            for name in operation.results
            if self._last_use.get(Name(name), -1) >= end
        )


def _sources(argument: Argument) -> Iterator[Source]:
    if isinstance(argument, (Name, Weight)):
        yield argument
    elif isinstance(argument, tuple):
        for item in argument:
            yield from _sources(item)


def _with_ends(steps: Sequence[Step], outputs: tuple[Name, ...]) -> Iterator[Step]:
    """The steps, each with what may be forgotten after it."""
    last: dict[Source, int] = {}
    for place, step in enumerate(steps):
        for name in step.results:
            last[Name(name)] = place
        for source in _sources((*step.places, *step.named.values())):
            last[source] = place
    over: list[list[Source]] = [[] for _ in steps]
    for source, place in last.items():
        if source not in outputs:
            over[place].append(source)
    for step, ends in zip(steps, over, strict=True):
        yield replace(step, ends=tuple(ends))
