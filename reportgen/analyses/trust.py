"""Puts every attribution method to the same tests, on this network and these images."""

import math
from collections.abc import Sequence

import numpy as np

from reportgen.analyses import attention, gradcam, gradients, occlusion
from reportgen.analyses.faithfulness import RANDOM_MAPS, STEPS, Faded, faded
from reportgen.analyses.methods import Method
from reportgen.analyses.sanity import (
    FILLS,
    Level,
    Subject,
    fill_agreement,
    finite,
    levels_of,
    likeness,
    map_or_none,
)
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.targets import targets
from reportgen.analyses.trust_verdicts import RULES, UNCHANGED, Trial, trust_findings
from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Column, Link, Table
from reportgen.report.records import Fact, Panel

METHODS: tuple[Method, ...] = (
    *occlusion.METHODS,
    *gradcam.METHODS,
    *gradients.METHODS,
    *attention.METHODS,
)

IMAGES = 6
"Whose pixels are taken away and put back; the first ones with a page and a finite answer."
FORGOTTEN = 2
"Of these, images whose maps are made again by networks that forgot."
COSTLY = 40
"Passes from which on a method's maps are made again of one image only."
CURVES = ("deletion", "random_deletion", "insertion", "random_insertion")


def run(study: Study) -> Outcome:
    """One panel for all methods whose maps the report shows; for all where it shows none."""
    methods = [method for method in METHODS if method.section in study.earlier] or list(METHODS)
    explained, indices = targets(study), study.pictured[:IMAGES]
    levels = levels_of(study)
    cheap = [method for method in methods if method.passes < COSTLY]
    done = 0

    def told() -> None:
        nonlocal done
        done += 1
        if study.progress is not None:
            study.progress(done, len(indices) + len(levels))

    with study.probe.borrow():
        subjects = [
            _subject(study, methods if place == 0 else cheap, i, explained[i].index)
            for place, i in enumerate(indices[:FORGOTTEN])
        ]
        curves: dict[str, list[Faded]] = {method.name: [] for method in methods}
        for index in indices:
            target = explained[index].index
            drawn = {m.name: _drawn(study, m, index, target) for m in methods}
            maps = {name: values for name, values in drawn.items() if values is not None}
            for name, found in faded(study, index, target, maps).items() if maps else ():
                curves[name].append(found)
            told()
    tested = [method for method in methods if curves[method.name]]
    signed, absolute = likeness(study, tested, levels, subjects, told)
    trials = [
        Trial(
            method,
            tuple(curves[method.name]),
            signed[number],
            absolute[number],
            fill_agreement(study, method, subjects),
        )
        for number, method in enumerate(tested)
    ]
    trials.sort(key=lambda trial: -trial.advantage)
    without = tuple(method.title for method in methods if method not in tested)
    return Outcome({"": _panel(trials, levels, without)}, trust_findings(trials))


def _subject(study: Study, methods: Sequence[Method], index: int, target: int) -> Subject:
    image = study.images.normalise(study.images.pixels(index))
    made = {m.name: _own(study, m, index, target) for m in methods}
    return Subject(image, target, {name: map_ for name, map_ in made.items() if map_ is not None})


def _drawn(study: Study, method: Method, index: int, target: int) -> FloatArray | None:
    """The map (height width) as the page of the image draws it, before anything is cut off."""
    shown = finite(method.shown(study, index)) if method.shown is not None else None
    return _own(study, method, index, target) if shown is None else shown


def _own(study: Study, method: Method, index: int, target: int) -> FloatArray | None:
    """The map of the study's network, which the section of the method may have made before."""
    made = study.earlier.get(method.section, Outcome()).maps.get(
        study.image_records[index].slug, {}
    )
    if method.name in made:
        return made[method.name]
    image = study.images.normalise(study.images.pixels(index))
    return map_or_none(method, study, study.probe, image, target)


