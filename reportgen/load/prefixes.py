"""Names of weights as training tools change them (`module.`, `_orig_mod.`, ...), undone."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from torch import Tensor

Weights: TypeAlias = Mapping[str, Tensor]
Step: TypeAlias = Callable[[list[str]], tuple[dict[str, str], str]]
"Names in a file to (new name of each name that is kept, what was done in one sentence)."

_MOST_STEPS = 8
"No tool wraps so often; names such as `a.a.a. ...` would have a reading for each dot."
_NETWORK_PREFIXES = ("model.", "net.", "network.", "module.", "backbone.")


def readings(weights: Weights) -> Iterator[tuple[Weights, tuple[str, ...]]]:
    """Ways to read the names in a file, the least changed first, with what was undone.

    Which one is right shows when a network takes exactly these names and shapes; nothing is
    dropped or renamed for a network that does not ask for it.
    """
    queue: deque[tuple[Weights, tuple[str, ...]]] = deque([(weights, ())])
    seen = {frozenset(weights)}
    while queue:
        entries, notes = queue.popleft()
        yield entries, notes
        for step in _STEPS if len(notes) < _MOST_STEPS else ():
            renamed, note = step(list(entries))
            changed = {new: entries[old] for old, new in renamed.items()}
            # Two names that become one would lose a tensor.
            if len(changed) == len(renamed) and changed and frozenset(changed) not in seen:
                seen.add(frozenset(changed))
                queue.append((changed, (*notes, note)))


def _without_counters(names: list[str]) -> tuple[dict[str, str], str]:
    counters = _counters(names)
    note = f"Counters that are no weights were left out: {', '.join(counters[:3])}."
    return {name: name for name in names if name not in counters}, note


def _counters(names: list[str]) -> list[str]:
    """Entries that tools for averaging and counting leave behind."""
    return [n for n in names if n == "n_averaged" or n.endswith((".total_ops", ".total_params"))]


def _without_compile(names: list[str]) -> tuple[dict[str, str], str]:
    note = "The prefix `_orig_mod.` of torch.compile was removed."
    return {name: name.replace("_orig_mod.", "") for name in names}, note


def _without_shared_prefix(names: list[str]) -> tuple[dict[str, str], str]:
    first = names[0].split(".", 1)[0] + "."
    if not all(name.startswith(first) for name in names):
        return {}, ""
    note = f"The prefix `{first}` was removed."
    return {name: name[len(first) :] for name in names}, note


def _network_only(names: list[str]) -> tuple[dict[str, str], str]:
    """The network's entries alone: Lightning saves those of losses and metrics with them."""
    for prefix in () if _counters(names) else _NETWORK_PREFIXES:
        kept = [name for name in names if name.startswith(prefix)]
        if kept and len(kept) < len(names):
            left = [name for name in names if name not in set(kept)]
            shown = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
            note = f"Only the entries under `{prefix}` were used; left out: {shown}."
            return {name: name[len(prefix) :] for name in kept}, note
    return {}, ""


def _without_inner_parallel(names: list[str]) -> tuple[dict[str, str], str]:
    """DataParallel around a part, as PyTorch's own ImageNet example saves AlexNet."""
    note = "The inner prefix `module.` of DataParallel was removed."
    return {name: name.replace(".module.", ".") for name in names}, note


def _current_spelling(names: list[str]) -> tuple[dict[str, str], str]:
    """Names of DenseNet and ViT as the files published by torchvision still spell them."""
    note = "Older spellings of names were brought up to date."
    renamed = {}
    for name in names:
        new = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)
        new = new.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3.")
        renamed[name] = new
    return renamed, note


_STEPS: tuple[Step, ...] = (
    _without_counters,
    _without_compile,
    _without_shared_prefix,
    _network_only,
    _without_inner_parallel,
    _current_spelling,
)
