"""The pipeline: make the report, write its site, sum it up, log it."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from reportgen.errors import ReportgenError, SkippedError
from reportgen.figures.press import Press
from reportgen.gates.judge import failure
from reportgen.loggers import check_services, log_report
from reportgen.making import FILES, Source, made_report, unordered
from reportgen.options import Options
from reportgen.packing import write_report
from reportgen.progress import Progress
from reportgen.report.records import Report
from reportgen.resuming import forget_states
from reportgen.saving import WRITING, site_files
from reportgen.summary import report_summary, write_summary
from reportgen.team import Processes
from reportgen.write import Claim, Written, claimed
from reportgen.write.destination import check_file


@dataclass(frozen=True, eq=False)
class Built:
    """What came of a build."""

    report: Report
    written: Written | None
    "None where nothing was to be saved."
    problem: ReportgenError | None
    "To be told: a service took nothing, a gate failed, or `--strict` found something left out."


def build(
    options: Options,
    progress: Progress,
    *,
    command: str,
    source: Source = FILES,
    is_saved: bool = True,
    team: Processes | None = None,
) -> Built:
    """Run the network over the images, and write the report if it is to be saved.

    With a team this is its first process, and the others `make_share`.

    Raises:
        ReportgenError: of the kind that says what went wrong, with nothing written.
    """
    inputs = source.inputs(options)
    check_services(options.log)
    for file in filter(None, (options.summary_file, options.single_file)):
        check_file(file, options.output, inputs)
    kept = claimed(options.output, inputs, force=options.force) if is_saved else nullcontext()
    with kept as claim, Press() as press:
        report = made_report(
            options,
            progress,
            command=command,
            source=source,
            order=press.order if claim else unordered,
            is_kept=is_saved,
            team=team,
        )
        written = _saved(report, options, claim, progress, press) if claim else None
    if is_saved:
        forget_states(options.output, team.size if team else 1)
    if options.summary_file:
        write_summary(report_summary(report), options.summary_file, options.summary_base)
    problem: ReportgenError | None = failure(report.gates) or _skipped(report, options)
    try:
        log_report(report, options.log, options.output.name)
    except ReportgenError as unlogged:  # which is told once it is said where the report lies
        problem = unlogged
    return Built(report, written, problem)


def _saved(
    report: Report, options: Options, claim: Claim, progress: Progress, press: Press
) -> Written:
    progress.stage(WRITING)
    return write_report(
        report,
        partial(site_files, part=progress.part),
        press.drawn,
        claim,
        single_file=options.single_file,
        budget_mb=options.budget_mb,
    )


def _skipped(report: Report, options: Options) -> SkippedError | None:
    """Under `--strict`: what is missing from a report that was written all the same."""
    left_out = [f"{image.path} ({image.reason})" for image in report.skipped]
    left_out += [f"section {s.title} ({s.problem})" for s in report.sections if s.problem]
    if not left_out or not options.strict:
        return None
    others = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return SkippedError(f"The report was written without {left_out[0]}{others} (--strict).")
