"""The weights of the smaller network: what is left, with constants and copies moved into it."""

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import nn

from reportgen.probe.pruning.channels import Mixing
from reportgen.probe.pruning.decide import Decision, bias_taker, weights_of
from reportgen.probe.pruning.plan import kept


def smaller_state(decision: Decision, network: nn.Module) -> dict[str, torch.Tensor]:
    """The state_dict of the smaller network, under the same names.

    A constant that a layer read moves into its bias (or the mean of the norm behind it), in
    float64; what read a copy is added to what reads the channel that stays.

    Args:
        decision: what goes.
        network: the whole one, which stays as it is.
    """
    state = network.state_dict()
    smaller = OrderedDict((name, tensor.detach().clone()) for name, tensor in state.items())
    if (versions := getattr(state, "_metadata", None)) is not None:
        # Some modules refuse weights that do not say of which version they are.
        smaller._metadata = versions  # type: ignore[attr-defined]
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
    for path, other in _second_names(network):
        for name in weights_of(network.get_submodule(path)):
            smaller[f"{other}.{name}"] = smaller[f"{path}.{name}"]
    return smaller


def _second_names(network: nn.Module) -> Iterator[tuple[str, str]]:
    """The name under which each module is followed, and another that it has too."""
    first: dict[nn.Module, str] = {}
    for path, module in network.named_modules(remove_duplicate=False):
        if first.setdefault(module, path) != path:
            yield first[module], path


def _fold(decision: Decision, mixing: Mixing, state: dict[str, torch.Tensor]) -> None:
    """Moves what a reader got from the channels that go to where it stays."""
    weight = state[f"{mixing.path}.weight"]
    values = decision.values[mixing]
    shift = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
    merged: dict[int, list[list[int]]] = {}
    for root, verdict in decision.going.items():
        columns = decision.channels[root].columns.get(mixing, [])
        if columns and verdict.twin is not None:
            merged.setdefault(verdict.twin, []).append(columns)
        elif columns and values[columns].any():
            read = torch.from_numpy(values[columns]).to(shift)
            shift += (
                weight[:, columns].double().reshape(len(weight), len(columns), -1).sum(2) @ read
            )
    for twin, copies in merged.items():
        columns = decision.channels[twin].columns[mixing]
        parts = [weight[:, place].double() for place in (columns, *copies)]
        weight[:, columns] = torch.stack(parts).sum(0).to(weight)
    if shift.any():
        path = bias_taker(decision.found, mixing)
        assert path is not None
        key = f"{path}.bias" if path == mixing.path else f"{path}.running_mean"
        moved = state[key].double() + (shift if path == mixing.path else -shift)
        state[key] = moved.to(state[key])
