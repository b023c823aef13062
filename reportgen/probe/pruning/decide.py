"""Decides which units can go without a change in what the network says, and why others cannot."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import fx, nn

from reportgen.probe.evidence import Evidence
from reportgen.probe.pruning.channels import Alone, Followed, Mixing
from reportgen.probe.pruning.constants import Values, constants
from reportgen.probe.pruning.rules import BATCH_NORMS, CONVOLUTIONS

Kind: TypeAlias = Literal["dead", "zero weights", "constant", "duplicate"]
KINDS: tuple[str, ...] = ("dead", "constant", "duplicate")
"What can be asked for: `dead` takes in units with zero weights."


@dataclass(eq=False)
class Channel:
    """All that belongs to one channel: what makes it, treats it alone and reads it."""

    rows: list[tuple[Mixing, int]] = field(default_factory=list)
    entries: list[tuple[Alone, int]] = field(default_factory=list)
    columns: dict[Mixing, list[int]] = field(default_factory=dict)
    "Of each reader, in order."


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was decided of one channel that is idle."""

    kind: Kind
    reason: str
    "Why it has to stay; empty where it goes."
    is_always: bool
    "Whether it is idle for every image, by its weights alone."
    twin: int | None = None
    "Root of the channel that does the same."
    where: tuple[Mixing, int] | None = None
    "The layer and its unit that is idle, where that is not the first that makes the channel."


@dataclass(frozen=True, eq=False)
class Decision:
    """Which channels of a network go."""

    found: Followed
    channels: Mapping[int, Channel]
    "By root, in the order in which they are made."
    verdicts: Mapping[int, Verdict]
    "Of the idle ones."
    values: Mapping[Mixing, Values]
    "What each reader sees at its columns, where that is constant."

    @property
    def going(self) -> dict[int, Verdict]:
        """Those that go."""
        return {root: verdict for root, verdict in self.verdicts.items() if not verdict.reason}


def decided(found: Followed, seen: Evidence, kinds: Collection[str] = KINDS) -> Decision:
    """Which units go, of the kinds asked for: all of them together.

    A channel goes if everything that reads it sees nothing but zeros, or one value that a bias can
    take, or if another channel is made and treated by the same weights.
    """
    channels = channels_of(found)
    by_images, by_weights = constants(found, seen), constants(found, None)
    still = _still(found, by_images)
    verdicts = {
        root: _asked(_idle(found, root, channel, still[root], by_images, by_weights, seen), kinds)
        for root, channel in channels.items()
        if root in still
    }
    _leave_one(found, channels, verdicts)
    for root, twin in duplicates(found, channels):
        if all(one not in verdicts or verdicts[one].reason for one in (root, twin)):
            reason = found.forest.reason(root) or found.forest.reason(twin)
            verdicts[root] = _asked(Verdict("duplicate", reason, True, twin), kinds)
    values = {m: by_images[reads_of(m)] for m in found.mixings if m.columns is not None}
    return Decision(found, channels, dict(sorted(verdicts.items())), values)


def reads_of(mixing: Mixing) -> fx.Node:
    """The node whose channels a layer reads."""
    return mixing.node.all_input_nodes[0]


def _asked(verdict: Verdict, kinds: Collection[str]) -> Verdict:
    """The verdict, with a reason to stay where the kind was not asked for."""
    name = "dead" if verdict.kind == "zero weights" else verdict.kind
    if verdict.reason or name in kinds:
        return verdict
    return replace(verdict, reason=f"{name} units were not asked for")


def channels_of(found: Followed) -> dict[int, Channel]:
    """Every channel that some layer makes, by root."""
    made: dict[int, Channel] = defaultdict(Channel)
    for mixing in found.mixings:
        for row, root in enumerate(found.forest.roots(mixing.rows).tolist()):
            made[root].rows.append((mixing, row))
    for alone in found.alone:
        for entry, root in enumerate(found.forest.roots(alone.slots).tolist()):
            if root in made:
                made[root].entries.append((alone, entry))
    for mixing in found.mixings:
        if mixing.columns is not None:
            for column, root in enumerate(found.forest.roots(mixing.columns).tolist()):
                if root in made:
                    made[root].columns.setdefault(mixing, []).append(column)
    return dict(made)


def _still(found: Followed, values: Mapping[fx.Node, Values]) -> dict[int, tuple[fx.Node, float]]:
    """The channels that are constant somewhere on their way: where first, and their value there."""
    first: dict[int, tuple[fx.Node, float]] = {}
    for node, known in values.items():
        roots, places, where = np.unique(
            found.forest.roots(found.tracks[node].slots), return_index=True, return_inverse=True
        )
        # After a flatten a channel has many columns, and a corner that is always zero is no news.
        moving = np.bincount(where, weights=~np.isfinite(known), minlength=len(roots))
        for root, place in zip(roots[moving == 0], places[moving == 0], strict=True):
            first.setdefault(int(root), (node, float(known[place])))
    return first


