"""Which tensors of a network to draw class activation maps at: one for each size of its maps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reportgen.errors import OptionError
from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.gradients import Spot
from reportgen.probe.selection import no_such_layer
from reportgen.report.records import ReceptiveField

MOST = 5
"Stages shown; of more, the deepest."
FINEST = 64
"Positions a side: finer maps follow the edges of the image, not the class."


@dataclass(frozen=True)
class Stage:
    """The last tensor of one map size that everything on the way to the score passes through."""

    spot: Spot
    call: Call
    "Which gives the tensor, or reads it."
    grid: tuple[int, int]
    "Rows and columns of the maps."
    middles: tuple[tuple[float, float], tuple[float, float]]
    "Middle of what the first and the last position see: pixels (down, across)."


@dataclass(frozen=True)
class Stages:
    """The stages in the order of execution, or why there is none."""

    found: tuple[Stage, ...]
    problem: str = ""
    cuts: tuple[Stage, ...] = ()
    "All cuts with maps of the last stage's size, in the order of execution."


def stages_of(calls: Sequence[Call], classes: int, size: tuple[int, int]) -> Stages:
    """The stages of a network in the order of execution: `MOST`, all but the last `FINEST` or less.

    A stage is a size of maps. It is seen at its last cut: the last tensor of that size that every
    path from the image to the score passes through, which a branch of a residual block or of an
    Inception block is not. A cut is what a call gives, or what a convolution, a pooling or a norm
    of tokens reads where several calls meet in it (a sum or a concatenation is no call itself).
    What a pooling gives is none, for it holds no new features; nor is what a layer at the end gives
    that has one map a class, for these are scores. Maps of one position are none either, and sizes
    that differ by less than a quarter of the positions count as one.

    Args:
        calls: in the order of execution.
        classes: of the network.
        size: of the image, in pixels.
    """
    grids = [grid for call in calls if (grid := _grid(call)) is not None]
    if not grids:
        return Stages((), "No layer gives feature maps with height and width, so there is no map.")
    reads = _on_the_way(calls, classes)
    cuts = tuple(_cuts_with_maps(calls, reads, classes, size))
    last = {stage.grid: (i, stage) for i, stage in cuts}
    if not last:
        return Stages((), "No layer with feature maps lies on every path to the score.")
    found = sorted(last.values(), key=lambda pair: pair[0])
    if any(_has_tokens(calls[i]) for i in reads if i > found[-1][0]):
        text = "The network goes on with tokens that have no height and width, so there is no map."
        return Stages((), text)
    found = [
        pair
        for pair, after in zip(found, [*found[1:], None], strict=True)
        if after is None or _shrinks(pair[1].grid, after[1].grid)
    ]
    stages = [stage for _, stage in found]
    coarse = [stage for stage in stages[:-1] if max(stage.grid) <= FINEST]
    same = tuple(stage for _, stage in cuts if stage.grid == stages[-1].grid)
    return Stages((*coarse, stages[-1])[-MOST:], cuts=same)


def _cuts_with_maps(
    calls: Sequence[Call], reads: Mapping[int, Sequence[int]], classes: int, size: tuple[int, int]
) -> Iterator[tuple[int, Stage]]:
    """All cuts to look at, in the order of execution, with the places of their calls."""
    cuts, streams = _cuts(reads), _streams(calls, reads)
    scored = _first_of_scores([calls[i] for i in cuts], classes)
    by_key = {call.key: call for call in calls}
    for i in sorted({*cuts, *streams}):
        call = calls[i]
        is_score = i in cuts[scored:]
        given = _given(call) if i in cuts and not is_score else None
        if i in streams:
            read = (Spot(call.key, "input"), _grid(call), call.receptive_field)
        else:
            read = _read(call, by_key)
        for spot, grid, seen in (read, (Spot(call.key), given, call.receptive_field)):
            if grid is not None:
                yield i, Stage(spot, call, grid, _middles(seen, grid, size))


def _on_the_way(calls: Sequence[Call], classes: int) -> dict[int, list[int]]:
    """Places of the calls between the image and the score, each with the places that it reads."""
    place = {call.key: i for i, call in enumerate(calls)}
    reads: list[list[int]] = []
    is_reached: list[bool] = []
    for call in calls:
        reads.append([place[key] for key in call.inputs if is_reached[place[key]]])
        # What reads no call and has no channels is made of constants, such as a position bias.
        is_first = not call.inputs and call.channel_axis is not None
        is_reached.append(is_first or bool(reads[-1]))
    scores = [i for i, call in enumerate(calls) if call.output_shape == (classes,)]
    end = scores[-1] if scores else len(calls) - 1
    needed = {end}
    for i in range(end, -1, -1):
        if i in needed:
            needed.update(reads[i])
    return {i: reads[i] for i in sorted(needed)}


def _cuts(reads: Mapping[int, Sequence[int]]) -> list[int]:
    """Places of the calls that every path from the image to the score passes through.

    In the order of execution these are the calls over which no edge jumps.
    """
    last_reader = {read: i for i, some in reads.items() for read in some}
    # The image itself is read until here.
    farthest = max(i for i, some in reads.items() if not some)
    cuts = []
    for i in reads:
        if i >= farthest:
            cuts.append(i)
        farthest = max(farthest, last_reader.get(i, i))
    return cuts


def _streams(calls: Sequence[Call], reads: Mapping[int, Sequence[int]]) -> set[int]:
    """Places of the norms of tokens that read a tensor which everything passes through.

    Such are the norms at the start of a transformer's blocks. What they read is a sum, which is no
    call, but of the calls before it, each call from there on reads all that are summed, or none.
    """
    found = set()
    for i, summed in reads.items():
        if calls[i].kind == "norm" and calls[i].tokens is not None:
            later = [some for j, some in reads.items() if j >= i]
            before = [{read for read in some if read < i} for some in later]
            if all(later) and all(read in (set(), {*summed}) for read in before):
                found.add(i)
    return found


def _grid(call: Call) -> tuple[int, int] | None:
    """Rows and columns of what a call gives; None where it gives no maps of several positions."""
    axes = 3 if call.tokens is None else 2
    if call.grid is None or call.channel_axis is None or len(call.output_shape) != axes:
        return None
    return call.grid if call.grid != (1, 1) else None


def _first_of_scores(cuts: Sequence[Call], classes: int) -> int:
    """Place of the call from which on there is one map a class: the last with weights, or none."""
    weighted = [i for i, call in enumerate(cuts) if call.parameters > 0]
    features = [i for i, call in enumerate(cuts) if _given(call) is not None]
    if weighted and features and weighted[-1] > features[0]:
        last = cuts[weighted[-1]]
        if _grid(last) is not None and last.units == classes:
            return weighted[-1]
    return len(cuts)


def _given(call: Call) -> tuple[int, int] | None:
    """The grid of what a call gives, where it is a cut to look at."""
    return None if call.kind == "pool" else _grid(call)


def _read(
    call: Call, by_key: Mapping[CallKey, Call]
) -> tuple[Spot, tuple[int, int] | None, ReceptiveField | None]:
    """What a call reads, with its grid where several calls meet there and it is (channels h w)."""
    sources = [by_key[key] for key in call.inputs if _grid(by_key[key]) is not None]
    grids = {_grid(source) for source in sources}
    takes_maps = call.kind in ("conv", "pool") and call.spatial_axes == (1, 2)
    is_cut = takes_maps and len(sources) > 1 and len(grids) == 1
    fields = [source.receptive_field for source in sources if source.receptive_field is not None]
    widest = max(fields, key=lambda field: field.size, default=None)
    return Spot(call.key, "input"), grids.pop() if is_cut else None, widest


def _shrinks(grid: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether maps get notably smaller: a convolution without padding is no new stage."""
    return after[0] * after[1] < 0.75 * grid[0] * grid[1]


