"""Keeps the steps of a network, and what they gave for an image, after a check against it."""

from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import nn

from reportgen.errors import first_line
from reportgen.probe.answers import logits_in
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.occlusion.clean import Clean
from reportgen.probe.occlusion.graph import Graph, Untraceable, graph_of
from reportgen.probe.probe import Probe

State: TypeAlias = tuple[tuple[int, int], ...]
"Which tensors and modules a network has, how often a tensor was written to, and how many hooks."


@dataclass(eq=False)
class Prepared:
    """The steps of a network, made once."""

    state: State
    graph: Graph | None
    "None where there are none."
    problem: str = ""
    "Why, in one sentence."
    is_checked: bool = field(default=False)
    "Whether the scores of a hidden place have agreed with those of the network."


_known: WeakKeyDictionary[Probe, Prepared] = WeakKeyDictionary()


def prepared(probe: Probe) -> Prepared:
    """The steps of a probe's network as it is now; made again when its weights were written to."""
    with probe.lent(torch.empty(0)) as (module, _):
        state = _state_of(module)
        known = _known.get(probe)
        if known is None or known.state != state:
            try:
                known = Prepared(state, graph_of(module))
            except Untraceable as error:
                known = Prepared(state, None, str(error))
            _known[probe] = known
        return known


def clean_run(
    probe: Probe, image: torch.Tensor, expected: torch.Tensor | None = None
) -> tuple[Prepared, Graph, Clean]:
    """All that the network's steps give for a clean image (c h w), and that they are its own.

    Args:
        probe: runs the network.
        image: normalised, (c h w).
        expected: the network's own scores (1 classes) of it; computed where they are None.

    Raises:
        Untraceable: if the network cannot be run step by step, or its steps give other scores than
            it does itself.
        ResourceError: if the image does not fit the memory.
    """
    with probe.borrow():
        if expected is None:
            expected = probe.logits(image[None])
        found = _steps_of(probe, image)
        if agree(logits_in(found[2].scores, 1), expected, found[2].scores.dtype):
            return found
        # Weights can be written to behind the back of PyTorch's count, by way of `.data`.
        _known.pop(probe)
        found = _steps_of(probe, image)
        # The scores of one image may be near zero by chance: those of its negative are their size.
        size = float(probe.logits(-image[None]).nan_to_num(0, 0, 0).abs().max())
        if not agree(logits_in(found[2].scores, 1), expected, found[2].scores.dtype, size):
            raise Untraceable("Step by step, the network gives other scores than as a whole.")
        return found


def _steps_of(probe: Probe, image: torch.Tensor) -> tuple[Prepared, Graph, Clean]:
    known = prepared(probe)
    if known.graph is None:
        raise Untraceable(known.problem)
    with probe.lent(image) as (_, moved):
        try:
            return known, known.graph, Clean(known.graph, moved)
        # Steps that are not known here may fail on the memory order, in any way.
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise Untraceable(
                f"The network does not run step by step ({first_line(error)})."
            ) from error


def agree(
    ours: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype, size: float = 0.0
) -> bool:
    """Whether scores (b classes) are the same but for rounding.

    Rounding may take half of the digits that the network computes with; another function than the
    network's own is far off. What is not finite must be so in both.

    Args:
        ours: float32 on the CPU.
        expected: likewise, of the network itself.
        dtype: in which the network computes.
        size: of the scores of other images; these may be near zero by chance.
    """
    precision = max(torch.finfo(dtype).eps, torch.finfo(expected.dtype).eps)
    is_known = expected.isfinite()
    if ours.shape != expected.shape or not torch.equal(ours.isfinite(), is_known):
        return False
    largest = float(expected[is_known].abs().max()) if is_known.any() else 0.0
    errors = (ours[is_known] - expected[is_known]).abs()
    return bool((errors <= precision**0.5 * max(largest, size)).all())


def _state_of(module: nn.Module) -> State:
    tensors = [*module.parameters(), *module.buffers()]
    # A tensor made in inference mode is not counted, and can be written to there only.
    counts = [(id(t), -1 if t.is_inference() else t._version) for t in tensors]
    hooks = [
        (id(part), len(part._forward_hooks) + len(part._forward_pre_hooks))
        for part in module.modules()
    ]
    return (*hooks, *counts)
