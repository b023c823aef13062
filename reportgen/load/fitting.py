"""Puts weights into a network: every name and shape must fit, and what does not is named."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reportgen.errors import ModelError
from reportgen.load.architectures import differences, shapes_of
from reportgen.load.prefixes import Weights, readings
from reportgen.load.salvage import SavedModule

# Settings that change nothing in what a network in eval mode computes.
_IDLE_SETTINGS = frozenset(
    {
        "attention_dropout",
        "aux_logits",
        "drop_rate",
        "dropout",
        "init_weights",
        "inplace",
        "memory_efficient",
        "momentum",
        "p",
        "training",
    }
)


def fit(net: nn.Module, weights: Weights) -> tuple[Weights, tuple[str, ...]] | list[str]:
    """The reading of `weights` that a network takes, with notes; else what differs least."""
    expected = shapes_of(net.state_dict())
    best: list[str] | None = None
    for reading, notes in readings(weights):
        found = list(differences(expected, shapes_of(reading)))
        if not found:
            return reading, notes
        if best is None or len(found) < len(best):
            best = found
    return best or []


def class_count(net: nn.Module, weights: Weights) -> int | None:
    """The class count in `weights`, where one size in place of another is all that differs."""
    expected = shapes_of(net.state_dict())
    for reading, _ in readings(weights):
        found = shapes_of(reading)
        if found.keys() != expected.keys():
            continue
        pairs = {
            (theirs, ours)
            for name in expected
            for theirs, ours in zip(found[name], expected[name], strict=False)
            if theirs != ours
        }
        same_rank = all(len(found[name]) == len(expected[name]) for name in expected)
        if len(pairs) == 1 and same_rank:
            return next(iter(pairs))[0]
    return None


def pour(net: nn.Module, weights: Weights, file: str) -> None:
    """Load `weights` into a network of the same names and shapes: float32, CPU, eval mode.

    Raises:
        ModelError: if the file holds whole numbers where the network computes.
    """
    own = net.state_dict()
    filled: dict[str, Tensor] = {}
    for name, tensor in own.items():
        given = weights.get(name)
        if given is None:
            # Only the batch counters of norms may be absent: they do nothing in eval mode.
            given = torch.zeros(tensor.shape, dtype=tensor.dtype)
        if tensor.is_floating_point() and not given.is_floating_point():
            kind = str(given.dtype).removeprefix("torch.")
            raise ModelError(
                f"{file} holds {name} as {kind}, where the network computes with real numbers; "
                "quantised weights are not supported."
            )
        if given.is_floating_point():
            given = given.float()
        filled[name] = given.contiguous()
    on_meta = any(tensor.is_meta for tensor in own.values())
    # Old versions of a layer are told by this table; without it MNASNet refuses to load.
    state = type(own)(filled)
    state._metadata = own._metadata  # type: ignore[attr-defined]
    try:
        net.load_state_dict(state, strict=True, assign=on_meta)
    except Exception as error:
        words = " ".join(str(error).split())
        raise ModelError(
            f"{file} does not load into {type(net).__name__}: {words[:300]}"
        ) from error
    net.float().eval()


def listed(found: list[str]) -> str:
    """The first five differences, and how many more there are."""
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")


def unlike(net: nn.Module, saved: Mapping[str, SavedModule], *, is_whole: bool) -> list[str]:
    """Where a file's own account of its modules contradicts a network that has the same weights.

    Names and shapes cannot show that a ReLU was replaced by a LeakyReLU, or a stride changed; a
    whole module says so.

    Args:
        net: the network built in its place.
        saved: every module of the file by its path.
        is_whole: whether the file lists modules without weights too (TorchScript drops some).
    """
    ours = dict(net.named_modules())
    found = []
    for path, module in saved.items():
        if path not in ours:
            if module.is_leaf:
                found.append(f"{path} ({module.short_name}) is in the file only")
            continue
        kind = type(ours[path]).__name__
        is_leaf = module.is_leaf and not any(True for _ in ours[path].children())
        if is_leaf and kind != module.short_name:
            found.append(f"{path} is {module.short_name} in the file, {kind} in torchvision's")
            continue
        for name, value in module.settings.items():
            mine = getattr(ours[path], name, _ABSENT)
            if mine is not _ABSENT and name not in _IDLE_SETTINGS and _contradicts(value, mine):
                found.append(f"{path}.{name} is {value} in the file, {mine} in torchvision's")
    if is_whole:
        missing = [p for p, m in ours.items() if p not in saved and not any(m.children())]
        found += [f"{path} is missing in the file" for path in missing]
    return found


_ABSENT = object()


def _contradicts(theirs: object, ours: object) -> bool:
    """Whether two plain settings differ; 2 and (2, 2) do not."""
    plain = (bool, int, float, str, tuple, type(None))
    if not isinstance(ours, plain):
        return False

    def spread(value: Any) -> Any:
        return value if isinstance(value, tuple) else (value, value)

    return theirs != ours and spread(theirs) != spread(ours)
