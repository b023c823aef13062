"""A model file to a network that can run: the one entry of model loading."""

from dataclasses import dataclass

from torch import nn

from reportgen.report.records import Preprocessing


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network with its weights, in eval mode on the CPU, in float32."""

    module: nn.Module
    file: str
    "File name without its folder."
    sha256: str
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
