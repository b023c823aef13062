"""What goes into the search for a network, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from reportgen.load.checkpoint import Checkpoint
from reportgen.load.hub_folder import HubFolder
from reportgen.load.pruned_files import NOTHING, Description
from reportgen.load.torchvision_nets import Publication
from reportgen.report.pruned import Pruned

BY_SHAPES = "recognised from keys and shapes"
BY_TIMM = "recognised from keys and shapes, among timm's networks"
BY_FLAG = "stated by flag"
OWN_CODE = "If it is your own network, give its code: --arch FILE.py:NAME."


@dataclass(frozen=True, eq=False)
class Request:
    """One checkpoint, and the network that was asked for it."""

    file: str
    "File name without its folder."
    sha256: str
    checkpoint: Checkpoint
    arch: str
    arguments: Mapping[str, Any]
    "Of the constructor."
    description: Description = NOTHING
    "What is said beside it of what it was pruned from."
    folder: HubFolder | None = None
    "The folder around it, where Hugging Face's libraries saved it."


@dataclass(frozen=True, eq=False)
class Network:
    """A network with its weights, and how it is known."""

    module: nn.Module
    architecture: str
    source: str
    publication: Publication | None
    notes: tuple[str, ...]
    arguments: Mapping[str, Any]
    "Of the constructor."
    input: tuple[int, tuple[int, int] | None] | None = None
    "Channels and (height, width), where the file states them."
    takes_volumes: bool | None = None
    "Whether it takes volumes or videos, where the file states it."
    slices: int | None = None
    "Of volumes, where the file fixes them."
    pruned: Pruned | None = None
    "How it was narrowed after its constructor made it; None where it was not."
