"""A pruning in words: what can go, what it saves, what stays and why, and what the proof found."""

from collections.abc import Iterator, Sequence

from reportgen.analyses.deadness import firing_bound
from reportgen.analyses.findings import counted, percent, these
from reportgen.probe.pruning.plan import Plan
from reportgen.probe.pruning.proof import Flip, Proof
from reportgen.probe.pruning.words import counts, kinds_by_layer, staying

LISTED_FLIPS = 10


def plan_lines(plan: Plan, images: int) -> Iterator[str]:
    """The plan as a table, and what has to stay.

    Args:
        plan: what can go.
        images: that it was seen on.
    """
    if plan.going:
        yield headline(plan)
        seen_only = sum(not unit.is_always for unit in plan.going)
        if seen_only:
            who = "They" if seen_only == len(plan.going) else f"{seen_only:,} of them"
            yield (
                f"{who} did nothing on {these(images)}: each may still fire on up to "
                f"{percent(firing_bound(images))} of others (3/N, at 95 %)."
            )
        yield ""
        yield from _aligned([HEADINGS, *table(plan), _total(plan)])
    stays = [(layer, units, kind, reason) for layer, _, units, kind, reason in staying(plan)]
    if stays:
        yield ""
        yield "Idle, but they have to stay:"
        yield from _aligned([("Layer", "Units", "Kind", "Because"), *stays])


def headline(plan: Plan) -> str:
    """What can go and what it saves, in one sentence."""
    parameters, macs = (
        1 - after / max(before, 1) for before, after in (plan.parameters, plan.macs)
    )
    size = _bytes(plan.bytes[0] - plan.bytes[1])
    return (
        f"{counted(len(plan.going), 'unit')} can go: {percent(parameters)} of the parameters, "
        f"{percent(macs)} of the multiplications, {size}."
    )


HEADINGS = ("Layer", "Units", "Inputs", "What goes", "Parameters", "MACs", "Bytes")


def table(plan: Plan) -> Iterator[tuple[str, ...]]:
    """One row per layer that gets smaller."""
    kinds = kinds_by_layer(plan)
    for layer in plan.layers:
        yield (
            layer.layer,
            _change(layer.units),
            _change(layer.inputs) if layer.inputs[0] else "",
            counts(kinds.get(layer.layer, {})),
            *(_less(pair) for pair in (layer.parameters, layer.macs, layer.bytes)),
        )


def _total(plan: Plan) -> tuple[str, ...]:
    sums = (_less(pair) for pair in (plan.parameters, plan.macs, plan.bytes))
    return ("In all", "", "", counted(len(plan.going), "unit"), *sums)


def proof_lines(proof: Proof, labels: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """What came of running both networks.

    Args:
        proof: the comparison.
        labels: of the classes.
        names: of the images.
    """
    if proof.is_identical:
        yield (
            f"Identical answers on {these(proof.images)}: no score differs by more than "
            f"{proof.largest:.1g}."
        )
    else:
        yield f"Scores differ by up to {proof.largest:.3g} on {these(proof.images)}."
        share = percent(len(proof.flips) / proof.images)
        yield f"{counted(len(proof.flips), 'answer')} of {proof.images:,} changed ({share})."
        for flip in proof.flips[:LISTED_FLIPS]:
            yield f"  {names[flip.image]}: {_class(flip, labels)}"
        if len(proof.flips) > LISTED_FLIPS:
            yield f"  and {len(proof.flips) - LISTED_FLIPS:,} more"
    if proof.accuracy:
        before, after = proof.accuracy
        yield f"Accuracy: {percent(before)} before, {percent(after)} after."


def _class(flip: Flip, labels: Sequence[str]) -> str:
    if len(labels) <= max(flip.before, flip.after):
        return f"class {flip.before} became {flip.after}"
    return f"{labels[flip.before]} became {labels[flip.after]}"


def _change(pair: tuple[int, int]) -> str:
    before, after = pair
    return f"{before:,}" if before == after else f"{before:,} -> {after:,}"


def _less(pair: tuple[int, int]) -> str:
    before, after = pair
    return f"-{before - after:,}" if before != after else "0"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows as lines, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if index >= 4 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
