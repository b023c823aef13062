"""`reportgen build`: a network and its images to a report."""

import shlex
from typing import Any

import click

from reportgen.cli.command import Command
from reportgen.cli.flags import (
    ANALYSIS,
    CI,
    COMPUTE,
    LOG,
    MODEL,
    MODEL_AND_IMAGES,
    OCCLUSION,
    OUTPUT,
    PROFILE,
    QUIET,
    SIZE,
    STRICT,
    options_of,
)
from reportgen.cli.groups import flags
from reportgen.cli.image_flags import IMAGES
from reportgen.cli.long_runs import LONG_RUNS
from reportgen.cli.outcome import remarks, tell
from reportgen.options import Options

EXAMPLES = (
    "reportgen build model.pth photos/",
    "reportgen build lenet.pth digits/ --arch lenet.py:LeNet --input-size 28 28",
    'reportgen build resnet50.safetensors val/ --fail-on "dead>5%" -o site/',
)


@click.command(
    "build", cls=Command, short_help="A network and its images to a report.", examples=EXAMPLES
)
@flags(MODEL_AND_IMAGES, OUTPUT, SIZE, MODEL, IMAGES, ANALYSIS, OCCLUSION, COMPUTE)
@flags(LONG_RUNS, CI, LOG, STRICT, QUIET, PROFILE)
def command(quiet: bool, profile: bool, **given: Any) -> None:
    """Run MODEL over IMAGES and write the report.

    IMAGES are files, folders, lists (@files.txt, CSV), archives (ZIP, tar) or saved data sets.
    """
    from reportgen.allocator import keep_freed_memory
    from reportgen.profile import Profile

    keep_freed_memory()
    profiled = Profile("Starting") if profile else None
    from reportgen.deadline import deadline
    from reportgen.making import make_share
    from reportgen.pipeline import build
    from reportgen.progress import Progress
    from reportgen.team import processes

    for name in ("sections", "exclude"):
        given[name] = tuple(word for words in given[name] for word in words.split(",") if word)
    options = options_of(given)
    try:
        with (
            processes() as team,
            Progress(quiet=quiet or bool(team and team.rank), profile=profiled) as progress,
            deadline(options.timeout, lambda: progress.at, ends_process=True),
        ):
            if team and team.rank:
                make_share(options, progress, team)
                return
            built = build(options, progress, command=command_line(options), team=team)
    finally:
        for line in profiled.lines() if profiled else ():
            click.echo(line, err=True)
    for line in remarks(built.report, built.problem):
        click.echo(f"reportgen: {line}", err=True)
    assert built.written is not None  # it is always saved here
    tell(built.written, built.problem)


def command_line(options: Options) -> str:
    """The command that makes the same report; file names stand for the folders of this machine."""
    from reportgen.load.listing import shown_names

    words = ["reportgen", "build", options.model.name, *shown_names(options.images)]
    repeated = {parameter.name for parameter in command.params if parameter.multiple}
    for name, value in options.changed():
        flag = f"--{name.replace('_', '-')}"
        if name in repeated:
            words += [word for one in value for word in (flag, one)]
        else:
            words += [flag, *value]
    return shlex.join(words)
