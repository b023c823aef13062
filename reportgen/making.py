"""A network and images to the record of a report: load, watch, run every section."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from reportgen.analyses import ANALYSES
from reportgen.analyses.chosen_images import with_pictures
from reportgen.analyses.findings import by_severity
from reportgen.analyses.overview import verdict
from reportgen.analyses.precision import rounded
from reportgen.analyses.study import Analysis, Outcome, Study, why_absent
from reportgen.analyses.subjects import (
    accuracy,
    image_records,
    layer_records,
    model_record,
    parameter_records,
)
from reportgen.errors import EndedError, OptionError, ReportgenError
from reportgen.figures.files import Print, prints
from reportgen.gates.judge import conditions_in, judged, refuse_unlabelled, refuse_unmade
from reportgen.gates.language import Condition
from reportgen.load.given_images import GivenImages
from reportgen.load.images import images_of
from reportgen.load.labels import class_names, true_indices
from reportgen.load.listing import files_of
from reportgen.load.model import LoadedModel, load_model
from reportgen.load.preprocessing import preprocessing_for
from reportgen.options import Options
from reportgen.probe.borrow import own_state
from reportgen.probe.device import device_named
from reportgen.probe.probe import Probe
from reportgen.progress import Progress
from reportgen.provenance import provenance
from reportgen.report.records import SCHEMA_VERSION, Panel, Report, Section
from reportgen.seeing import seen
from reportgen.team import Processes
from reportgen.threads import in_threads

_PLACES = {analysis.name: analysis.place for analysis in ANALYSES}

Order: TypeAlias = Callable[[Iterable[Print]], None]
"Takes figures for print that are soon to be asked for, such as `Press.order`."


def unordered(prints: Iterable[Print]) -> None:
    """An order that nobody carries out."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a program holds in its memory, in place of the files that `Options` names."""

    model: LoadedModel | None = None
    images: GivenImages | None = None
    labels: tuple[str, ...] = ()
    "One name per class."

    def inputs(self, options: Options) -> tuple[Path, ...]:
        """The files and folders that are read."""
        model = () if self.model else (options.model,)
        return model if self.images else (*model, *files_of(options.images))


FILES = Source()


def made_report(
    options: Options,
    progress: Progress,
    *,
    command: str,
    source: Source = FILES,
    order: Order,
    is_kept: bool = False,
    team: Processes | None = None,
) -> Report:
    """The report of a network on images, with its gates judged; nothing is written.

    Args:
        options: what is asked for.
        progress: told of the stages.
        command: what makes the same report again.
        source: what is not read from files.
        order: told of the figures for print as soon as they are known.
        is_kept: whether the state of the pass is kept beside the output every so often.
        team: processes that share the images.

    Raises:
        ReportgenError: of the kind that says what went wrong.
    """
    analyses = _chosen(options)
    conditions = _conditions(options, analyses)
    with own_state(device_named(options.device), options.seed), in_threads(options.threads):
        study, labels_source = _study(options, source, conditions, progress, is_kept, team)
        outcomes = _outcomes(analyses, study, progress, order)
        report = _report(analyses, study, outcomes, labels_source, command)
    return replace(report, gates=judged(conditions, report))


def make_share(options: Options, progress: Progress, team: Processes) -> None:
    """Does this process's share of a report that the first one makes, or raises as it does."""
    analyses = _chosen(options)
    conditions = _conditions(options, analyses)
    with own_state(device_named(options.device), options.seed), in_threads(options.threads):
        study, _ = _study(options, FILES, conditions, progress, True, team)
        for analysis in analyses:
            # As the first process does: who helped with what is absent would wait for ever.
            if analysis.help_with and not why_absent(analysis.needs, study):
                analysis.help_with(study)


def _conditions(options: Options, analyses: Sequence[Analysis]) -> tuple[Condition, ...]:
    """The gates, none of which asks for what this build will not know.

    Raises:
        OptionError: if one does, or is no condition.
    """
    conditions = conditions_in(options.fail_on)
    kinds = {rule.kind for analysis in analyses for rule in analysis.rules}
    refuse_unmade(conditions, [analysis.name for analysis in analyses], kinds)
    return conditions


def _chosen(options: Options) -> tuple[Analysis, ...]:
    """The sections to make.

    Raises:
        OptionError: if `--sections` or `--exclude` names one that there is not.
    """
    known = [analysis.name for analysis in ANALYSES]
    for flag, names in (("--sections", options.sections), ("--exclude", options.exclude)):
        for name in names:
            if name not in known:
                raise OptionError(
                    f"{flag} {name}: there is no such section. There are {', '.join(known)}."
                )
    wanted = set(options.sections or known) - set(options.exclude)
    return tuple(analysis for analysis in ANALYSES if analysis.name in wanted)


