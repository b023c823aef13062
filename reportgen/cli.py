"""The command line: flags to `Options`, errors to one sentence and an exit code."""

import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from reportgen import __version__
from reportgen.errors import OptionError, ReportgenError
from reportgen.flags import REPEATED, build_flags, figure_flags, outcome_flags, prune_flags
from reportgen.options import Options

# torch takes seconds to import: every command imports what it needs when it runs, so that
# `--help`, `--version` and usage errors answer at once.

EXAMPLES = """\b
Examples:
  reportgen build model.pth photos/
  reportgen build lenet.pth test_images/ --arch lenet.py:LeNet --input-size 28 28
  reportgen build resnet50.safetensors photos/ --target "tabby" -o site/
  reportgen prune model.pth photos/ -o pruned.pth
"""


@click.group(
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="reportgen")
@click.option("--debug", is_flag=True, help="Show the traceback of an error; may stand anywhere.")
def commands(debug: bool) -> None:
    """Show what a trained vision network learned, as a static site that needs no server."""


class BuildCommand(click.Command):
    """Lets `--mean 0.5 0.5 0.5` be typed without quotes: click fixes the number of words."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Join the numbers that follow `--mean` and `--std` into one word each."""
        joined: list[str] = []
        for word in args:
            is_value = len(joined) > 1 and joined[-2] in {"--mean", "--std"} and _is_number(word)
            if is_value:
                joined[-1] += f" {word}"
            else:
                joined.append(word)
        return super().parse_args(context, joined)


@commands.command(cls=BuildCommand, epilog=EXAMPLES)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@build_flags
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--profile", is_flag=True, help="Say at the end where the time went.")
def build(quiet: bool, profile: bool, **given: Any) -> None:
    """Run MODEL over IMAGES (files or folders) and write the report."""
    from reportgen.allocator import keep_freed_memory
    from reportgen.profile import Profile

    keep_freed_memory()
    profiled = Profile("Starting") if profile else None
    from reportgen.build import build as build_report
    from reportgen.progress import Progress

    given = _with_numbers(given)
    for name in ("sections", "exclude"):
        given[name] = tuple(word for words in given[name] for word in words.split(",") if word)
    for name in ("occlusion_window", "occlusion_stride"):
        given[name] = given[name] or (0, 0)
    options = Options(**given)
    try:
        with Progress(quiet=quiet, profile=profiled) as progress:
            written, problem = build_report(options, progress, command=_command_line(options))
    finally:
        for line in profiled.lines() if profiled else ():
            click.echo(line, err=True)
    click.echo(written.summary())
    if problem:
        raise problem


@commands.command(cls=BuildCommand)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@prune_flags
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def prune(quiet: bool, dry_run: bool, kinds: str, max_drop: float, **given: Any) -> None:
    """Take out of MODEL the units that do nothing on IMAGES, and prove that its answers stay.

    Writes the smaller network's weights, a .json with its new widths and a .pt2; build reads them.
    """
    from reportgen.allocator import keep_freed_memory

    keep_freed_memory()
    from reportgen.progress import Progress
    from reportgen.prune import Pruning
    from reportgen.prune import prune as prune_network

    options = Options(**_with_numbers(given))
    chosen = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    with Progress(quiet=quiet) as progress:
        prune_network(Pruning(options, chosen, max_drop, dry_run), progress, click.echo)


@commands.command()
@click.argument("report", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder to write.  [default: REPORT]"
)
@click.option("--force", is_flag=True, help="Replace a report whose files were changed by hand.")
@outcome_flags
def render(report: Path, output: Path | None, **given: Any) -> None:
    """Make the pages of a saved REPORT again, without the network."""
    from reportgen.rerender import rerender

    written, problem = rerender(report, output or report, **given)
    click.echo(written.summary())
    if problem:
        raise problem


@commands.command()
@click.argument("reports", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write."
)
@click.option("--title", default="", help="Title of the comparison.  [default: the reports' names]")
@click.option(
    "--image",
    default="",
    metavar="NAME",
    help="Image of the film strip, of three reports or more.  [default: what changed most]",
)
@click.option(
    "--force", is_flag=True, help="Replace a comparison whose files were changed by hand."
)
@outcome_flags
def compare(reports: tuple[Path, ...], output: Path, **given: Any) -> None:
    """Say what changed between saved REPORTS: two, or more in order as a timeline."""
    from reportgen.comparison import compare_reports

    written, problem = compare_reports(reports, output, **given)
    click.echo(written.summary())
    if problem:
        raise problem


