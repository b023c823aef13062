"""A model file to a network that can run: the one entry of model loading."""

import hashlib
import io
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from reportgen.errors import ModelError, OptionError, ReportgenError
from reportgen.load.hub_folder import hub_folder
from reportgen.load.limited import read_limited
from reportgen.load.network import network_for
from reportgen.load.pruned_files import description
from reportgen.load.request import Request
from reportgen.load.sizes import size_in
from reportgen.load.user_code import arguments_from
from reportgen.report.pruned import Pruned
from reportgen.report.records import Preprocessing

_LONGEST = 2000
"Letters of what is said of a file: of more the middle is left out."


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network with its weights, in eval mode on the CPU, in float32."""

    module: nn.Module
    file: str
    "File name without its folder; empty where it came from a program's memory."
    sha256: str
    "Of the file, or of the weights where there is none."
    architecture: str
    "`squeezenet1_1`, or the class name of the user's own network."
    architecture_source: str
    format: str
    dtype: str
    preprocessing: Preprocessing | None
    "As published with the architecture's weights; None where there is none."
    labels: tuple[str, ...]
    "Class names where the weights are known; empty otherwise."
    labels_source: str
    in_channels: int
    "Channels that the first layer takes."
    input_size: tuple[int, int] | None
    "(height, width) where the network fixes it; None where any will do."
    notes: tuple[str, ...]
    "What was undone or assumed on the way, one sentence each."
    arguments: Mapping[str, Any] = field(default_factory=dict)
    "Of the constructor, as far as they are not its defaults: plain JSON values."
    pruned: Pruned | None = None
    "How it was narrowed after its constructor made it; None where it was not."
    bytes: int | None = None
    "Size of the file; None where there is none."
    takes_volumes: bool = False
    "Whether it takes volumes or videos (b c slices h w) in place of pictures."
    slices: int | None = None
    "Of volumes, where the network fixes them; None where any will do."

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return self.file or self.architecture


def load_model(
    path: Path, *, arch: str = "", arch_args: str = "", weights_key: str = ""
) -> LoadedModel:
    """The network in a model file, without running anything that the file contains.

    Args:
        path: the file, whose bytes decide what it is and not its extension; or a folder as
            Hugging Face's libraries save it.
        arch: `FILE.py:NAME`, `torchvision:NAME` or `timm:NAME`; empty to recognise it.
        arch_args: keyword arguments of its constructor, as JSON.
        weights_key: which entry of a wrapped checkpoint holds the weights; empty to find it.

    Raises:
        ModelError: if the file is unreadable, or its network unknown or another than `arch`.
        OptionError: if `arch`, `arch_args` or `weights_key` makes no sense.
        ResourceError: if reading it takes more memory or time than a model file needs.
        UnsafeModelError: if the file asks for code that no model file needs.
    """
    try:
        return _loaded(path, arch, arch_args, weights_key)
    except ReportgenError as error:
        # Names in a file may hold line breaks and colour codes for the terminal, or be endless.
        raise type(error)(_printable(str(error))) from error


def _loaded(path: Path, arch: str, arch_args: str, weights_key: str) -> LoadedModel:
    arguments = arguments_from(arch_args)
    if arguments and not arch:
        raise OptionError("--arch-args needs --arch: it is the constructor that takes them.")
    folder = hub_folder(path)
    path = folder.weights if folder else path
    with _opened(path) as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        size_in_bytes = stream.tell()
        checkpoint = read_limited(path, stream, weights_key)
    said = description(path, sha256, checkpoint.exported)
    network = network_for(Request(path.name, sha256, checkpoint, arch, arguments, said, folder))
    channels, size, notes = (*network.input, ()) if network.input else input_of(network.module)
    publication = network.publication
    return LoadedModel(
        module=network.module,
        file=path.name,
        sha256=sha256,
        architecture=network.architecture,
        architecture_source=network.source,
        format=checkpoint.format,
        dtype=checkpoint.dtype,
        preprocessing=publication.preprocessing if publication else None,
        labels=tuple(map(_printable, publication.labels)) if publication else (),
        labels_source=publication.labels_source if publication else "",
        in_channels=channels,
        input_size=size,
        notes=tuple(map(_printable, (*checkpoint.notes, *network.notes, *notes))),
        arguments=network.arguments,
        pruned=network.pruned,
        bytes=size_in_bytes,
        takes_volumes=takes_volumes(network.module)
        if network.takes_volumes is None
        else network.takes_volumes,
        slices=network.slices,
    )


def _printable(text: str) -> str:
    text = re.sub(r"\S{200,}", lambda long: f"{long[0][:100]}...{long[0][-20:]}", text)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 300]} ... {text[-295:]}"


def _opened(path: Path) -> io.BufferedReader:
    """The file, once it is a plain one: a pipe would hang, a folder holds no model by itself."""
    try:
        # Without blocking, so that a pipe nobody writes to cannot hold us.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except OSError as error:
        raise ModelError(f"{path} cannot be opened: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        what = "a folder" if path.is_dir() else "no ordinary file"
        raise ModelError(f"{path} is {what}; give the model file itself.")
    return os.fdopen(descriptor, "rb")


def input_of(net: nn.Module) -> tuple[int, tuple[int, int] | None, tuple[str, ...]]:
    """Channels that a network takes, the (height, width) it is fixed to, and what was assumed."""
    first = _first_layer(net)
    size = _stated_size(net)
    if first is None:
        return 3, size, ("The network has no convolution or linear layer; RGB images are assumed.",)
    if not isinstance(first, nn.Linear):
        return first.in_channels, size, ()
    # A linear layer first: the image is flattened, so only a square picture can be told.
    numbers = f"The first layer takes {first.in_features} numbers"
    for channels in (1, 3):
        side = math.isqrt(first.in_features // channels)
        if channels * side * side == first.in_features:
            picture = f"{channels} x {side} x {side}"
            return channels, size or (side, side), (f"{numbers}: {picture} images are assumed.",)
    return 3, size, (f"{numbers}, which are no square image; RGB is assumed.",)


def takes_volumes(net: nn.Module) -> bool:
    """Whether a network takes volumes or videos, which its first layer tells."""
    return isinstance(_first_layer(net), nn.Conv3d)


def _first_layer(net: nn.Module) -> nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear | None:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    return next((module for module in net.modules() if isinstance(module, kinds)), None)


def _stated_size(net: nn.Module) -> tuple[int, int] | None:
    """(height, width) that a network keeps under a usual name, as vision transformers do."""
    for name in ("image_size", "img_size", "input_size"):
        size = size_in(getattr(net, name, None))
        if size:
            return size
    return None
