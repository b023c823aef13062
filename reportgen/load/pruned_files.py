"""What `reportgen prune` wrote beside a network: found, held against the weights, then believed.

Nothing in it is code, and a file of user code that it names is never looked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

from torch import nn

from reportgen.errors import ModelError
from reportgen.load.decode import MAX_PIXELS
from reportgen.load.exported import Exported
from reportgen.load.narrowing import narrowed
from reportgen.load.torchvision_nets import Publication
from reportgen.report.pruned import Pruned, read
from reportgen.report.records import Preprocessing

_MAX_BYTES = 16 * 2**20
_INTERPOLATIONS = frozenset({"nearest", "nearest-exact", "bilinear", "bicubic", "lanczos", "box"})
# Arguments of torchvision's constructors that cost nothing, whatever their value.
_HARMLESS = frozenset(
    {"aux_logits", "dropout", "image_size", "init_weights", "num_classes", "transform_input"}
)
_LARGEST = 10**6


@dataclass(frozen=True)
class Description:
    """What is said beside a network of what it was pruned from."""

    pruned: Pruned | None
    "None where there is nothing, or nothing that can be believed."
    file: str
    "What says it: `pruned.json`, or `reportgen.json in pruned.pt2`."
    problem: str = ""
    "One sentence that says why it is not believed."


NOTHING = Description(None, "")


def description(path: Path, sha256: str, exported: Exported | None) -> Description:
    """What is said of a model file, in the `.json` beside it or inside a program.

    Args:
        path: of the model file.
        sha256: of its content.
        exported: the program in it, if it is one.
    """
    if exported:
        inside = f"reportgen.json in {path.name}"
        return _read(exported.pruned, inside) if exported.pruned else NOTHING
    beside = path.with_suffix(".json")
    if beside == path or not beside.is_file():
        return NOTHING
    try:
        with beside.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        return Description(None, beside.name, f"{beside.name} cannot be read: {error.strerror}.")
    if len(text) > _MAX_BYTES:
        return Description(None, beside.name, f"{beside.name} is too large to be read.")
    found = _read(text, beside.name)
    if found.pruned and found.pruned.state_dict != sha256:
        problem = f"{beside.name} is not about this file: it names weights of another SHA-256."
        return Description(None, beside.name, problem)
    return found


def _read(text: bytes, file: str) -> Description:
    try:
        return Description(read(text, file), file)
    except ModelError as error:
        return Description(None, file, str(error))


def arguments_in(pruned: Pruned) -> dict[str, Any]:
    """The arguments of the constructor, as far as a file may give them.

    Raises:
        ModelError: if there are others: numbers of layers, addresses, names.
    """
    is_known = pruned.architecture.startswith("torchvision:")
    for name, value in pruned.arguments.items():
        is_number = value is None or isinstance(value, (bool, int, float))
        is_small = not isinstance(value, (int, float)) or abs(value) <= _LARGEST
        if not is_number or not is_small or (is_known and name not in _HARMLESS):
            raise ModelError(
                f"the argument {name[:40]} of {pruned.architecture} is not taken from a file; "
                "give --arch and --arch-args."
            )
    return dict(pruned.arguments)


def narrowing(make: Callable[..., nn.Module], pruned: Pruned) -> Callable[..., nn.Module]:
    """A constructor of the network as it was pruned, from that of the whole one."""

    @wraps(make)
    def narrow(**arguments: Any) -> nn.Module:
        return narrowed(
            make(**arguments),
            {
                path: {
                    name: size
                    for name, size in (
                        ("out", width.out),
                        ("in", width.inputs),
                        ("groups", width.groups),
                    )
                    if size is not None
                }
                for path, width in pruned.widths.items()
            },
        )

    return narrow


def publication(pruned: Pruned, file: str) -> tuple[Publication, tuple[str, ...]]:
    """The preprocessing and class names that the network was pruned with, and what is not used."""
    given = pruned.preprocessing
    notes: tuple[str, ...] = ()
    if given and not _is_usable(given):
        given, notes = None, (f"The preprocessing in {file} suits no image, and is not used.",)
    if given:
        given = replace(given, source=f"used when it was pruned ({file})")
    return Publication(given, pruned.labels, file if pruned.labels else "", False), notes


def _is_usable(given: Preprocessing) -> bool:
    """Whether images can be prepared so: sizes that fit the memory, numbers as pixels have."""
    shorter = min(given.height, given.width)
    return (
        given.height * given.width * (given.slices or 1) <= MAX_PIXELS
        and (given.resize is None or shorter <= given.resize <= 2**15)
        and given.interpolation in _INTERPOLATIONS
        and all(0 <= value <= 1 for value in given.mean)
        and all(0 < value <= 1 for value in given.std)
    )
