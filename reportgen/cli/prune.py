"""`reportgen prune`: a network without the units that do nothing."""

from typing import Any

import click

from reportgen.cli.command import Command
from reportgen.cli.flags import COMPUTE, MODEL, MODEL_AND_IMAGES, QUIET, options_of
from reportgen.cli.groups import flags, force, group, output
from reportgen.cli.image_flags import IMAGES

EXAMPLES = (
    "reportgen prune model.pth photos/ --dry-run",
    "reportgen prune model.pth photos/ -o pruned.pth",
    "reportgen prune model.pth photos/ --kinds dead --max-drop 0.01",
)

_output = group("Output")
OUTPUT = (
    output("pruned.pth", "File of weights to write; a .json and a .pt2 stand beside it."),
    _output("--dry-run", is_flag=True, help="Show the plan and write nothing.", is_essential=True),
    force("Replace files that reportgen did not write."),
)

_pruning = group("Pruning")
PRUNING = (
    _pruning(
        "--kinds",
        default="dead,constant,duplicate",
        metavar="KIND,...",
        help="What may go.",
        is_essential=True,
    ),
    _pruning(
        "--max-drop",
        type=click.FloatRange(0, 1),
        default=0.0,
        help="Share of answers that may change, or of accuracy that may be lost.",
        is_essential=True,
    ),
)


@click.command(
    "prune",
    cls=Command,
    short_help="The network without the units that do nothing.",
    examples=EXAMPLES,
)
@flags(MODEL_AND_IMAGES, OUTPUT, PRUNING, MODEL, IMAGES, COMPUTE, QUIET)
def command(quiet: bool, dry_run: bool, kinds: str, max_drop: float, **given: Any) -> None:
    """Take out of MODEL the units that do nothing on IMAGES, and prove that its answers stay.

    Writes the smaller network's weights, a .json with its new widths and a .pt2; build reads them.
    """
    from reportgen.allocator import keep_freed_memory

    keep_freed_memory()
    from reportgen.deadline import deadline
    from reportgen.progress import Progress
    from reportgen.prune import Pruning, prune
    from reportgen.threads import in_threads

    chosen = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    asked = Pruning(options_of(given), chosen, max_drop, dry_run)
    with (
        Progress(quiet=quiet) as progress,
        in_threads(asked.options.threads),
        deadline(asked.options.timeout, lambda: progress.at, ends_process=True),
    ):
        prune(asked, progress, click.echo)
