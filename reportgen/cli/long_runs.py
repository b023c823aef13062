"""The flags of `build` for runs that take long: how they go on, and how they save time."""

from typing import get_args

import click

from reportgen.cli.groups import group
from reportgen.cli.kinds import Choice
from reportgen.options import Options, Precision

_compute = group("Compute")
LONG_RUNS = (
    _compute(
        "--precision",
        type=Choice(get_args(Precision)),
        default=Options.precision,
        help="Of the pass over the images; the report says what it changes.",
    ),
    _compute("--resume", is_flag=True, help="Go on where a run that was killed left off."),
    _compute(
        "--checkpoint-every",
        type=click.FloatRange(min=0),
        default=Options.checkpoint_every,
        metavar="SECONDS",
        help="How often the state of the pass over the images is kept for --resume.",
    ),
)
