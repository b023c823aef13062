"""What a layer's kernel, stride and width do to these images, in sentences."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reportgen.analyses.findings import counted, few, percent
from reportgen.probe.sampling import Pair, Windowed
from reportgen.probe.spectrum import Spectrum, kernel_spectrum
from reportgen.report.records import Finding, Layer, Rule, Severity

TOO_FINE = 0.2
"""Of the energy that the first layer gives: its stride cannot carry it. On the sample photos it is
8 % in the trained SqueezeNet, and 6 and 1 % in AlexNet and ResNet-18 with random weights."""
LIKE_NOISE = 0.5
"""In later layers: of what their stride could not carry of noise. Their maps are smaller, so that
more is fine; in the trained samples it is 5 to 34 %."""
LARGE = 7
"Pixels a side from which on kernels tell octaves apart: one holds nearly a wave of 1/8 cycles."
FEW_IN_MIDDLE = 0.5
"Of the share that the middle band has in kernels of random numbers."
ON_EITHER_SIDE = 0.2
"Energy below and above the middle; with less on one side, kernels are coarse, or fine, not mixed."
NOISE_BANDS = (np.pi / 64, np.pi / 16 - np.pi / 64, 1 - np.pi / 16)
"These shares: the areas of the bands in the plane of frequencies."
FEW_DIMENSIONS = 0.05
"Of the dimensions that a layer could use; convolutions of the trained samples use 13 to 45 %."
ENOUGH_VALUES = 10
"Times as many values as units; with fewer, any layer looks as if it used few dimensions."

RULES = (
    Rule(
        "aliasing",
        f"Warning: of the energy that the first convolution would give at stride 1, its own "
        f"stride cannot carry {percent(TOO_FINE)} or more. Info: in any later convolution "
        f"or pooling it is {percent(LIKE_NOISE)} or more of what would be lost of noise (37.5 % at "
        "stride 2, 47 % at stride 4). Windows side by side (patches) are left aside.",
        "Zeiler and Fergus, 2014, §4.1; Zhang, 2019",
    ),
    Rule(
        "few-middle-frequencies",
        f"Warning: kernels of {LARGE} x {LARGE} or larger hold less than "
        f"{percent(FEW_IN_MIDDLE * NOISE_BANDS[1])} of their energy between 1/8 and 1/4 cycles per "
        f"pixel, half of what random numbers hold there, and {percent(ON_EITHER_SIDE)} or more "
        "below as well as above.",
        "Zeiler and Fergus, 2014, §4.1",
    ),
    Rule(
        "low-rank",
        f"Info: the participation ratio of a convolution’s output is below "
        f"{percent(FEW_DIMENSIONS)} of the dimensions it could have, over at least {ENOUGH_VALUES} "
        "times as many values as it has units.",
        "Gao et al., 2017; Garg et al., 2020",
    ),
)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A layer that looks through windows, and the spectra of what goes through them."""

    layer: Layer
    windows: Windowed
    is_first: bool
    "Whether it is the network's first convolution, which sees the picture itself."

    @cached_property
    def kernels(self) -> Spectrum | None:
        """Of its kernels; None where each is a single tap, or there are none."""
        weight = self.windows.weight
        if weight is None or self.windows.size == (1, 1):
            return None
        return kernel_spectrum(weight, self.windows.dilation)

    @property
    def kernel_bands(self) -> tuple[float, float, float] | None:
        """Shares of the kernels' energy in the low, middle and high band."""
        return self.kernels.bands() if self.kernels is not None else None

    @property
    def read_bands(self) -> tuple[float, float, float] | None:
        """The same of what the layer reads."""
        return self.windows.read.bands() if self.windows.read is not None else None

    @property
    def before(self) -> float | None:
        """Share of what it reads that its stride cannot carry."""
        return _above(self.windows.read, self.windows.stride) if self.windows.is_strided else None

    @property
    def after(self) -> float | None:
        """Share of what it would give at stride 1 that its stride cannot carry."""
        return _above(self.windows.given, self.windows.stride)

    @property
    def smaller_stride(self) -> Pair:
        """Half the stride, rounded down, and at least 1."""
        down, across = self.windows.stride
        return max(1, down // 2), max(1, across // 2)

    @property
    def with_smaller(self) -> float | None:
        """`after` for half the stride."""
        return _above(self.windows.given, self.smaller_stride)

    @property
    def with_blur(self) -> float | None:
        """`after` with a 3 x 3 blur between the kernel and the stride."""
        given = self.windows.given
        return given.above(self.windows.stride, blurred=True) if given is not None else None

    @property
    def form(self) -> str:
        """Window, stride and dilation: `11 x 11, stride 4`."""
        windows = self.windows
        words = [f"{windows.size[0]} x {windows.size[1]}"]
        if windows.is_strided:
            words.append(f"stride {once(windows.stride)}")
        if windows.dilation != (1, 1):
            words.append(f"dilation {once(windows.dilation)}")
        return ", ".join(words)


def _above(spectrum: Spectrum | None, stride: Pair) -> float | None:
    return spectrum.above(stride) if spectrum is not None else None


def once(pair: Pair) -> str:
    """`4` for (4, 4), `2 x 1` for (2, 1)."""
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} x {pair[1]}"


