"""Borrows a network: evaluation mode, no gradients, and everything as it was found afterwards."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from reportgen.probe.precision import at_precision


@contextmanager
def borrowed(module: nn.Module) -> Iterator[None]:
    """Runs the body with `module` in evaluation mode and without gradients.

    Afterwards, also after an error or Ctrl-C, these are as they were found: the training flag of
    every module, buffers that a forward pass wrote to, the grad mode, the state of the random
    generators, the attention fast path and torch.compile. These two are off inside: they skip the
    functions that tell what is computed.
    """
    flags = [(part, part.training) for part in module.modules()]
    buffers = [
        (part, name, buffer, buffer.detach().clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with (
        torch.random.fork_rng(devices=sorted(devices, key=str)),
        _other_generators_kept(),
        torch.compiler.set_stance("force_eager"),
        torch.no_grad(),
    ):
        try:
            torch.backends.mha.set_fastpath_enabled(False)
            for part, _ in flags:
                # Not `eval()`, which a network may have given another meaning.
                part.training = False
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for part, flag in flags:
                part.training = flag
            for part, name, buffer, value in buffers:
                # A network may write into a buffer, or put another tensor in its place. What is as
                # it was is not written: an expanded buffer cannot be.
                setattr(part, name, buffer if buffer.equal(value) else buffer.copy_(value))


@contextmanager
def own_state(device: torch.device, seed: int) -> Iterator[None]:
    """Starts the random generators at the seed, and gives all back as it was found.

    Some networks draw random numbers in evaluation mode too; the state is given back after each
    use of them (see `borrowed`), so that all start from here. A program may call from within
    autocast, and PyTorch by itself rounds convolutions on GPUs.
    """
    forked = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with (
        forked,
        _other_generators_kept(),
        torch.autocast(device.type, enabled=False),
        at_precision("fp32", device),
        torch.inference_mode(False),
    ):
        # Not `torch.manual_seed`, which also seeds the devices that are not forked here.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index].manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        yield


@contextmanager
def _other_generators_kept() -> Iterator[None]:
    """Gives the generators of Python and numpy back as they were found."""
    plain, array = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(array)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient: counters of PyTorch trip over views of those that do."""
    asking = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
