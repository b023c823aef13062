"""The command line: flags to `Options`, errors to one sentence and an exit code."""

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from reportgen.cli.all import commands
from reportgen.errors import OptionError, ReportgenError, first_line
from reportgen.threads import prepare

# torch takes seconds to import: every command imports what it needs when it runs, so that
# `--help`, `--version` and usage errors answer at once.


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    sys.exit(
        _exit_code(
            lambda: commands(words, prog_name="reportgen", standalone_mode=False), debug=is_debug
        )
    )


def _exit_code(run: Callable[[], Any], *, debug: bool) -> int:
    try:
        run()
    except click.exceptions.Exit as done:
        return done.exit_code
    except SystemExit as done:
        # click leaves so where whoever read our output has gone, as `head` does.
        return done.code if isinstance(done.code, int) else 1
    except click.exceptions.NoArgsIsHelpError as error:
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
    if isinstance(error, click.UsageError):
        return OptionError.exit_code, _usage(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return 130, "Interrupted; nothing was written."
    if isinstance(error, _TerminatedError):
        return 143, "Terminated; nothing was written."
    fault = f"{type(error).__name__}: {first_line(error)}"
    return 70, (
        f"This is a fault in reportgen, not in your files: {fault}"
        " (run again with --debug and report the traceback)"
    )


def _usage(error: click.UsageError) -> str:
    """What is wrong with what was typed, or with a variable of the environment."""
    path = error.ctx.command_path if error.ctx else "reportgen"
    parameter = error.param if isinstance(error, click.BadParameter) else None
    if error.ctx and parameter and parameter.name:
        source = error.ctx.get_parameter_source(parameter.name)
        if source is ParameterSource.ENVIRONMENT:
            return f"{parameter.envvar}: {error.message}"
    return f"{error.format_message()} ({path} -h shows how)"


class _TerminatedError(BaseException):
    """SIGTERM came: unwind as for Ctrl-C, so that nothing half-written stays."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise _TerminatedError
