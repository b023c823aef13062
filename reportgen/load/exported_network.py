"""The network in a `.pt2` file, made from its program alone: no code is run, no pickle is read."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from reportgen.errors import ModelError, first_line
from reportgen.load.architectures import differences, shapes_of
from reportgen.load.exported import Exported
from reportgen.load.fitting import listed, pour
from reportgen.load.program import Operation, Program, Weight
from reportgen.load.program_batch import FREE, sized
from reportgen.load.program_file import read_program
from reportgen.load.program_net import network_of
from reportgen.load.request import Network, Request
from reportgen.load.salvage import SavedModule

# What says whether a function runs as in training, and how it runs in evaluation.
_MODES: Mapping[str, tuple[str, bool | float]] = {
    "batch_norm": ("training", False),
    "dropout": ("train", False),
    "feature_dropout": ("train", False),
    "scaled_dot_product_attention": ("dropout_p", 0.0),
}


def program_network(request: Request) -> Network:
    """The network that the program in a `.pt2` file describes, with its weights, in eval mode.

    Raises:
        ModelError: if it cannot be read, calls what is not listed, or does not fit its weights.
    """
    exported, tensors, file = _exported(request), request.checkpoint.tensors, request.file
    program = _program(exported, file)
    held = {**exported.constants, **tensors}
    missing = [path for path in (*program.weights, *program.constants) if path not in held]
    if missing:
        raise ModelError(f"{file} holds a program without its weights: {listed(missing)}.")
    notes = []
    operations = tuple(_in_evaluation(o) for o in program.operations if not _counts_batches(o))
    if operations != program.operations:
        notes.append("The program was exported in training mode; it is run in evaluation mode.")
    freed = sized(replace(program, operations=operations), held, file)
    try:
        module = network_of(program, freed.operations, held)
    except KeyError as error:
        raise ModelError(f"{file} holds a weight of a name that cannot be: {error}.") from error
    weights = {path: tensors[path] for path in program.weights if path in tensors}
    misfits = list(differences(shapes_of(module.state_dict()), shapes_of(weights)))
    if misfits:
        raise ModelError(f"{file} holds a program that its weights do not fit: {listed(misfits)}.")
    pour(module, weights, file)
    if freed.is_guess and not _keeps_images_apart(module, program.example_shape[1:], file):
        raise ModelError(
            f"{file} was exported for batches of {program.example_shape[0]} and cannot be freed "
            f"from that; {FREE}"
        )
    batch, channels, *slices, height, width = program.image_shape
    if batch is not None:
        notes.append(f"The program was exported for batches of {batch}; it takes any here.")
    size = (height, width) if height and width else None
    return Network(
        module=module,
        architecture=type(module).__name__ if program.type else "exported program",
        source="made from the program in the file",
        publication=None,
        notes=tuple(notes),
        arguments={},
        input=(channels or program.example_shape[1], size),
        takes_volumes=bool(slices),
        slices=slices[0] if slices else None,
    )


def _keeps_images_apart(module: nn.Module, shape: tuple[int, ...], file: str) -> bool:
    """Whether three images of noise give in one batch what each gives alone.

    Args:
        module: in evaluation mode.
        shape: of an image, (c h w) or (c slices h w).
        file: the file's name, for messages.

    Raises:
        ModelError: if the network fails.
    """
    images = torch.rand((3, *shape), generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            together = module(images.clone())
            alone = [module(image[None].clone()) for image in images]
    # An index out of range is its own kind of error, and shows only where there are values.
    except (IndexError, RuntimeError) as error:
        raise ModelError(f"{file} holds a program that fails: {first_line(error)[:200]}") from error
    pairs = zip(_tensors(together), zip(*map(_tensors, alone), strict=True), strict=True)
    return all(torch.allclose(a, torch.cat(b), rtol=1e-3, atol=1e-4) for a, b in pairs)


def _tensors(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def saved_modules(request: Request) -> dict[str, SavedModule]:
    """What a program says of the modules that it was exported from, by their paths.

    Nothing where it cannot be read: then the weights alone say what the network is.
    """
    try:
        program = _program(_exported(request), request.file)
    except ModelError:
        return {}
    kinds = {frame.path: frame.type for o in program.operations for frame in o.frames}
    above = {path.rpartition(".")[0] for path in kinds}
    modules = {
        path: SavedModule(kind, {}, is_leaf=path not in above, has_hooks=False)
        for path, kind in kinds.items()
    }
    return {"": SavedModule(program.type, {}, is_leaf=False, has_hooks=False), **modules}


def _exported(request: Request) -> Exported:
    exported = request.checkpoint.exported
    assert exported is not None
    return exported


def _program(exported: Exported, file: str) -> Program:
    if not exported.program:
        raise ModelError(f"{file} does not hold exactly one program beside its weights.")
    return read_program(exported.program, file)


def _counts_batches(operation: Operation) -> bool:
    """Whether all that an operation does is to count the batches of training."""
    first = next(iter(operation.arguments.values()), None)
    is_counter = isinstance(first, Weight) and first.path.endswith("num_batches_tracked")
    return is_counter and operation.target in ("add_.Tensor", "add.Tensor")


def _in_evaluation(operation: Operation) -> Operation:
    """An operation as it is done in evaluation mode."""
    name, value = _MODES.get(operation.target.partition(".")[0].rstrip("_"), ("", False))
    # A norm that keeps no statistics takes those of the batch in evaluation mode too.
    keeps_none = "running_mean" in operation.arguments and not isinstance(
        operation.arguments["running_mean"], Weight
    )
    if not operation.arguments.get(name) or keeps_none:
        return operation
    return replace(operation, arguments={**operation.arguments, name: value})
