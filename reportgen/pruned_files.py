"""The three files of a pruned network: weights, their `.json`, and a program that needs no code."""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from reportgen.errors import ModelError, OutputError, first_line
from reportgen.report import pruned as record
from reportgen.report.pruned import Pruned

INSIDE = "reportgen.json"
"Name of the `.json` inside the program."


def targets(weights: Path) -> tuple[Path, Path, Path]:
    """Weights, program and `.json`, which stand side by side."""
    return weights, weights.with_suffix(".pt2"), weights.with_suffix(".json")


def check_targets(weights: Path, inputs: Sequence[Path], *, force: bool) -> None:
    """Refuses to write where something else would be lost.

    Args:
        weights: the file of weights to be written.
        inputs: the model and the images, which stay even with `force`.
        force: replace files that we did not write.

    Raises:
        OutputError: if the files may not be written there.
    """
    folder = weights.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"There is no folder {weights.parent}; make it, or give another with -o.")
    if weights.suffix in (".json", ".pt2"):
        raise OutputError(
            f"{weights} would be overwritten by a file that stands beside the weights; "
            "give a name that ends with .pth."
        )
    for target in targets(weights):
        if any(target.resolve() == given.resolve() for given in inputs):
            raise OutputError(
                f"{target} is what the smaller network is made from; give another -o."
            )
        if target.is_symlink() or (target.exists() and not target.is_file()):
            raise OutputError(f"{target} is no plain file; give another name with -o.")
    strangers = [] if force else list(_strangers(weights))
    if strangers:
        raise OutputError(
            f"{strangers[0]} exists and was not written by reportgen, or was changed since; "
            "give another name with -o, or --force to replace it."
        )


def _strangers(weights: Path) -> Iterator[Path]:
    """The files in the place of ours that are not ours."""
    _, program, description = targets(weights)
    ours = _read(description.read_bytes()) if description.exists() else None
    if description.exists() and ours is None:
        yield description
    if weights.exists() and (ours is None or _digest(weights.read_bytes()) != ours.state_dict):
        yield weights
    if program.exists() and _described(program) is None:
        yield program


def _read(text: bytes) -> Pruned | None:
    try:
        return record.read(text, "")
    except ModelError:
        return None


def _described(program: Path) -> Pruned | None:
    """What a program says of itself; None where it is none of ours."""
    try:
        with zipfile.ZipFile(program) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/extra/{INSIDE}")]
            return _read(archive.read(names[0])) if len(names) == 1 else None
    except (OSError, zipfile.BadZipFile):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def state_bytes(module: nn.Module) -> tuple[bytes, str]:
    """The file of weights, and its SHA-256."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    return file.getvalue(), _digest(file.getvalue())


def program_bytes(module: nn.Module, size: tuple[int, ...], described: bytes) -> tuple[bytes, str]:
    """The file of the program, and what is to be said of it.

    Args:
        module: the smaller network, in evaluation mode.
        size: (c h w) of the images, or (c slices h w) of the volumes, that the program will take.
        described: the `.json`.

    Returns:
        The content, empty where the network cannot be exported, and a sentence, empty if all is
        well.
    """
    # Of two images, for torch.export takes a batch of one for a fixed one; and of none of the
    # user's, for it keeps them in the file.
    parameter = next(module.parameters())
    pair = torch.zeros(2, *size, dtype=parameter.dtype, device=parameter.device)
    said = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(
                module, (pair,), dynamic_shapes=({0: torch.export.Dim("batch")},)
            )
        # Export runs the network's own code on stand-ins, and may fail there in any way.
        except Exception:
            try:
                program = torch.export.export(module, (pair[:1],))
            except Exception as error:
                why = first_line(error)
                return b"", f"No .pt2 file: torch.export cannot take the network ({why})."
            said = "The .pt2 file takes one image at a time: torch.export fixed its batch."
        for node in program.graph.nodes:
            # Paths of this machine.
            node.meta.pop("stack_trace", None)
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={INSIDE: described.decode()})
    return file.getvalue(), said
