"""What in the pixels made one unit answer at one place: the deconvnet [zeiler2013].

The one activation is kept and all others of its layer are set to zero. From there each layer is
taken back by its adjoint: a convolution by the transposed one, a batch norm by its scale, a max
pooling by the switches recorded on the way forward; and each ReLU passes back what is positive.
Where overlapping windows of a pooling share a maximum, what comes back through them is added up, as
the adjoint does; `max_unpool2d` would keep one of them.
"""

from collections.abc import Sequence

import torch

from reportgen.errors import ModelError
from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.gradients import differentiated
from reportgen.probe.probe import Probe
from reportgen.probe.reach import output_of
from reportgen.probe.rectifiers import BackwardRule, why_not


def projections(
    probe: Probe, images: torch.Tensor, call: Call, places: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    """The projection of one activation of each image down to its pixels.

    Args:
        probe: of the network.
        images: normalised (n c h w).
        call: with maps, whose activations they are.
        places: (unit, row, column), one an image.

    Returns:
        (n c h w) float32 on the CPU, in the units of the network's input; linear in the activation,
        which is passed back with its own value. Zero where nothing comes back.

    Raises:
        ModelError: if there is no way back through this network.
        ResourceError: if one image alone does not fit the memory.
    """
    if len(images) != len(places):
        raise ValueError(f"{len(images)} images and {len(places)} places")
    parts = probe.in_parts(
        images,
        lambda part, first: _projected(probe, part, call, places[first : first + len(part)]),
    )
    return torch.cat(list(parts))


def unprojected(calls: Sequence[Call], key: CallKey) -> str:
    """One sentence that says why a layer has no projections; empty where it has.

    Args:
        calls: all of the network, in the order of execution.
        key: of the layer; what comes after it does not matter.
    """
    by_key = {call.key: call for call in calls}
    needed, waiting = {key}, [key]
    while waiting:
        new = set(by_key[waiting.pop()].inputs) - needed
        needed |= new
        waiting.extend(new)
    # Before the first ReLU the way back is the plain adjoint, if the network has a ReLU at all.
    rectifier = [call for call in calls if call.rectifies][:1]
    return why_not([*(call for call in calls if call.key in needed), *rectifier])


def _projected(
    probe: Probe, images: torch.Tensor, call: Call, places: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    """The projections for as many images as fit the memory at once."""
    assert call.grid is not None
    problem = f"There is no way back from {call.key} to the pixels"
    with probe.lent(images) as (module, moved), differentiated(problem):
        # A clone, and then another: see `gradients.slopes`.
        leaf = moved.detach().clone().requires_grad_()
        with BackwardRule("deconvnet"):
            given = output_of(module, call, leaf.clone())
        units, rows, columns = (torch.tensor(some) for some in zip(*places, strict=True))
        picked = given[torch.arange(len(places)), units, rows * call.grid[1] + columns]
        found = None
        if picked.requires_grad:
            (found,) = torch.autograd.grad(picked, leaf, picked.detach(), allow_unused=True)
        if found is None:
            raise ModelError(f"{problem}: it does not depend on the image by autograd.")
        return found.float().cpu()