def _panel(trials: Sequence[Trial], levels: Sequence[Level], without: tuple[str, ...]) -> Panel:
    facts: dict[str, Fact] = {
        "methods": tuple(trial.method.name for trial in trials),
        "titles": tuple(trial.method.title for trial in trials),
        "without": without,
        "verdicts": tuple(trial.verdict for trial in trials),
        "kinds": tuple(trial.kind for trial in trials),
        "wins": tuple(trial.wins for trial in trials),
        "images": tuple(len(trial.faded) for trial in trials),
        "advantage": tuple(trial.advantage for trial in trials),
        "low": tuple(trial.interval[0] if trial.interval else math.nan for trial in trials),
        "high": tuple(trial.interval[1] if trial.interval else math.nan for trial in trials),
        "unlearned": tuple(trial.unlearned for trial in trials),
        "fill_agreement": tuple(
            math.nan if trial.fill_agreement is None else trial.fill_agreement for trial in trials
        ),
        "steps": STEPS,
        "random_maps": RANDOM_MAPS,
        "forgotten_images": FORGOTTEN,
        "costly": COSTLY,
        "threshold": UNCHANGED,
        "levels": tuple(level.name for level in levels),
        "first_forgotten": tuple(level.paths[0] for level in levels),
        "fills": FILLS,
    }
    arrays = {name: np.array([trial.curves(name) for trial in trials]) for name in CURVES}
    arrays["likeness"] = np.array([trial.likeness for trial in trials])
    arrays["absolute_likeness"] = np.array([trial.absolute_likeness for trial in trials])
    return Panel(facts, arrays, {"areas": _areas(trials), "likeness": _likeness(trials, levels)})


def _areas(trials: Sequence[Trial]) -> Table:
    columns = (
        Column("Method"),
        Column("Against random maps"),
        Column("Advantage", hint="Insertion minus deletion area, less that of random maps."),
        Column("From", hint="Lower end of the 95 % interval of the advantage."),
        Column("To", hint="Upper end of the 95 % interval of the advantage."),
        Column("Deletion", hint="Area under the curve as pixels are taken away; low is good."),
        Column("Random", hint="The same for random maps."),
        Column("Insertion", hint="Area under the curve as pixels are put back; high is good."),
        Column("Random", hint="The same for random maps."),
        Column("Images better", hint="Images on which the advantage is above zero."),
    )
    rows = tuple(
        (
            _link(trial),
            trial.standing,
            *map(_rounded, (trial.advantage, *(trial.interval or (None, None)))),
            *(_rounded(trial.area(name)) for name in CURVES),
            trial.wins,
        )
        for trial in trials
    )
    caption = "Pixels taken away and put back: methods by their advantage over random maps. "
    return Table(caption + "Areas under the curves of the class’s probability.", columns, rows)


def _likeness(trials: Sequence[Trial], levels: Sequence[Level]) -> Table:
    columns = [Column("Method"), Column("When weights are forgotten")]
    for level in levels:
        columns.append(Column(level.name, hint=f"Forgotten from {level.paths[0]} to the score."))
    columns.append(Column("Absolute", hint="As the column before it, of absolute values."))
    columns.append(Column("Fills", hint=f"Among maps with {', '.join(FILLS)} fill."))
    rows = tuple(
        (
            _link(trial),
            trial.learning,
            *map(_rounded, trial.likeness),
            _rounded(trial.absolute_likeness[-1] if levels else None),
            _rounded(trial.fill_agreement),
        )
        for trial in trials
    )
    caption = "Forgotten weights, and other fills: rank correlation of the maps, 1 for no change."
    return Table(caption, tuple(columns), rows)


def _link(trial: Trial) -> Link:
    return Link(trial.method.title, f"trust.html#{trial.method.name}")


def _rounded(value: float | None) -> float | None:
    """Three decimals, which is more than these samples carry."""
    return None if value is None or not math.isfinite(value) else round(float(value), 3)


ANALYSIS = Analysis(
    name="trust",
    title="Trust",
    place="page",
    run=run,
    needs=("probability", "picture"),
    rules=RULES,
    references=(
        "Petsiuk, Das, Saenko: RISE: Randomized Input Sampling for Explanation of Black-box "
        "Models. BMVC, 2018.",
        "Hooker, Erhan, Kindermans, Kim: A Benchmark for Interpretability Methods in Deep Neural "
        "Networks. NeurIPS, 2019.",
    ),
)
