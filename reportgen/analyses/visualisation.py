"""What a unit or a class looks for: pictures painted to excite it as much as possible."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from reportgen.analyses.findings import counted
from reportgen.analyses.sharing import helping, in_shares, least, shared
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import label_of
from reportgen.analyses.targets import target_index
from reportgen.analyses.units import unit_layers, used_units
from reportgen.errors import OptionError
from reportgen.figures.mosaic import best_columns, mosaic
from reportgen.load.bands import shown_bands
from reportgen.probe.evidence import Call, LayerEvidence
from reportgen.probe.passing import Rows
from reportgen.probe.visualise import STEPS, Painted, Size, painted, positions
from reportgen.report.arrays import ByteArray, FloatArray, Pixels
from reportgen.report.blocks import Atlas
from reportgen.report.records import Fact, Layer, Panel

LONGEST = 128
"Pixels of the longer side of a unit's picture. Larger ones show more of the same."


@dataclass(frozen=True)
class Wish:
    """Pictures to paint at once: of units of a call, or of classes where there is no call."""

    call: Call | None
    numbers: tuple[int, ...]
    size: Size


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, and what it does to its unit or class beside what the images do."""

    kind: str
    "`unit` or `class`"
    number: int
    name: str
    size: Size
    reached: float
    mean: float
    best: float
    "Largest value on any of the images; NaN where it is not known."
    typical: float
    "Mean over all images."
    rose: bool
    levels: ByteArray
    "(h w) or (h w 3), 0..254."

    @property
    def ratio(self) -> float:
        """Times the largest value on any image that the picture reaches; NaN unless that is > 0."""
        return self.reached / self.best if self.best > 0 else float("nan")


def run(study: Study) -> Outcome:
    """One panel for each layer that has pictures; those of classes stand at the scores' layer."""
    made: dict[str, list[Picture]] = {}
    for wish, found in results(study):
        layer = _layer_of(study, wish.call or study.evidence.calls[-1])
        made.setdefault(layer.slug, []).extend(_pictures(study, wish, found))
    by_slug = {layer.slug: layer for layer in study.layer_records}
    return Outcome({slug: _panel(study, by_slug[slug], some) for slug, some in made.items()})


def results(study: Study) -> Iterator[tuple[Wish, Painted]]:
    """What was painted for every wish, shared out where a run has several processes."""
    team = study.team
    # Memory may have run out on one process only, and all must share out the same pieces.
    wishes = tuple(_wishes(study, least(team, study.probe.batch_size)))
    mine = shared(team, range(len(wishes)))

    def work(number: int) -> Rows:
        wish, before = wishes[number], STEPS * mine.index(number)

        def tell(done: int) -> None:
            if study.progress is not None:
                study.progress(before + done, STEPS * len(mine))

        tell(0)
        return painted(
            study.probe,
            wish.call,
            wish.numbers,
            study.images.preprocessing.channels,
            wish.size,
            study.images.normalise,
            study.options.seed,
            tell,
        ).rows()

    # Only the first process is given rows, and so goes through the wishes.
    for rows, wish in zip(in_shares(team, range(len(wishes)), work), wishes, strict=False):
        yield wish, Painted.of_rows(rows)


def _wishes(study: Study, most: int) -> Iterator[Wish]:
    """The most used units of one layer of each stage, and what was asked for, `most` at once."""
    wanted: dict[Call | None, list[int]] = {}
    for call in unit_layers(study):
        wanted[call] = list(used_units(study, call, study.options.visualise))
    for name in study.options.visualise_also:
        asked, number = _asked(study, name)
        wanted.setdefault(asked, []).append(number)
    for of, numbers in wanted.items():
        different = tuple(dict.fromkeys(numbers))
        for start in range(0, len(different), most):
            yield Wish(of, different[start : start + most], _size(study, of))


def _asked(study: Study, name: str) -> tuple[Call | None, int]:
    """What `--visualise-also` asks for: a unit of a call, or a class.

    Raises:
        OptionError: if there is no such unit or class.
    """
    flag = "--visualise-also"
    where, colon, which = name.rpartition(":")
    if name.startswith("class:"):
        index = target_index(name.removeprefix("class:"), study.labels, f"{flag} {name}")
        if index is not None:
            return None, index
    if not colon or not where or not which:
        raise OptionError(f"{flag} {name}: give a unit as LAYER:UNIT or a class as class:NAME.")
    calls = {str(call.key): call for call in study.evidence.calls if call.channel_axis is not None}
    call = calls.get(where)
    if call is None:
        near = get_close_matches(where, calls, n=3, cutoff=0.3) or list(calls)[:3]
        raise OptionError(f"{flag} {name}: no layer {where} has units. Near: {', '.join(near)}.")
    if not which.isdecimal() or int(which) >= call.units:
        raise OptionError(f"{flag} {name}: {where} has units 0 to {call.units - 1}.")
    return call, int(which)


def _size(study: Study, call: Call | None) -> Size:
    """Of a picture: small for units where the call has a map then, else the network's own."""
    prepared = study.images.preprocessing
    full = (prepared.height, prepared.width)
    if call is None or max(full) <= LONGEST:
        return full
    height, width = (max(1, round(side * LONGEST / max(full))) for side in full)
    found = positions(study.probe, call, prepared.channels, (height, width), study.images.normalise)
    return (height, width) if found > 1 or found == _positions(call) else full


