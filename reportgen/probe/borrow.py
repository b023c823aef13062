"""Borrows a network: evaluation mode, no gradients, and everything as it was found afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


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
