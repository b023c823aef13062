"""The flags of `reportgen build` and `prune`; what they mean stands in `Options`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from reportgen.options import Engine, Fill, Options

Command = TypeVar("Command", bound=Callable[..., Any])

REPEATED = ("layers", "sections", "exclude", "visualise_also", "fail_on")
"Flags that are given again for each value."

LOADING_FLAGS = (
    click.option(
        "--arch",
        default="",
        metavar="FILE.py:NAME | torchvision:NAME",
        help="The network's code, where the file does not tell.",
    ),
    click.option(
        "--arch-args",
        default="",
        metavar="JSON",
        help="""Arguments of its constructor, such as '{"num_classes": 5}'.""",
    ),
    click.option(
        "--weights-key",
        default="",
        metavar="KEY",
        help="Entry of a checkpoint that holds the weights.",
    ),
    click.option(
        "--labels",
        default="",
        metavar="FILE | imagenet",
        help="Class names, one a line.  [default: known weights, else folder names]",
    ),
    click.option(
        "--input-size", type=int, nargs=2, metavar="H W", help="Pixels the network is given."
    ),
    click.option(
        "--crop-pct", type=float, help="Share of the shorter side kept by the centre crop."
    ),
    click.option(
        "--mean", metavar="R G B", help="Normalisation mean, in 0..1, one number a channel."
    ),
    click.option("--std", metavar="R G B", help="Normalisation standard deviation, as --mean."),
)
"The network, and what its images go through."

RUN_FLAGS = (
    click.option("--device", default=Options.device, show_default=True, help="auto, cpu, cuda ..."),
    click.option(
        "-b",
        "--batch-size",
        type=click.IntRange(min=1),
        default=Options.batch_size,
        show_default=True,
        help="Halved by itself when memory runs out.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=Options.seed,
        show_default=True,
        help="For networks that draw random numbers.",
    ),
)
"Where and how the network is run."

FLAGS = (
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=Path("report"),
        show_default=True,
        help="Folder to write.",
    ),
    click.option(
        "--title", default="", help="Title of the report.  [default: the model file's name]"
    ),
    *LOADING_FLAGS,
    click.option(
        "--max-images",
        type=click.IntRange(min=1),
        default=Options.max_images,
        show_default=True,
        help="Images that get a page; statistics use all.",
    ),
    click.option(
        "--target", default="", metavar="CLASS", help="Class to explain, by index or name."
    ),
    click.option("--layers", multiple=True, metavar="GLOB", help="Layers to show.  [default: all]"),
    click.option(
        "--sections",
        multiple=True,
        metavar="NAME",
        help="Sections to make, such as gradcam.  [default: all]",
    ),
    click.option("--exclude", multiple=True, metavar="NAME", help="Sections to leave out."),
    click.option(
        "--cam-layer",
        default="",
        metavar="LAYER",
        help="Where to draw class activation maps.  [default: the end of every stage]",
    ),
    click.option(
        "--visualise",
        type=click.IntRange(min=0),
        default=Options.visualise,
        show_default=True,
        metavar="N",
        help="Units of each stage that get an optimised picture.",
    ),
    click.option(
        "--visualise-also",
        multiple=True,
        metavar="LAYER:UNIT | class:NAME",
        help="A unit or class that gets one, too.",
    ),
    click.option(
        "--occlusion-window",
        type=click.IntRange(min=1),
        nargs=2,
        metavar="H W",
        help="Pixels hidden at a time.  [default: a seventh of the input]",
    ),
    click.option(
        "--occlusion-stride",
        type=click.IntRange(min=1),
        nargs=2,
        metavar="DOWN ACROSS",
        help="Pixels between positions.  [default: half the window]",
    ),
    click.option(
        "--occlusion-fill",
        type=click.Choice(get_args(Fill)),
        default=Options.occlusion_fill,
        show_default=True,
        help="What is put in the window.",
    ),
    click.option(
        "--occlusion-engine",
        type=click.Choice(get_args(Engine)),
        default=Options.occlusion_engine,
        show_default=True,
        help="exact and plain give the same map; fast rounds what changes, and is checked.",
    ),
    click.option("--save-arrays", is_flag=True, help="Keep the pictured activations in full."),
    *RUN_FLAGS,
    click.option(
        "--strict", is_flag=True, help="Exit with 8 if an image or a section was skipped."
    ),
    click.option(
        "--force", is_flag=True, help="Replace a report whose files were changed by hand."
    ),
)

OUTCOME_FLAGS = (
    click.option(
        "--fail-on",
        multiple=True,
        metavar="CONDITION",
        help='Exit with 1 if it holds, such as "dead>5%" or "accuracy<0.9" (docs/gates.md).',
    ),
    click.option(
        "--summary-file",
        type=click.Path(path_type=Path),
        help="Write tiles, findings and gates as Markdown; $GITHUB_STEP_SUMMARY is added to.",
    ),
    click.option(
        "--summary-base",
        default="",
        metavar="URL",
        help="Where the site will be published: makes the summary's findings links.",
    ),
)
"What comes of a report beside its pages; for every command that writes one."


PRUNE_FLAGS = (
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=Path("pruned.pth"),
        show_default=True,
        help="File of weights to write; a .json and a .pt2 stand beside it.",
    ),
    click.option("--dry-run", is_flag=True, help="Show the plan and write nothing."),
    click.option(
        "--kinds",
        default="dead,constant,duplicate",
        show_default=True,
        metavar="KIND,...",
        help="What may go.",
    ),
    click.option(
        "--max-drop",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="Share of answers that may change, or of accuracy that may be lost.",
    ),
    *LOADING_FLAGS,
    *RUN_FLAGS,
    click.option("--force", is_flag=True, help="Replace files that reportgen did not write."),
)


def prune_flags(command: Command) -> Command:
    """Gives a command the flags of `reportgen prune`, in this order."""
    for flag in reversed(PRUNE_FLAGS):
        command = flag(command)
    return command


def build_flags(command: Command) -> Command:
    """Gives a command the flags, in this order."""
    for flag in reversed((*FLAGS, *OUTCOME_FLAGS)):
        command = flag(command)
    return command


def outcome_flags(command: Command) -> Command:
    """Gives a command the flags of gates and summary."""
    for flag in reversed(OUTCOME_FLAGS):
        command = flag(command)
    return command


FIGURE_FLAGS = (
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=Path("figures"),
        show_default=True,
        help="Folder to write.",
    ),
    click.option(
        "--formats", default="pdf,svg,png", show_default=True, help="Of each figure, with commas."
    ),
    click.option(
        "--width",
        default="3.25in",
        show_default=True,
        metavar="LENGTH",
        help="Of a column or a page of the paper, in in, cm, mm or pt.",
    ),
    click.option(
        "--only",
        multiple=True,
        metavar="GLOB",
        help="Figures of this name, such as '*-occlusion-*'; may be given again.",
    ),
    click.option("--force", is_flag=True, help="Replace figures that were changed by hand."),
)
"What is drawn for a paper."


def figure_flags(command: Command) -> Command:
    """Gives a command the report to draw and how."""
    for flag in reversed(FIGURE_FLAGS):
        command = flag(command)
    return click.argument("report", type=click.Path(path_type=Path))(command)
