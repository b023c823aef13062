"""The flags of `build` and those that commands share, in the groups in which the help lists them.

A new flag is one line in its group; what it means, and its default, stand in `Options`. Flags of
another command alone stand in the module of that command.
"""

from collections.abc import Mapping
from typing import Any, get_args

import click

from reportgen.cli.groups import PATH, Decorator, force, group, output
from reportgen.cli.kinds import Architecture, Choice, Sections, Texts
from reportgen.options import SERVICES, Asked, Engine, Fill, Options

MODEL_AND_IMAGES: tuple[Decorator, ...] = (
    click.argument("model", type=PATH),
    click.argument("images", type=PATH, nargs=-1, required=True),
)

_model = group("Model")
MODEL = (
    _model(
        "--arch",
        type=Architecture(),
        default="",
        metavar="FILE.py:NAME | torchvision:NAME | timm:NAME",
        help="The network's code, where the file does not tell.",
        is_essential=True,
    ),
    _model(
        "--arch-args",
        default="",
        metavar="JSON",
        help="""Arguments of its constructor, such as '{"num_classes": 5}'.""",
    ),
    _model(
        "--weights-key",
        default="",
        metavar="KEY",
        help="Entry of a checkpoint that holds the weights.",
    ),
)
"How the file becomes a network."

_analysis = group("Analysis")
ANALYSIS = (
    _analysis(
        "--max-images",
        type=click.IntRange(min=1),
        default=Options.max_images,
        metavar="N",
        help="Images that get a page; statistics use all.",
        is_essential=True,
    ),
    _analysis("--task", type=Choice(get_args(Asked)), default="auto", help="What outputs mean."),
    _analysis(
        "--target",
        default="",
        metavar="CLASS",
        help="Class to explain, by index or name.",
        show_default="the true class, else the predicted one",
        is_essential=True,
    ),
    _analysis(
        "--layers",
        type=Texts(),
        multiple=True,
        metavar="GLOB",
        help="Layers to show.",
        show_default="all",
    ),
    _analysis(
        "--sections",
        type=Sections(),
        multiple=True,
        metavar="NAME",
        help="Sections to make, such as gradcam.",
        show_default="all",
        is_essential=True,
    ),
    _analysis(
        "--exclude",
        type=Sections(),
        multiple=True,
        metavar="NAME",
        help="Sections to leave out.",
    ),
    _analysis(
        "--cam-layer",
        default="",
        metavar="LAYER",
        help="Where to draw class activation maps.",
        show_default="the end of every stage",
    ),
    _analysis(
        "--visualise",
        type=click.IntRange(min=0),
        default=Options.visualise,
        metavar="N",
        help="Units of each stage that get an optimised picture.",
    ),
    _analysis(
        "--visualise-also",
        type=Texts(),
        multiple=True,
        metavar="LAYER:UNIT | class:NAME",
        help="A unit or class that gets one, too.",
    ),
    _analysis("--save-arrays", is_flag=True, help="Keep the pictured activations in full."),
)
"What is looked at."

_occlusion = group("Occlusion")
OCCLUSION = (
    _occlusion(
        "--occlusion-window",
        type=click.IntRange(min=1),
        nargs=2,
        metavar="H W",
        help="Pixels hidden at a time.",
        show_default="a seventh of the input",
    ),
    _occlusion(
        "--occlusion-stride",
        type=click.IntRange(min=1),
        nargs=2,
        metavar="DOWN ACROSS",
        help="Pixels between positions.",
        show_default="half the window",
    ),
    _occlusion(
        "--occlusion-fill",
        type=Choice(get_args(Fill)),
        default=Options.occlusion_fill,
        help="What is put in the window.",
    ),
    _occlusion(
        "--occlusion-engine",
        type=Choice(get_args(Engine)),
        default=Options.occlusion_engine,
        help="exact and plain give the same map; fast rounds what changes, and is checked.",
    ),
)

_compute = group("Compute")
COMPUTE = (
    _compute("--device", default=Options.device, help="auto, cpu, cuda ...", is_essential=True),
    _compute(
        "-b",
        "--batch-size",
        type=click.IntRange(min=1),
        default=Options.batch_size,
        metavar="N",
        help="Halved by itself when memory runs out.",
    ),
    _compute(
        "--threads",
        type=click.IntRange(1, 1024),
        default=Options.threads,
        metavar="N",
        help="Of the processor. Fixed, since the last digit of some sums depends on it.",
    ),
    _compute(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=Options.seed,
        metavar="N",
        help="For networks that draw random numbers.",
    ),
    _compute(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="End with 7 what is not done by then, and say where it was.",
        show_default="none",
    ),
)
"Where and how the network is run."

_output = group("Output")
OUTPUT = (
    output("report"),
    _output(
        "--title", default="", help="Title of the report.", show_default="the architecture's name"
    ),
    force("Replace a report whose files were changed by hand."),
)
"What `reportgen build` writes, and where."

SIZE = (
    _output(
        "--single-file",
        type=PATH,
        metavar="FILE",
        help="Write the report once more, as one HTML file without requests to others.",
    ),
    _output(
        "--budget-mb",
        type=click.FloatRange(min=0.1),
        metavar="N",
        help="Show fewer feature maps until the site takes N MB; it says so.",
        show_default="any size",
    ),
)
"How a report is packed; for every command that makes one."

_ci = group("CI")
CI = (
    _ci(
        "--fail-on",
        type=Texts(),
        multiple=True,
        metavar="CONDITION",
        help='Exit with 1 if it holds, such as "dead>5%" or "accuracy<0.9" (docs/gates.md).',
        is_essential=True,
    ),
    _ci(
        "--summary-file",
        type=PATH,
        help="Write tiles, findings and gates as Markdown; $GITHUB_STEP_SUMMARY is added to.",
    ),
    _ci(
        "--summary-base",
        default="",
        metavar="URL",
        help="Where the site will be published: makes the summary's findings links.",
    ),
)
"What comes of a report beside its pages; for every command that writes one."

LOG = (
    _output(
        "--log",
        type=Choice(SERVICES),
        multiple=True,
        metavar="SERVICE",
        help="Log numbers, histograms and pictures: tensorboard, wandb.",
    ),
)
"Services that are told of a report."

STRICT = (_ci("--strict", is_flag=True, help="Exit with 8 if an image or a section was skipped."),)

_messages = group("Messages")
QUIET = (_messages("-q", "--quiet", is_flag=True, help="No progress."),)
PROFILE = (_messages("--profile", is_flag=True, help="Say at the end where the time went."),)


def options_of(given: Mapping[str, Any]) -> Options:
    """What was given as `Options`, where everything else keeps its default."""
    return Options(**{name: value for name, value in given.items() if value is not None})