@commands.command()
@click.argument("report", type=click.Path(path_type=Path))
@click.argument("layers", nargs=-1, metavar="[LAYERS]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("channels"),
    show_default=True,
    help="Folder to write.",
)
def channels(report: Path, layers: tuple[str, ...], output: Path) -> None:
    """Write every channel of a REPORT built with --save-arrays as a PNG of the tensor's exact size.

    LAYERS are names or globs; all layers without them.
    """
    from reportgen.channels import write_channels

    written = write_channels(report, layers, output)
    click.echo(f"{written.count} pictures\n{written.folder}")


@commands.command()
@figure_flags
def figures(report: Path, output: Path, **given: Any) -> None:
    """Draw the figures of a saved REPORT for a paper, with tables, references and methods."""
    from reportgen.printing import write_figures

    click.echo(write_figures(report, output, **given).summary())


@commands.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--arch", default="", metavar="FILE.py:NAME | torchvision:NAME")
@click.option("--arch-args", default="", metavar="JSON")
@click.option("--weights-key", default="", metavar="KEY")
def inspect(model: Path, arch: str, arch_args: str, weights_key: str) -> None:
    """Say what MODEL is: its format, its architecture and what was undone to load it."""
    from reportgen.load.model import load_model

    loaded = load_model(model, arch=arch, arch_args=arch_args, weights_key=weights_key)
    parameters = sum(parameter.numel() for parameter in loaded.module.parameters())
    facts = {
        "file": loaded.file,
        "sha256": loaded.sha256,
        "format": f"{loaded.format}, {loaded.dtype}",
        "architecture": f"{loaded.architecture} ({loaded.architecture_source})",
        "parameters": f"{parameters:,}",
        "input": f"{loaded.in_channels} channels",
        "labels": loaded.labels_source or "not known",
    }
    for name, value in facts.items():
        click.echo(f"{name:14}{value}")
    for note in loaded.notes:
        click.echo(f"{'note':14}{note}")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _with_numbers(given: dict[str, Any]) -> dict[str, Any]:
    """Words of the command line, with tuples of numbers where `Options` wants them."""
    colours = {name: _numbers(f"--{name}", given[name]) for name in ("mean", "std")}
    return {**given, **colours, "images": tuple(given["images"])}


def _numbers(flag: str, text: str | None) -> tuple[float, ...]:
    """`0.5 0.5 0.5` or `0.5,0.5,0.5` as numbers; empty where nothing was given."""
    try:
        return tuple(float(word) for word in (text or "").replace(",", " ").split())
    except ValueError:
        raise OptionError(f'{flag} takes numbers, such as "0.5 0.5 0.5", not "{text}".') from None


def _command_line(options: Options) -> str:
    """The command that makes the same report; file names stand for the folders of this machine."""
    words = ["reportgen", "build", options.model.name]
    words += [path.name or "." for path in options.images]
    for name, value in options.changed():
        flag = f"--{name.replace('_', '-')}"
        if name in REPEATED:
            words += [word for one in value for word in (flag, one)]
        else:
            words += [flag, *value]
    return shlex.join(words)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    sys.exit(_exit_code(lambda: commands(words, standalone_mode=False), debug=is_debug))


def _exit_code(run: Callable[[], Any], *, debug: bool) -> int:
    try:
        run()
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit as done:
        # click leaves so where whoever read our output has gone, as `head` does.
        return done.code if isinstance(done.code, int) else 1
    except click.UsageError as error:
        error.show()
        return OptionError.exit_code
    except BaseException as error:
        if debug:
            traceback.print_exception(error)
        code, sentence = _told(error)
        click.echo(f"reportgen: {sentence}", err=True)
        return code
    return 0


def _told(error: BaseException) -> tuple[int, str]:
    """Exit code and one sentence for what ended a command."""
    if isinstance(error, ReportgenError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return 130, "Interrupted; nothing was written."
    if isinstance(error, _TerminatedError):
        return 143, "Terminated; nothing was written."
    first_line = (str(error).splitlines() or [""])[0]
    return 70, (
        f"This is a fault in reportgen, not in your files: {type(error).__name__}: {first_line}"
        " (run again with --debug and report the traceback)"
    )


class _TerminatedError(BaseException):
    """SIGTERM came: unwind as for Ctrl-C, so that nothing half-written stays."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise _TerminatedError


if __name__ == "__main__":
    main()
