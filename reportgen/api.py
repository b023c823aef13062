"""What a Python program may ask of reportgen: `reportgen.probe(model)`."""

import os
from pathlib import Path

from torch import nn

from reportgen.load.model import LoadedModel, load_model
from reportgen.probe.probe import Probe


def probe(
    model: nn.Module | LoadedModel | str | os.PathLike[str],
    *,
    device: str = "auto",
    batch_size: int = 16,
    arch: str = "",
    arch_args: str = "",
    weights_key: str = "",
) -> Probe:
    """A network ready to be run and watched; it is given back as found after every use.

    Args:
        model: a network, or a model file, which is read without running anything in it.
        device: as PyTorch names it; `auto` is a GPU where there is one.
        batch_size: images at a time, where a method takes them in batches.
        arch: for a file: `FILE.py:NAME` or `torchvision:NAME`; empty to recognise it.
        arch_args: keyword arguments of its constructor, as JSON.
        weights_key: which entry of a wrapped checkpoint holds the weights; empty to find it.

    Raises:
        ReportgenError: of the kind that says what is wrong with the file or the options.
    """
    if isinstance(model, (str, os.PathLike)):
        model = load_model(Path(model), arch=arch, arch_args=arch_args, weights_key=weights_key)
    module = model.module if isinstance(model, LoadedModel) else model
    return Probe(module, device, batch_size)
