"""The command line: flags to `Options`, errors to one sentence and an exit code."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from reportgen.cli.all import commands
from reportgen.errors import OptionError, ReportgenError, first_line
from reportgen.team import is_to_tell
from reportgen.threads import prepare

INTERRUPTED = (130, 143)
"Exit codes by Ctrl-C and by SIGTERM, as shells tell them."

# torch takes seconds to import: every command imports what it needs when it runs, so that
# `--help`, `--version` and usage errors answer at once.


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not is_debug and not sys.warnoptions:
        # Libraries warn programmers, with the places of files on this machine.
        warnings.simplefilter("ignore")

    def run() -> None:
        commands(words, prog_name="reportgen", standalone_mode=False)
        if arguments is None:
            _deaf()

    code = _exit_code(run, debug=is_debug)
    if arguments is None:
        _deaf()
        if code in INTERRUPTED:
            _leave_at_once(code)
    sys.exit(code)


def _deaf() -> None:
    """Heed no interrupt any more: only the end of the interpreter could still be disturbed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _leave_at_once(code: int) -> None:
    """End without taking down torch module by module, for which nobody waits who interrupts."""
    with suppress(OSError):  # whoever read our output may be gone
        sys.stdout.flush()
    os._exit(code)


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
        if is_to_tell():
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
        return INTERRUPTED[0], "Interrupted; nothing half-written was left."
    if isinstance(error, _TerminatedError):
        return INTERRUPTED[1], "Terminated; nothing half-written was left."
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