def _idle(
    found: Followed,
    root: int,
    channel: Channel,
    still: tuple[fx.Node, float],
    by_images: Mapping[fx.Node, Values],
    by_weights: Mapping[fx.Node, Values],
    seen: Evidence,
) -> Verdict:
    """What is decided of a channel that is constant somewhere, `still` there."""
    node, first = still
    reads = {m: by_images[reads_of(m)][columns] for m, columns in channel.columns.items()}
    constant = {mixing for mixing, read in reads.items() if np.isfinite(read).all()}
    is_off = not any(read.any() for read in reads.values()) if reads else first == 0
    kind: Kind = "constant"
    if is_off or (len(constant) < len(reads) and first == 0):
        kind = "zero weights" if _is_empty(found, channel) else "dead"
    reason = found.forest.reason(root)
    if not reason and not reads:
        reason = "no layer that is followed reads it"
    if not reason and len(constant) < len(reads):
        changing = next(mixing for mixing in reads if mixing not in constant)
        reason = _changes(found, channel, changing, seen)
    if not reason:
        objections = (_objection(found, mixing, read) for mixing, read in reads.items())
        reason = next(filter(None, objections), "")
    is_always = all(
        np.isfinite(by_weights[reads_of(m)][columns]).all()
        for m, columns in channel.columns.items()
    )
    return Verdict(kind, reason, is_always, where=_maker(found, channel, node))


def _maker(found: Followed, channel: Channel, node: fx.Node) -> tuple[Mixing, int] | None:
    """The layer that makes what a node gives of a channel, and the unit; None if several do."""
    makers = {mixing.node: (mixing, row) for mixing, row in channel.rows}
    while node not in makers:
        reads = [read for read in node.all_input_nodes if read in found.tracks]
        if len(reads) != 1:
            return None
        node = reads[0]
    return makers[node]


def _is_empty(found: Followed, channel: Channel) -> bool:
    """Whether all that makes a channel has only zero weights and no bias."""
    return not any(
        bool(tensor[row].any())
        for mixing, row in channel.rows
        for tensor in weights_of(found.modules[mixing.path]).values()
    )


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a layer whose first axis counts its units, by name."""
    names = ("weight", "bias", "running_mean", "running_var")
    held = {name: getattr(module, name, None) for name in names}
    return {name: found.detach() for name, found in held.items() if isinstance(found, torch.Tensor)}


def _changes(found: Followed, channel: Channel, reader: Mixing, seen: Evidence) -> str:
    """Why a reader does not see one value, although the channel is constant elsewhere."""
    key = found.keys.get(reads_of(reader))
    if key is not None and key not in seen.layers:
        return f"{reader.path} reads {key}, which was not watched"
    if len(channel.rows) > 1:
        names = list(dict.fromkeys(mixing.path for mixing, _ in channel.rows))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return (
            f"{reader.path} reads it joined with others, and not all are idle "
            f"({', '.join(names[:3])}{more})"
        )
    return f"{reader.path} sees it change"


def _objection(found: Followed, reader: Mixing, read: Values) -> str:
    """Why a reader cannot do without a channel in which it sees one value; empty where it can."""
    if not read.any():
        return ""
    module = found.modules[reader.path]
    if isinstance(module, CONVOLUTIONS) and module.padding_mode == "zeros":
        padding = module.padding
        is_padded = padding == "same" and max(module.kernel_size) > 1
        if is_padded or (not isinstance(padding, str) and max(padding) > 0):
            value = read[np.flatnonzero(read)[0]]
            return f"the zero padding of {reader.path} lies beside its {value:.3g}"
    if bias_taker(found, reader) is None:
        return f"{reader.path} has no bias that could take its constant"
    return ""


def bias_taker(found: Followed, reader: Mixing) -> str | None:
    """Path of the module that can take what a constant adds: the reader, or the norm behind it."""
    if found.modules[reader.path].bias is not None:
        return reader.path
    behind = list(reader.node.users)
    norm = next((a.path for a in found.alone if a.node in behind and len(behind) == 1), None)
    module = found.modules[norm] if norm is not None else None
    is_norm = isinstance(module, BATCH_NORMS) and module.running_mean is not None
    return norm if is_norm else None


def _leave_one(
    found: Followed, channels: Mapping[int, Channel], verdicts: dict[int, Verdict]
) -> None:
    """Keeps the first unit of every layer that would lose all of its units."""
    for mixing in found.mixings:
        roots = found.forest.roots(mixing.rows).tolist()
        if all(root in verdicts and not verdicts[root].reason for root in roots):
            reason = f"{mixing.path} would be left without any unit"
            verdicts[roots[0]] = replace(verdicts[roots[0]], reason=reason)


def duplicates(found: Followed, channels: Mapping[int, Channel]) -> Iterator[tuple[int, int]]:
    """Channels that the same weights make and treat as an earlier one, and that one: roots."""
    paths = [mixing.path for mixing in found.mixings] + [alone.path for alone in found.alone]
    # A norm may have no weights at all.
    digests = {
        path: _digests(found.modules[path]) for path in paths if weights_of(found.modules[path])
    }
    known: dict[object, int] = {}
    for root, channel in channels.items():
        parts = [(mixing.path, row) for mixing, row in channel.rows]
        parts += [(alone.path, at) for alone, at in channel.entries if alone.path in digests]
        what = tuple(sorted((path, digests[path][row]) for path, row in parts))
        readers = tuple((mixing.path, len(columns)) for mixing, columns in channel.columns.items())
        if readers:
            twin = known.setdefault((what, readers), root)
            if twin != root:
                yield root, twin


def _digests(module: nn.Module) -> list[bytes]:
    """One digest for each unit of a layer: of all that is its own."""
    # A zero may have a sign, which changes nothing.
    columns = [(tensor + 0.0).reshape(len(tensor), -1) for tensor in weights_of(module).values()]
    rows = torch.cat(columns, 1).cpu().contiguous().numpy()
    return [blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
