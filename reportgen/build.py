"""The pipeline: load, watch, analyse, save and render."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import torch

import reportgen
from reportgen.analyses import ANALYSES
from reportgen.analyses.findings import by_severity
from reportgen.analyses.overview import verdict
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import (
    accuracy,
    image_records,
    layer_records,
    model_record,
    parameter_records,
)
from reportgen.analyses.units import FEWEST_IMAGES, unit_calls
from reportgen.destination import check_file, check_output
from reportgen.errors import OptionError, ReportgenError, SkippedError
from reportgen.figures.files import prints
from reportgen.figures.press import Press
from reportgen.gates.judge import (
    conditions_in,
    failure,
    judged,
    refuse_unlabelled,
    refuse_unmade,
)
from reportgen.gates.language import Condition
from reportgen.load.images import image_set
from reportgen.load.labels import class_names, true_indices
from reportgen.load.model import load_model
from reportgen.load.preprocessing import preprocessing_for
from reportgen.options import Options
from reportgen.packing import Printed, write_report
from reportgen.probe.probe import Probe
from reportgen.progress import Progress
from reportgen.render.pages import pages
from reportgen.report.records import SCHEMA_VERSION, Panel, Provenance, Report, Section
from reportgen.report.store import report_in, stored
from reportgen.summary import report_summary, write_summary
from reportgen.write import Written

_PLACES = {analysis.name: analysis.place for analysis in ANALYSES}

_WRITING = "Writing"

VERSIONS_SHOWN = ("torch", "torchvision", "numpy", "pillow", "matplotlib", "seaborn")


def build(
    options: Options, progress: Progress, *, command: str
) -> tuple[Written, ReportgenError | None]:
    """Run the network over the images and write the report.

    Returns:
        What was written, and what is still to be told: that a gate failed, or that under `--strict`
        anything was left out.

    Raises:
        ReportgenError: of the kind that says what went wrong, with nothing written.
    """
    inputs = (options.model, *options.images)
    analyses = _chosen(options)
    conditions = _conditions(options, analyses)
    check_output(options.output, inputs, force=options.force)
    for file in filter(None, (options.summary_file, options.single_file)):
        check_file(file, options.output, inputs)
    study, labels_source = _study(options, conditions, progress)
    with Press() as press:
        outcomes = _outcomes(analyses, study, progress, press)
        report = _report(analyses, study, outcomes, labels_source, command)
        report = replace(report, gates=judged(conditions, report))
        progress.stage(_WRITING)
        written = write_report(
            report,
            partial(_files, progress),
            press.drawn,
            options.output,
            single_file=options.single_file,
            budget_mb=options.budget_mb,
            force=options.force,
            inputs=inputs,
        )
    if options.summary_file:
        write_summary(report_summary(report), options.summary_file, options.summary_base)
    return written, failure(report.gates) or (_skipped(report) if options.strict else None)


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
    options: Options, conditions: Sequence[Condition], progress: Progress
) -> tuple[Study, str]:
    """The network watched over the images, and where its class names come from."""
    progress.stage("Loading the network")
    loaded = load_model(
        options.model,
        arch=options.arch,
        arch_args=options.arch_args,
        weights_key=options.weights_key,
    )
    progress.stage("Reading the images")
    images = image_set(options.images, preprocessing_for(loaded, options))
    if not any(file.true_class for file in images.files):
        refuse_unlabelled(conditions)
    probe = Probe(loaded.module, device=options.device, batch_size=options.batch_size)
    # Some networks draw random numbers in evaluation mode too; the probe gives the state back after
    # each use, so that all of them start from here.
    torch.manual_seed(options.seed)
    pictured = _evenly_spaced(len(images.files), options.max_images)

    progress.stage("Running the network", len(images.files))
    evidence = probe.collect(
        images.batches,
        len(images.files),
        pictured,
        keep_arrays=options.save_arrays,
        layers=options.layers,
        correlated=unit_calls if len(images.files) >= FEWEST_IMAGES else None,
        progress=progress.reached,
    )
    labels, labels_source = class_names(loaded, images, options, evidence.classes)
    truth = true_indices(images, labels)
    study = Study(
        options=options,
        loaded=loaded,
        images=images,
        evidence=evidence,
        probe=probe,
        layer_records=layer_records(evidence),
        image_records=image_records(images, evidence, labels, truth, pictured),
        parameter_records=parameter_records(loaded.module),
        labels=labels,
        progress=progress.reached,
    )
    return study, labels_source


def _evenly_spaced(count: int, most: int) -> tuple[int, ...]:
    """At most `most` of `count` indices, evenly spaced, and so spread over the class folders."""
    shown = min(count, most)
    return tuple(index * count // shown for index in range(shown))


def _outcomes(
    analyses: Sequence[Analysis], study: Study, progress: Progress, press: Press
) -> Mapping[str, Outcome | str]:
    """What every section found, each told what those before it did; its figures go to the press."""
    outcomes: dict[str, Outcome | str] = {}
    for analysis in analyses:
        made = {name: found for name, found in outcomes.items() if isinstance(found, Outcome)}
        outcome = _outcome(analysis, replace(study, earlier=made), progress)
        outcomes[analysis.name] = outcome
        if isinstance(outcome, Outcome):
            for subject, panel in outcome.panels.items():
                press.order(prints(subject, analysis.name, panel))
    return outcomes


def _outcome(analysis: Analysis, study: Study, progress: Progress) -> Outcome | str:
    """What a section found, or one sentence that says why it could not be made."""
    progress.stage(analysis.title)
    try:
        return analysis.run(study)
    except OptionError:
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
        provenance=Provenance(
            reportgen=reportgen.__version__,
            command=command,
            versions=(
                ("python", platform.python_version()),
                *((name, version(name)) for name in VERSIONS_SHOWN),
            ),
            options=tuple((name, " ".join(words)) for name, words in options.changed()),
            device=_device_name(study.probe.device),
            batch_size=study.probe.batch_size,
            seed=options.seed,
        ),
        model=replace(
            model_record(study.loaded, study.images, study.evidence, labels_source),
            bytes=options.model.stat().st_size,
        ),
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
        notes=(*study.loaded.notes, *study.images.notes),
        sections=tuple(_section(analysis, outcomes[analysis.name]) for analysis in analyses),
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
        references=analysis.references,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _skipped(report: Report) -> SkippedError | None:
    """Under `--strict`: what is missing from a report that was written all the same."""
    left_out = [f"{image.path} ({image.reason})" for image in report.skipped]
    left_out += [f"section {s.title} ({s.problem})" for s in report.sections if s.problem]
    if not left_out:
        return None
    others = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return SkippedError(f"The report was written without {left_out[0]}{others} (--strict).")


def _files(progress: Progress, report: Report, printed: Printed) -> Iterator[tuple[str, bytes]]:
    """What is saved, and the pages made from that alone, as `reportgen render` makes them."""
    progress.part("Encoding the data")
    saved = dict(stored(report))
    progress.part(_WRITING)
    yield from saved.items()
    progress.part("Drawing the pages")
    for file in pages(report_in(saved.__getitem__), printed):
        progress.part(_WRITING)
        yield file
        progress.part("Drawing the pages")
