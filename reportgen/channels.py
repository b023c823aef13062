"""Every channel of the activations that a report kept, as a PNG of the tensor's exact size."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

from reportgen.errors import OptionError
from reportgen.figures.mosaic import levels
from reportgen.report.arrays import Pixels
from reportgen.report.records import Layer, Report
from reportgen.report.store import load_report
from reportgen.write import Written, write_site


def write_channels(folder: Path, layers: Sequence[str], output: Path) -> Written:
    """Write the pictures of the layers that match a glob, one folder a layer and image.

    Raises:
        OptionError: if no layer matches, or the report kept no activations.
        OutputError: if `output` is refused or cannot be written.
    """
    report = load_report(folder)
    shown = _matching(report, layers)
    pictures = list(channel_pictures(shown))
    if not pictures:
        raise OptionError(
            f"{folder.name} holds no activations of these layers; build it with --save-arrays."
        )
    return write_site(pictures, output, inputs=(folder,))


def channel_pictures(layers: Sequence[Layer]) -> Iterator[tuple[str, bytes]]:
    """`<layer>/<image>/<unit>.png`, one pixel a value, each from its own lowest to its highest.

    Of volumes it is `<unit>-<slice>.png`, and all slices of a unit have one scale.
    """
    for layer in layers:
        panel = layer.panels.get("activations")
        for name, values in panel.arrays.items() if panel else ():
            if values.ndim in (3, 4):
                tiles, _, _ = levels(values.reshape(len(values), -1, values.shape[-1]))
                tiles = tiles.reshape(values.shape)
                for place in product(*map(range, values.shape[:-2])):
                    unit = "-".join(f"{number:04d}" for number in place)
                    path = f"{layer.slug}/{name.removeprefix('map.')}/{unit}.png"
                    yield path, Pixels.of(tiles[place], "").content


def _matching(report: Report, globs: Sequence[str]) -> tuple[Layer, ...]:
    if not globs:
        return report.layers
    found = tuple(
        layer
        for layer in report.layers
        if any(fnmatchcase(name, glob) for name in (layer.name, layer.title) for glob in globs)
    )
    if not found:
        raise OptionError(f"No layer of {report.title} matches {' '.join(globs)}.")
    return found