@dataclass(frozen=True)
class Wide:
    """A convolution's units, and how many of them its answers would need."""

    layer: Layer
    units: int
    most: int
    "Dimensions that they could have: their number, or that of the values each is made from."
    dimensions: float | None
    "Participation ratio; None where it is not known."
    values: int
    "Of each unit, behind it."
    dead: int | None
    "Units never above zero behind the rectifier; None where there is none."
    copies: int | None
    near: int | None
    "Units with a copy, and with a near twin; None where filters were not compared."

    @property
    def share(self) -> float | None:
        """Dimensions of those possible."""
        return None if self.dimensions is None else self.dimensions / self.most

    @property
    def has_enough_values(self) -> bool:
        """Whether a low share can be the layer's own doing."""
        return self.values >= ENOUGH_VALUES * self.units


def place_of(layer: Layer, drawn: Collection[Layer]) -> str:
    """Where a layer stands on the page of this section: at its picture, if it has one."""
    return f"design.html#{f'at-{layer.slug}' if layer in drawn else 'frequencies'}"


def design_findings(
    sampled: Sequence[Sampled], wide: Sequence[Wide], drawn: Collection[Layer]
) -> tuple[Finding, ...]:
    """All that the rules above find.

    Args:
        sampled: the layers with windows.
        wide: the convolutions.
        drawn: the layers with a picture.
    """
    return (
        *few(tuple(_aliasing(sampled, drawn)), "layer", "design.html"),
        *few(tuple(_without_middle(sampled, drawn)), "layer", "design.html"),
        *few(tuple(_low_rank(wide)), "layer", "design.html#width"),
    )


def _aliasing(sampled: Sequence[Sampled], drawn: Collection[Layer]) -> Iterator[Finding]:
    found = []
    for row in sampled:
        down, across = row.windows.stride
        limit = TOO_FINE if row.is_first else LIKE_NOISE * (1 - 1 / (down * across))
        if row.after is not None and row.after >= limit:
            found.append((row, row.after))
    for row, after in sorted(found, key=lambda item: -item[1]):
        text = f"{row.layer.title} ({row.form}): {percent(after)} of the energy it samples is "
        text += f"finer than {_stride(row.windows.stride)} can carry and comes out as coarse "
        text += f"patterns{_before(row)}{_remedies(row)}."
        severity: Severity = "warning" if row.is_first else "info"
        yield Finding(severity, "aliasing", text, place_of(row.layer, drawn))


def _before(row: Sampled) -> str:
    return "" if row.before is None else f"; of what it reads, {percent(row.before)} is"


def _remedies(row: Sampled) -> str:
    """What half the stride, and what a blur would leave of it."""
    smaller, blur = row.with_smaller, row.with_blur
    assert smaller is not None and blur is not None
    text = f". A 3 x 3 blur before sampling would bring it to {percent(blur)}"
    if row.smaller_stride != (1, 1):
        text = f". {_stride(row.smaller_stride).capitalize()} would bring it to {percent(smaller)}"
        text += f", a 3 x 3 blur before sampling to {percent(blur)}"
    return text


def _stride(stride: Pair) -> str:
    return f"stride {once(stride)}"


def _without_middle(sampled: Sequence[Sampled], drawn: Collection[Layer]) -> Iterator[Finding]:
    for row in sampled:
        bands = row.kernel_bands
        if bands is None or min(row.windows.size) < LARGE:
            continue
        low, middle, high = bands
        if middle < FEW_IN_MIDDLE * NOISE_BANDS[1] and min(low, high) >= ON_EITHER_SIDE:
            text = f"{row.layer.title} ({row.form}): {percent(low)} of its kernels’ energy lies "
            text += f"below 1/8 cycles per pixel, {percent(middle)} between 1/8 and 1/4 and "
            text += f"{percent(high)} above: a mix of very coarse and very fine with little in "
            text += "between. Smaller kernels served better in AlexNet’s first layer."
            yield Finding("warning", "few-middle-frequencies", text, place_of(row.layer, drawn))


def _low_rank(wide: Sequence[Wide]) -> Iterator[Finding]:
    found = [
        (row, row.dimensions)
        for row in wide
        if row.dimensions is not None
        and row.dimensions < FEW_DIMENSIONS * row.most
        and row.has_enough_values
    ]
    for row, dimensions in sorted(found, key=lambda item: item[1] / item[0].most):
        text = f"{row.layer.title}: its {counted(row.units, 'unit')} vary in about "
        text += f"{dimensions:.1f} dimensions of {row.most:,} possible (participation ratio, over "
        text += f"{row.values:,} positions of the pictured images)."
        yield Finding("info", "low-rank", text, "design.html#width")
