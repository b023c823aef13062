"""What a pruned network needs besides its weights to be built again: the `.json` beside them."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn, override

from reportgen.errors import ModelError
from reportgen.report.layout import json_text
from reportgen.report.records import Preprocessing

FORMAT = "reportgen-pruned"
VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ARCHITECTURE = re.compile(r"[^/\\:]+:[^/\\:]+")


@dataclass(frozen=True)
class Width:
    """The sizes of one module where they are not those that its architecture says."""

    out: int
    "Output channels, or features: all there is of a norm."
    inputs: int | None = None
    "Input channels, or features, of a convolution or linear layer; `in` in the file."
    groups: int | None = None
    "Of a convolution."


@dataclass(frozen=True)
class Source:
    """The model file that was pruned."""

    file: str
    "Its name without its folder."
    sha256: str


@dataclass(frozen=True)
class Pruned:
    """A network made smaller: the architecture it came from, and where it is narrower now."""

    architecture: str
    "`torchvision:resnet18`, or `lenet.py:LeNet`: a file's name, never its folder."
    arguments: Mapping[str, Any]
    "Keyword arguments of its constructor: plain JSON values."
    widths: Mapping[str, Width]
    "By name of the module; only those that differ from what the constructor makes."
    state_dict: str
    "SHA-256 of the file of weights that this belongs to."
    preprocessing: Preprocessing | None
    labels: tuple[str, ...]
    "Class names in order; empty where they are not known."
    source: Source


def written(pruned: Pruned) -> bytes:
    """The content of the `.json`. The same network gives the same bytes."""
    document = {"format": FORMAT, "version": VERSION, **asdict(pruned)}
    document["widths"] = {name: _record(width) for name, width in pruned.widths.items()}
    if pruned.preprocessing and pruned.preprocessing.slices is None:
        del document["preprocessing"]["slices"]
    # A label with a lone surrogate, from a file name that is not UTF-8, becomes a JSON escape.
    return f"{json_text(document)}\n".encode("utf-8", "backslashreplace")


def _record(width: Width) -> dict[str, int]:
    sizes = {"out": width.out, "in": width.inputs, "groups": width.groups}
    return {name: size for name, size in sizes.items() if size is not None}


def read(text: bytes, file: str) -> Pruned | None:
    """The pruned network that a `.json` describes; None where the file is about something else.

    Args:
        text: the file's content.
        file: its name, for messages.

    Raises:
        ModelError: if it is of another version, or damaged.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        return None
    if (version := document.pop("version", None)) != VERSION or type(version) is not int:
        raise ModelError(
            f"{file} is of version {version!r} and this reportgen reads {VERSION}: "
            "prune the network again, or use the reportgen that wrote the file."
        )
    try:
        pruned = _CONVERTER.structure(document, Pruned)
        _check(pruned)
    except BaseValidationError as errors:
        raise _damaged(file, transform_error(errors)[0]) from None
    except ValueError as error:
        raise _damaged(file, str(error)) from None
    return pruned


def _damaged(file: str, detail: str) -> ModelError:
    return ModelError(f"{file} is damaged ({detail[:200]}): prune the network again.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check(pruned: Pruned) -> None:
    """Holds values against each other.

    Raises:
        ValueError: if they make no sense.
    """
    if not _ARCHITECTURE.fullmatch(pruned.architecture):
        raise ValueError(
            f"architecture {pruned.architecture!r} is neither torchvision:NAME nor FILE.py:NAME"
        )
    for name, width in pruned.widths.items():
        for size in fields(width):
            value = getattr(width, size.name)
            if value is not None and value < 1:
                raise ValueError(f"{name} has a width of {value}")
        groups = width.groups or 1
        if width.out % groups or (width.inputs or groups) % groups:
            raise ValueError(f"the widths of {name} cannot be split into {groups} groups")
    for digest in (pruned.state_dict, pruned.source.sha256):
        if not _SHA256.fullmatch(digest):
            raise ValueError(f"{digest!r} is no SHA-256")
    if given := pruned.preprocessing:
        sizes = [given.height, given.width, given.channels, given.resize or 1]
        sizes += [] if given.slices is None else [given.slices]
        colours = len(given.mean) == len(given.std) == given.channels
        if min(sizes) < 1 or not colours or min(given.std) <= 0:
            raise ValueError("its preprocessing makes no sense")


def _exactly(kind: type) -> Any:
    def structured(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{kind.__name__} expected")
        return value

    return structured


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TypeError("float expected")
    return float(value)


def _converter() -> Converter:
    """Reads strictly: no other types, nothing missing, and no key that is not known."""
    converter = Converter(forbid_extra_keys=True)
    for kind in (str, bool, int):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    width = make_dict_structure_fn(Width, converter, inputs=override(rename="in"))
    converter.register_structure_hook(Width, width)
    return converter


_CONVERTER = _converter()
