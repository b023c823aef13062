"""Recognises torchvision's classifiers by the names and shapes of their weights alone."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from torch import Tensor

Pattern: TypeAlias = tuple[int | str, ...]
"A shape in which a word stands for a size that may vary: `classes`, `channels` or `positions`."
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

INDEX = "architectures.json.gz"
# A prime that is no size in any torchvision network: it marks where the class count shows.
_CLASSES = 1009


@dataclass(frozen=True)
class Architecture:
    """One classifier of torchvision: what its weights are called and what shapes they have."""

    name: str
    arguments: Mapping[str, Any]
    "What the constructor is told beside the class count: whether there are auxiliary heads."
    patterns: Mapping[str, Pattern]

    def sizes(self, shapes: Shapes) -> dict[str, int] | None:
        """The sizes that vary (`classes` ...) if `shapes` are those of this network, else None."""
        if shapes.keys() != self.patterns.keys():
            return None
        found: dict[str, int] = {}
        for name, pattern in self.patterns.items():
            if not _fits(shapes[name], pattern, found):
                return None
        return found

    def expected(self, shapes: Shapes) -> dict[str, tuple[int, ...]]:
        """Its shapes, with the sizes that vary taken from `shapes` wherever the rest agrees."""
        filled = {}
        for name, pattern in self.patterns.items():
            shape = shapes.get(name, ())
            usual = tuple(_USUAL[s] if isinstance(s, str) else s for s in pattern)
            filled[name] = shape if _fits(shape, pattern, {}) else usual
        return filled


_USUAL = {"classes": 1000, "channels": 3, "positions": 197}


def _fits(shape: tuple[int, ...], pattern: Pattern, found: dict[str, int]) -> bool:
    """Whether a shape is of a pattern, given the sizes `found` so far, which it adds to."""
    return len(shape) == len(pattern) and all(
        0 < size == (found.setdefault(wanted, size) if isinstance(wanted, str) else wanted)
        for size, wanted in zip(shape, pattern, strict=True)
    )


def shapes_of(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Names and shapes that tell a network; the batch counters of norms may be absent anywhere."""
    return {
        name: tuple(tensor.shape)
        for name, tensor in weights.items()
        if name.rsplit(".", 1)[-1] != "num_batches_tracked"
    }


@cache
def known_architectures() -> tuple[Architecture, ...]:
    """The shipped index: every torchvision classifier."""
    packed = files("reportgen.load").joinpath(INDEX).read_bytes()
    return tuple(
        Architecture(
            name=entry["name"],
            arguments=entry["arguments"],
            patterns={name: tuple(shape) for name, shape in entry["patterns"].items()},
        )
        for entry in json.loads(gzip.decompress(packed))
    )


def recognise(shapes: Shapes) -> list[tuple[Architecture, dict[str, int]]]:
    """Every known architecture that has exactly these weights, with the sizes that vary."""
    return [
        (architecture, sizes)
        for architecture in known_architectures()
        if (sizes := architecture.sizes(shapes)) is not None
    ]


def nearest(shapes: Shapes) -> tuple[Architecture, int]:
    """The known architecture that shares most weights with `shapes`, and how many it shares."""

    def shared(architecture: Architecture) -> int:
        return sum(
            name in shapes and _fits(shapes[name], pattern, {})
            for name, pattern in architecture.patterns.items()
        )

    def likeness(architecture: Architecture) -> tuple[float, float]:
        common = len(shapes.keys() & architecture.patterns.keys())
        return (
            shared(architecture) / (len(shapes) + len(architecture.patterns)),
            common / (len(shapes) + len(architecture.patterns)),
        )

    best = max(known_architectures(), key=likeness)
    return best, shared(best)


def differences(expected: Shapes, found: Shapes) -> Iterator[str]:
    """Where `found` differs from the weights of a network, one phrase each, in its order."""
    for name, shape in expected.items():
        if name not in found:
            yield f"{name} is missing"
        elif found[name] != shape:
            yield f"{name} is {_times(found[name])} where {_times(shape)} is expected"
    for name in found:
        if name not in expected:
            yield f"{name} is not expected"


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def build_index() -> list[dict[str, Any]]:
    """The content of the shipped index, from the installed torchvision; takes half a minute."""
    from reportgen.load.torchvision_nets import build, classifiers, first_convolution, variants

    entries = []
    for name in classifiers():
        for arguments in variants(name):
            net = build(name, {**arguments, "num_classes": _CLASSES})
            stem = f"{first_convolution(net)}.weight"
            patterns: dict[str, list[int | str]] = {}
            for key, shape in shapes_of(net.state_dict()).items():
                patterns[key] = ["classes" if size == _CLASSES else size for size in shape]
                if key == stem:
                    patterns[key][1] = "channels"
                if key.endswith("pos_embedding"):
                    patterns[key][1] = "positions"
            entries.append({"name": name, "arguments": arguments, "patterns": patterns})
    return entries


def packed_index() -> bytes:
    """The shipped index as bytes, to be written over `reportgen/load/architectures.json.gz`."""
    text = json.dumps(build_index(), separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)
