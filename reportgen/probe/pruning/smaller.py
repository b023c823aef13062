"""The weights of the smaller network: what is left, with constants and copies moved into it."""

from collections.abc import Mapping

import numpy as np
import torch

from reportgen.probe.pruning.channels import Mixing
from reportgen.probe.pruning.decide import Decision, bias_taker, weights_of
from reportgen.probe.pruning.plan import kept


def smaller_state(decision: Decision, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state_dict of the smaller network, under the same names.

    A constant that a layer read moves into its bias (or the mean of the norm behind it), in
    float64; what read a copy is added to what reads the channel that stays.

    Args:
        decision: what goes.
        state: the state_dict of the whole network, which stays as it is.
    """
    smaller = {name: tensor.detach().clone() for name, tensor in state.items()}
    for mixing in decision.found.mixings:
        if mixing.columns is not None:
            _fold(decision, mixing, smaller)
    for left in kept(decision):
        for name in weights_of(decision.found.modules[left.part.path]):
            key = f"{left.part.path}.{name}"
            tensor = smaller[key][left.rows]
            if name == "weight" and left.columns is not None:
                tensor = tensor[:, left.columns]
            smaller[key] = tensor.contiguous()
    return smaller


def _fold(decision: Decision, mixing: Mixing, state: dict[str, torch.Tensor]) -> None:
    """Moves what a reader got from the channels that go to where it stays."""
    weight = state[f"{mixing.path}.weight"]
    exact = weight.double()
    values = decision.values[mixing]
    shift = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
    for root, verdict in decision.going.items():
        columns = decision.channels[root].columns.get(mixing, [])
        if not columns:
            continue
        if verdict.twin is not None:
            exact[:, decision.channels[verdict.twin].columns[mixing]] += exact[:, columns]
            continue
        read = torch.from_numpy(np.array(values[columns])).to(shift)
        shift += (
            exact[:, columns].flatten(2).sum(2) @ read
            if exact.ndim > 2
            else exact[:, columns] @ read
        )
    state[f"{mixing.path}.weight"] = exact.to(weight)
    if shift.any():
        path = bias_taker(decision.found, mixing)
        assert path is not None
        key = f"{path}.bias" if path == mixing.path else f"{path}.running_mean"
        moved = state[key].double() + (shift if path == mixing.path else -shift)
        state[key] = moved.to(state[key])