def _positions(call: Call) -> int:
    return int(np.prod(call.output_shape)) // call.units


def _layer_of(study: Study, call: Call) -> Layer:
    return study.layer_records[study.evidence.calls.index(call)]


def _pictures(study: Study, wish: Wish, found: Painted) -> Iterator[Picture]:
    best, typical = _on_images(study, wish.call)
    # Pictures of units that give NaN are NaN too: none is shown, and none has a byte.
    shown = shown_bands(found.pixels.nan_to_num(0).movedim(1, 0).numpy())
    levels = np.rint(254 * np.moveaxis(shown, 0, -1)).astype(np.uint8)
    for at, number in enumerate(wish.numbers):
        yield Picture(
            kind="unit" if wish.call else "class",
            number=number,
            name=str(number) if wish.call else label_of(study.labels, number),
            size=wish.size,
            reached=float(found.highest[at]),
            mean=float(found.mean[at]),
            best=float(best[number]),
            typical=float(typical[number]),
            rose=found.rose[at],
            levels=levels[at, ..., 0] if levels.shape[-1] == 1 else levels[at],
        )


def _on_images(study: Study, call: Call | None) -> tuple[FloatArray, FloatArray]:
    """Largest and mean value of each unit, or class, over all images; NaN where not known."""
    seen = study.evidence.layers.get(call.key) if call else _scores(study)
    nothing = np.full(call.units if call else study.evidence.classes, np.nan)
    if seen is None:
        return nothing, nothing
    if call and call.tokens and seen.positions > math.prod(call.grid or ()):
        # Tokens that stand for no place are in the statistics, and the picture was not made for
        # them.
        return study.evidence.strongest[call.key].value[:, 0], nothing
    return seen.maximum, seen.mean


def _scores(study: Study) -> LayerEvidence | None:
    """What was seen of the scores, where the last call is what gives them."""
    last = study.evidence.calls[-1]
    seen = study.evidence.layers.get(last.key)
    tops = [answer.logits[0] for answer in study.evidence.answers if len(answer.logits)]
    if seen is None or last.units != study.evidence.classes or not tops:
        return None
    return seen if np.isclose(seen.maximum.max(), max(tops), rtol=1e-4) else None


def _panel(study: Study, layer: Layer, pictures: Sequence[Picture]) -> Panel:
    by_kind = sorted(pictures, key=lambda picture: picture.kind == "class")
    shown = [picture for picture in by_kind if picture.rose]
    score = study.score
    facts: dict[str, Fact] = {
        "images": len(study.evidence.answers),
        "steps": STEPS,
        "seed": study.options.seed,
        "score": score,
        "not_started": tuple(
            picture.name if picture.kind == "class" else f"unit {picture.name}"
            for picture in by_kind
            if not picture.rose
        ),
        "kinds": tuple(picture.kind for picture in shown),
        "numbers": tuple(picture.number for picture in shown),
        "names": tuple(picture.name for picture in shown),
        "heights": tuple(picture.size[0] for picture in shown),
        "widths": tuple(picture.size[1] for picture in shown),
        "reached": tuple(picture.reached for picture in shown),
        "means": tuple(picture.mean for picture in shown),
        "best": tuple(picture.best for picture in shown),
        "typical": tuple(picture.typical for picture in shown),
        "ratios": tuple(picture.ratio for picture in shown),
    }
    blocks = {}
    for kind in ("unit", "class"):
        some = [picture for picture in shown if picture.kind == kind]
        if some:
            blocks[kind] = _atlas(study, layer, some)
    return Panel(facts, blocks=blocks)


def _atlas(study: Study, layer: Layer, pictures: Sequence[Picture]) -> Atlas:
    """All pictures of one kind; nobody measures in them, so that they may be lossy."""
    tiles = np.stack([picture.levels for picture in pictures])
    count, height, width = tiles.shape[:3]
    columns = best_columns(count, height, width)
    kind = pictures[0].kind
    nouns = "units" if kind == "unit" else "classes"
    what = f"the mean activation of a unit of {layer.title}" if kind == "unit" else "a class score"
    names = ", ".join(picture.name for picture in pictures)
    return Atlas(
        pixels=Pixels.lossy(mosaic(tiles, columns), f"{layer.slug}-{kind}-visualised"),
        columns=columns,
        count=count,
        tile_height=height,
        tile_width=width,
        full_height=height,
        full_width=width,
        low=np.zeros(count, dtype=np.float32),
        high=np.ones(count, dtype=np.float32),
        labels=tuple(picture.name for picture in pictures),
        order=(),
        signed=False,
        alt=f"Pictures painted to excite {nouns} {names} of {layer.title}.",
        caption=f"{counted(count, 'picture')} of {height} x {width} pixels, each the result of "
        f"{STEPS} steps of gradient ascent on {what}, from noise of seed {study.options.seed}.",
    )


ANALYSIS = Analysis(
    name="visualisation",
    title="Feature visualisation",
    place="layer",
    run=run,
    needs=("picture",),
    help_with=helping(results),
    references=(
        "Olah, Mordvintsev, Schubert: Feature Visualization. Distill, 2017.",
        "Erhan, Bengio, Courville, Vincent: Visualizing Higher-Layer Features of a Deep Network. "
        "University of Montreal, technical report 1341, 2009.",
    ),
)
