"""What can go wrong for a user: one class per exit code, each carrying one human sentence."""

import re

_FOLDERS = re.compile(r"(?<![\w.:/])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'\"<>|:,;()]+[/\\])+")
"""Of an absolute path, all but its last name."""


class ReportgenError(Exception):
    """A failure told to the user as one sentence: what, which file, what to do next."""

    exit_code = 70


class GateError(ReportgenError):
    """A condition of `--fail-on` holds, or cannot be judged; the report stands all the same."""

    exit_code = 1


class ChangedError(ReportgenError):
    """The pruned network says something else than the whole one, by more than was allowed."""

    exit_code = 1


class OptionError(ReportgenError):
    """A flag, a config value or an argument makes no sense."""

    exit_code = 2


class UnsafeModelError(ReportgenError):
    """The model file asks for code that we refuse to run."""

    exit_code = 3


class ModelError(ReportgenError):
    """The model file is unreadable, unsupported or ambiguous."""

    exit_code = 4


class ImageError(ReportgenError):
    """No image can be used."""

    exit_code = 5


class OutputError(ReportgenError):
    """The output folder is refused, or writing to it failed."""

    exit_code = 6


class ResourceError(ReportgenError):
    """Memory or time ran out even at the smallest batch."""

    exit_code = 7


class EndedError(ResourceError):
    """Another process of the run ended, so that what it should have done is missing."""


class SkippedError(ReportgenError):
    """Under `--strict`: an image or a section was skipped."""

    exit_code = 8


def first_line(error: BaseException) -> str:
    """What an error says first, without its full stop; the name of its class if it says nothing.

    Libraries name files with their folders, which are nobody's business once the sentence stands in
    a report: names stay, folders go.
    """
    first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".,:; ")
    return _FOLDERS.sub("", first)
