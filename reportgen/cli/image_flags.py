"""The flags that say how images are read, for every command that takes images."""

import click

from reportgen.cli.groups import group
from reportgen.cli.kinds import Labels, Numbers
from reportgen.options import Options

PILLOWS_LIMIT = 178_956_970
"Pixels from which on Pillow refuses a file itself."

_images = group("Images")
IMAGES = (
    _images(
        "--labels",
        type=Labels(),
        default="",
        metavar="FILE | imagenet",
        help="Class names, one a line.",
        show_default="known weights, else folder names",
        is_essential=True,
    ),
    _images(
        "--input-size",
        type=int,
        nargs=2,
        metavar="H W",
        help="Pixels the network is given.",
        is_essential=True,
    ),
    _images(
        "--slices",
        type=click.IntRange(1, 32_768),
        metavar="N",
        help="Slices of volumes, or frames of videos, that the network is given.",
        show_default="published, else those of the first file",
    ),
    _images("--crop-pct", type=float, help="Share of the shorter side kept by the centre crop."),
    _images(
        "--mean",
        type=Numbers(),
        metavar="R G B",
        help="Normalisation mean, in 0..1, one number a channel.",
        is_essential=True,
    ),
    _images(
        "--std",
        type=Numbers(),
        metavar="R G B",
        help="Normalisation standard deviation, as --mean.",
        is_essential=True,
    ),
    _images(
        "--max-pixels",
        type=click.IntRange(1, PILLOWS_LIMIT),
        default=Options.max_pixels,
        metavar="N",
        help="Larger files are skipped, before they are unpacked.",
    ),
    _images(
        "-j",
        "--workers",
        type=click.IntRange(0, 1024),
        metavar="N",
        help="Threads that decode images ahead; any number gives the same report.",
        show_default="as processors are free, to 16",
    ),
    _images("--follow-links", is_flag=True, help="Read links out of the folder and to folders."),
)
"Where images come from and what they go through."
