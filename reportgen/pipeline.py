"""The pipeline: make the report, write its site, sum it up, log it."""

from dataclasses import dataclass

from reportgen.destination import check_file, check_output
from reportgen.errors import ReportgenError, SkippedError
from reportgen.figures.press import Press
from reportgen.gates.judge import failure
from reportgen.loggers import check_services, log_report
from reportgen.making import FILES, Source, made_report
from reportgen.options import Options
from reportgen.progress import Progress
from reportgen.report.records import Report
from reportgen.saving import WRITING, site_files
from reportgen.summary import report_summary, write_summary
from reportgen.write import Written, write_site


@dataclass(frozen=True, eq=False)
class Built:
    """What came of a build."""

    report: Report
    written: Written
    problem: ReportgenError | None
    "What is still to be told: that a gate failed, or that under `--strict` anything was left out."


def build(options: Options, progress: Progress, *, command: str, source: Source = FILES) -> Built:
    """Run the network over the images and write the report.

    Raises:
        ReportgenError: of the kind that says what went wrong, with nothing written.
    """
    inputs = source.inputs(options)
    check_services(options.log)
    check_output(options.output, inputs, force=options.force)
    if options.summary_file:
        check_file(options.summary_file, options.output, inputs)
    with Press() as press:
        report = made_report(options, progress, command=command, source=source, order=press.order)
        progress.stage(WRITING)
        files = site_files(report, press.drawn, progress.part)
        written = write_site(files, options.output, force=options.force, inputs=inputs)
    if options.summary_file:
        write_summary(report_summary(report), options.summary_file, options.summary_base)
    log_report(report, options.log, options.output.name)
    problem = failure(report.gates) or (skipped(report) if options.strict else None)
    return Built(report, written, problem)


def skipped(report: Report) -> SkippedError | None:
    """Under `--strict`: what is missing from a report that was written all the same."""
    left_out = [f"{image.path} ({image.reason})" for image in report.skipped]
    left_out += [
        f"section {section.title} ({section.problem})"
        for section in report.sections
        if section.problem
    ]
    if not left_out:
        return None
    others = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return SkippedError(f"The report was written without {left_out[0]}{others} (--strict).")