def _study(
    options: Options,
    source: Source,
    conditions: Sequence[Condition],
    progress: Progress,
    is_kept: bool,
    team: Processes | None,
) -> tuple[Study, str]:
    """The network watched over the images, and where its class names come from."""
    progress.stage("Loading the network")
    loaded = source.model or load_model(
        options.model,
        arch=options.arch,
        arch_args=options.arch_args,
        weights_key=options.weights_key,
    )
    progress.stage("Reading the images")
    preprocessing = preprocessing_for(loaded, options)
    if source.images:
        images = source.images.prepared(preprocessing)
    else:
        images = images_of(options, preprocessing)
    if not any(file.is_labelled for file in images.files):
        refuse_unlabelled(conditions)
    probe = Probe(loaded.module, options.device, options.batch_size, options.precision)
    images, evidence = seen(options, loaded, images, probe, progress, team, is_kept=is_kept)
    is_of_one_class = evidence.task == "classify"
    labels, labels_source = class_names(
        loaded, images, options, evidence.classes, source.labels, is_of_one_class=is_of_one_class
    )
    if options.target and not evidence.classes:
        raise OptionError(f"--target {options.target}: the network gives boxes, and no classes.")
    truth = true_indices(images, labels) if is_of_one_class else (None,) * len(images.files)
    if len(images.files) > options.max_images:
        images, evidence = with_pictures(probe, images, evidence, truth, options)
    study = Study(
        options=options,
        loaded=loaded,
        images=images,
        evidence=evidence,
        probe=probe,
        layer_records=layer_records(evidence),
        image_records=image_records(images, evidence, labels, truth, evidence.pictures),
        parameter_records=parameter_records(loaded.module),
        labels=labels,
        progress=progress.reached,
        team=team,
    )
    return study, labels_source


def _outcomes(
    analyses: Sequence[Analysis],
    study: Study,
    progress: Progress,
    order: Order,
) -> Mapping[str, Outcome | str]:
    """What every section found, each told what those before it did; its figures are ordered."""
    outcomes: dict[str, Outcome | str] = {}
    for analysis in analyses:
        made = {name: found for name, found in outcomes.items() if isinstance(found, Outcome)}
        outcome = _outcome(analysis, replace(study, earlier=made), progress)
        outcomes[analysis.name] = outcome
        if isinstance(outcome, Outcome):
            for subject, panel in outcome.panels.items():
                order(prints(subject, analysis.name, panel))
    return outcomes


def _outcome(analysis: Analysis, study: Study, progress: Progress) -> Outcome | str:
    """What a section found, or one sentence that says why it could not be made."""
    progress.stage(analysis.title)
    absent = why_absent(analysis.needs, study)
    if absent:
        return Outcome(absent=absent)
    try:
        return analysis.run(study)
    except (OptionError, EndedError):
        raise
    except ReportgenError as problem:
        return str(problem)


def _report(
    analyses: Sequence[Analysis],
    study: Study,
    outcomes: Mapping[str, Outcome | str],
    labels_source: str,
    command: str,
) -> Report:
    made = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Outcome)}
    findings = by_severity(finding for outcome in made.values() for finding in outcome.findings)
    options = study.options
    return Report(
        schema_version=SCHEMA_VERSION,
        title=options.title or study.loaded.architecture,
        verdict=verdict(study, findings),
        provenance=provenance(options, command, study.probe.device_name, study.probe.batch_size),
        model=model_record(study.loaded, study.images, study.evidence, labels_source),
        accuracy=accuracy(study.image_records),
        images=tuple(
            replace(image, panels=_panels(image.slug, "image", made))
            for image in study.image_records
        ),
        skipped=study.images.skipped,
        layers=tuple(
            replace(layer, panels=_panels(layer.slug, "layer", made))
            for layer in study.layer_records
        ),
        parameters=study.parameter_records,
        findings=findings,
        rules=tuple(rule for analysis in analyses for rule in analysis.rules),
        notes=(
            *study.loaded.notes,
            *study.images.notes,
            *_untaken_labels(study),
            *rounded(study),
        ),
        choice=study.images.choice,
        sections=tuple(_section(analysis, outcomes[analysis.name]) for analysis in analyses),
    )


def _untaken_labels(study: Study) -> tuple[str, ...]:
    """That classes of images were stated which say nothing of such an answer."""
    labelled = any(file.is_labelled for file in study.images.files)
    if study.evidence.task == "classify" or not labelled:
        return ()
    return (
        "The one class that is stated for an image, by its folder or by a program, is not held "
        "against the answers of this network, which are not one class of several.",
    )


def _panels(subject: str, place: str, made: Mapping[str, Outcome]) -> Mapping[str, Panel]:
    """What each section of this place says of one layer or image."""
    return {
        name: outcome.panels[subject]
        for name, outcome in made.items()
        if _PLACES[name] == place and subject in outcome.panels
    }


def _section(analysis: Analysis, outcome: Outcome | str) -> Section:
    made, problem = (outcome, "") if isinstance(outcome, Outcome) else (Outcome(), outcome)
    return Section(
        name=analysis.name,
        title=analysis.title,
        place=analysis.place,
        panel=made.panels.get(""),
        problem=problem,
        absent=made.absent,
        references=analysis.references,
    )
