"""A copy of the network with some of its layers forgotten: what do its maps owe to training?

The user's own network is never written to.
"""

import zlib
from collections.abc import Collection, Sequence
from copy import deepcopy

import torch
from torch import nn

from reportgen.errors import ModelError, first_line
from reportgen.probe.evidence import Call
from reportgen.probe.probe import Probe


def weighted_modules(probe: Probe, calls: Sequence[Call]) -> tuple[str, ...]:
    """Paths of the modules that own parameters, from the image to the score.

    A module stands where it is last called, one that is never called where the block it lies in is.
    Parameters of the whole network, and what is not seen at work at all, stand first: what is not
    known to be near the score is forgotten last.

    Args:
        probe: of the network.
        calls: in the order of execution.
    """
    last = {}
    for number, call in enumerate(calls):
        parts = call.key.path.split(".")
        for depth in range(1, len(parts) + 1):
            last[".".join(parts[:depth])] = number
    with probe.lent(torch.empty(0)) as (module, _):
        owners = [
            path
            for path, part in module.named_modules()
            if any(True for _ in part.parameters(recurse=False))
        ]

    def place(path: str) -> int:
        while path and path not in last:
            path = path.rpartition(".")[0]
        return last.get(path, -1)

    # A stable sort: parts of one call stay in the order in which they are listed.
    return tuple(sorted(owners, key=place))


def randomised(probe: Probe, paths: Collection[str], seed: int) -> Probe:
    """A probe of a copy of the network in which some modules are initialised again [adebayo2018].

    A module with `reset_parameters` starts anew by that; other parameters are drawn from a normal
    distribution with their own mean and standard deviation. Each module has a random state of its
    own, drawn on the CPU: it gets the same values whichever others are chosen, on every device.

    Args:
        probe: of the network, which stays as it is.
        paths: of the modules; only the parameters (and statistics) that they own themselves.
        seed: of the random numbers.

    Raises:
        ModelError: if the network cannot be copied.
    """
    with probe.lent(torch.empty(0)) as (module, _):
        try:
            copy = deepcopy(module).cpu()
        except Exception as error:
            raise ModelError(f"The network cannot be copied: {first_line(error)}.") from error
    # Only the generator of the CPU is used; the fork gives it back as it was.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for path, part in copy.named_modules():
            if path in paths:
                torch.default_generator.manual_seed(zlib.crc32(f"{seed} {path}".encode()))
                _forget(part)
    made = Probe(copy, str(probe.device), probe.batch_size)
    made.gives_probabilities, made.task = probe.gives_probabilities, probe.task
    return made


def _forget(part: nn.Module) -> None:
    """Initialises again what a module owns itself."""
    before = {id(p): p.clone() for p in part.parameters(recurse=False)}
    reset = getattr(part, "reset_parameters", None)
    # A module with others inside may reset these as well, and they were not asked for.
    if callable(reset) and not any(True for _ in part.children()):
        reset()
    for parameter in part.parameters(recurse=False):
        # What is computed from other parameters, as in weight norm, is out of a reset's reach.
        is_drawn = parameter.is_floating_point() and parameter.numel() > 0
        if is_drawn and torch.equal(parameter, before[id(parameter)]):
            spread = parameter.float().std(correction=0)
            parameter.normal_().mul_(spread).add_(before[id(parameter)].float().mean())