def _has_tokens(call: Call) -> bool:
    """Whether a call with weights gives several positions that are no grid."""
    axes = [size for size in call.output_shape if size > 1]
    return call.parameters > 0 and call.grid is None and len(axes) > 1


def _middles(
    seen: ReceptiveField | None, grid: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the first and the last position lie in the image: the middles of what they see.

    Evenly spread over the image where that is not known, as behind a gate that sees everything.
    """
    ends = []
    for i, (count, pixels) in enumerate(zip(grid, size, strict=True)):
        step = pixels / count
        first, last = (step - 1) / 2, pixels - 1 - (step - 1) / 2
        if seen is not None and seen.stride[i] > 0:
            start, stop = seen.centre[i], seen.centre[i] + (count - 1) * seen.stride[i]
            if start > -step and stop < pixels - 1 + step:
                first, last = start, stop
        ends.append((first, last))
    (top, bottom), (left, right) = ends
    return (top, left), (bottom, right)


def stage_named(calls: Sequence[Call], name: str, size: tuple[int, int]) -> Stage:
    """The output of the call of this name (`relu`, `relu#2`) as a stage.

    Args:
        calls: in the order of execution.
        name: of the call.
        size: of the image, in pixels.

    Raises:
        OptionError: if there is no such call, or it gives no maps.
    """
    grids = {call.key: grid for call in calls if (grid := _grid(call)) is not None}
    named = [call for call in calls if name in (str(call.key), f"{call.key.path}#{call.key.call}")]
    if not grids:
        why = "no layer of this network gives feature maps with height and width."
    elif not named:
        within = [key for key in grids if key.path.startswith(f"{name}.")]
        block = f"it holds other layers; name one of them, such as {within[-1]}." if within else ""
        why = block or no_such_layer(list(grids), name)
    elif named[0].key not in grids:
        first, last = next(iter(grids)), next(reversed(grids))
        why = "it gives no feature maps with height and width. "
        why += f"The first layer that does is {first}, the last {last}."
    else:
        (call,) = named
        grid = grids[call.key]
        return Stage(Spot(call.key), call, grid, _middles(call.receptive_field, grid, size))
    raise OptionError(f"--cam-layer {name}: {why}")


def stages_until(stages: Stages, last: Stage, calls: Sequence[Call]) -> Stages:
    """A chosen stage in place of the last, behind those that are executed before it."""
    place = {call.key: i for i, call in enumerate(calls)}
    before = [s for s in stages.found if place[s.call.key] < place[last.call.key]]
    return Stages((*before, last)[-MOST:])
