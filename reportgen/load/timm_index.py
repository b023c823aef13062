"""Recognises timm's networks by the names and shapes of their weights, told by their hashes.

Over a thousand networks have half a million names; what is shipped is a hash of the names and one
of the shapes for each, with the class count and the image's channels left out.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from torch import nn

from reportgen.load.architectures import Shapes, shapes_of

INDEX = "timm_networks.json.gz"
# A prime that is no size in any network: it marks where the class count shows.
_CLASSES = 1009
_DIGITS = 12


@dataclass(frozen=True)
class TimmNetwork:
    """One network of timm, as it is told from the others."""

    name: str
    names: str
    "Hash of the names of its weights."
    shapes: str
    "Hash of names and shapes, but for the sizes that vary."
    classes: tuple[str, ...]
    "Weights whose first size is the class count."
    stem: str
    "The weight whose second size is the channels of an image; empty where none is known."

    def is_of(self, shapes: Shapes) -> bool:
        """Whether `shapes`, whose names are these, are those of this network."""
        counts = {shapes[name][:1] for name in self.classes}
        return len(counts) <= 1 and _shapes_hash(shapes, self.classes, self.stem) == self.shapes


def _hash(lines: Iterator[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:_DIGITS]


def _shapes_hash(shapes: Shapes, classes: tuple[str, ...], stem: str) -> str:
    def told(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if name in classes:
            shape = (0, *shape[1:])
        return (shape[0], 0, *shape[2:]) if name == stem else shape

    return _hash(f"{name} {told(name, shape)}" for name, shape in shapes.items())


@cache
def known_networks() -> Mapping[str, tuple[TimmNetwork, ...]]:
    """The shipped index: timm's networks by the hash of the names of their weights."""
    packed = files("reportgen.load").joinpath(INDEX).read_bytes()
    found: dict[str, tuple[TimmNetwork, ...]] = {}
    for entry in json.loads(gzip.decompress(packed)):
        network = TimmNetwork(**{**entry, "classes": tuple(entry["classes"])})
        found[network.names] = (*found.get(network.names, ()), network)
    return found


def timm_names(shapes: Shapes) -> list[str]:
    """Every network of timm that has exactly these weights, with any class count."""
    candidates = known_networks().get(_hash(iter(shapes)), ())
    return list(dict.fromkeys(one.name for one in candidates if one.is_of(shapes)))


def described(name: str, net: nn.Module, stem: str) -> TimmNetwork:
    """A network that was built with the class count that marks it."""
    shapes = shapes_of(net.state_dict())
    classes = tuple(name for name, shape in shapes.items() if shape[:1] == (_CLASSES,))
    stem = stem if len(shapes.get(stem, ())) == 4 else ""
    return TimmNetwork(
        name, _hash(iter(shapes)), _shapes_hash(shapes, classes, stem), classes, stem
    )


def described_by(name: str) -> Iterator[TimmNetwork]:
    """A network of the installed timm, with a classifier and, where some lack it, without."""
    from timm.models import get_pretrained_cfg

    from reportgen.load.timm_nets import outlined, tags

    known = get_pretrained_cfg(name)
    stem = known.first_conv if known else ""
    stem = stem[0] if isinstance(stem, (tuple, list)) and stem else stem
    yield described(name, outlined(name, _CLASSES), f"{stem}.weight")
    if any(get_pretrained_cfg(tag).num_classes == 0 for tag in tags(name)):
        yield described(name, outlined(name, 0), f"{stem}.weight")


def packed_index(names: list[str]) -> bytes:
    """The shipped index as bytes, to be written over `reportgen/load/timm_networks.json.gz`."""
    entries: list[dict[str, Any]] = []
    for name in names:
        entries += [asdict(found) for found in dict.fromkeys(described_by(name))]
    return gzip.compress(json.dumps(entries, separators=(",", ":")).encode(), mtime=0)
