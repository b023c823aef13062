"""What was seen while the network ran: its calls in order, and streaming statistics of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reportgen.options import Task
from reportgen.probe.layout import Arrangement, TokenGrid
from reportgen.report.arrays import FloatArray, Pixels
from reportgen.report.records import ReceptiveField

Kind: TypeAlias = Literal["conv", "norm", "activation", "pool", "linear", "other"]


@dataclass(frozen=True, order=True)
class CallKey:
    """One execution of one layer: `layer1.0.relu#2` is the second in a forward pass."""

    path: str
    call: int = 1

    def __str__(self) -> str:
        """The path, with `#n` from the second call on."""
        return self.path if self.call == 1 else f"{self.path}#{self.call}"


@dataclass(frozen=True)
class Call:
    """What is known of a call from one traced forward pass."""

    key: CallKey
    type: str
    "Class name of the module (`Conv2d`), or `F.relu` for a functional call."
    kind: Kind
    output_shape: tuple[int, ...]
    "Without the batch."
    channel_axis: int | None
    "Axis of `output_shape` that counts the units; None where there is no such axis."
    spatial_axes: tuple[int, int] | None
    "Axes of `output_shape` that are height and width; None for vectors and tokens (see `grid`)."
    parameters: int
    "Own parameters; those shared with an earlier call are counted there."
    macs: int
    receptive_field: ReceptiveField | None
    inputs: tuple[CallKey, ...]
    "Calls whose output it reads, through unlisted operations such as a residual sum."
    rectifies: bool
    "True where zero means off: ReLU and its bounded kin. Dead is defined only here."
    batch_axis: int = 0
    "Axis of the tensor itself on which the images lie; `output_shape` is without it."
    tokens: TokenGrid | None = None
    "Where the positions of the image lie among the tokens of a vision transformer."
    depth_axis: int | None = None
    "Axis of `output_shape` that counts the slices of a volume or the frames of a video."

    @property
    def slices(self) -> int:
        """Number of maps behind one another; 1 where there is no such axis."""
        return 1 if self.depth_axis is None else self.output_shape[self.depth_axis]

    @property
    def units(self) -> int:
        """Number of units; 1 where there is no channel axis."""
        return 1 if self.channel_axis is None else self.output_shape[self.channel_axis]

    @property
    def arrangement(self) -> Arrangement:
        """What the axes of its output mean."""
        return Arrangement(
            self.output_shape,
            self.batch_axis,
            self.channel_axis,
            self.spatial_axes,
            self.tokens,
            self.depth_axis,
        )

    @property
    def grid(self) -> tuple[int, int] | None:
        """Rows and columns of its maps, also where they are a grid of tokens; None without."""
        return self.arrangement.grid


@dataclass(frozen=True, eq=False)
class BinnedValues:
    """Counts in equal bins whose width is a power of two: 128 bins either side of zero.

    Bin i holds values in [(i - 128) * 2**exponent, (i - 127) * 2**exponent). The exponent is the
    smallest that holds every value seen, so the counts depend on the values alone, not on
    the order or the batches in which they came.
    """

    counts: NDArray[np.int64]
    "(256,)"
    exponent: int


@dataclass(frozen=True, eq=False)
class LayerEvidence:
    """Statistics of one call over all images, per unit unless said otherwise. All (units,).

    All values count, those of class and register tokens among them, which no map shows.
    """

    images: int
    "Number of images seen, a scalar."
    positions: int
    "Values per unit and image, a scalar."
    minimum: FloatArray
    maximum: FloatArray
    mean: FloatArray
    "float64"
    variance: FloatArray
    "float64, with n in the denominator."
    positive: NDArray[np.int64]
    "Values above zero."
    zeros: NDArray[np.int64]
    "Values that are exactly zero."
    fired: NDArray[np.int64]
    "Images on which the unit is above zero somewhere."
    nonfinite: NDArray[np.int64]
    "NaN or infinite values, which are left out of everything else."
    histogram: BinnedValues
    "Over all units."

    @property
    def zero_fraction(self) -> float:
        """Share of exact zeros over all units, images and positions."""
        total = self.images * self.positions * len(self.zeros)
        return float(self.zeros.sum()) / total if total else 0.0


@dataclass(frozen=True, eq=False)
class Strongest:
    """Where the units of one call with maps are strongest, the strongest first. All (units, 9).

    One position an image, its first maximum; of equals the image with the lower index. Where there
    are fewer than nine images with a finite value, indices are -1 and the value is NaN.
    """

    image: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    value: FloatArray


@dataclass(frozen=True, eq=False)
class MapPicture:
    """The activation of one call for one image, small enough to keep."""

    tiles: NDArray[np.uint8]
    """(units h w): levels 0..254 of each unit's own range; area-averaged to at most 64 a side. Of a
    volume it is the middle slice."""
    low: FloatArray
    high: FloatArray
    "(units,) range of the full-size activation, of all slices, in its own units."
    mean_map: Pixels
    """Mean over units as a grey picture of levels 0..254, at most 64 a side; of a volume that of
    the middle slice, on its own scale."""
    mean_low: float
    mean_high: float
    full: FloatArray | None
    "The whole activation (units h w), or (units slices h w), where it was asked to be kept."


@dataclass(frozen=True, eq=False)
class VectorPicture:
    """The output of a layer without a spatial map for one image."""

    values: FloatArray
    "(units,); mean over tokens where there are tokens."


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network said of one image."""

    classes: NDArray[np.int64]
    "(k,) most probable first; empty where a layer or the output is not finite."
    probabilities: FloatArray
    logits: FloatArray


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that one pass over the images gave."""

    calls: tuple[Call, ...]
    "In execution order."
    layers: Mapping[CallKey, LayerEvidence]
    pictures: Mapping[int, Mapping[CallKey, MapPicture | VectorPicture]]
    "By index of the pictured image."
    answers: tuple[Answer, ...]
    "One per image."
    classes: int
    macs: int
    gives_probabilities: bool
    "True where the outputs are probabilities: they sum to one, or come out of a sigmoid."
    is_deterministic: bool
    "Whether two forward passes of the same image agreed."
    input_similarity: Mapping[CallKey, float]
    "Correlation of a call's output with its input on the traced image, where the shapes agree."
    strongest: Mapping[CallKey, Strongest] = field(default_factory=dict)
    "Of calls with maps."
    task: Task = "classify"
    "What the network's output means."
    task_source: str = ""
    "How that is known, in words."
    class_correlations: Mapping[CallKey, FloatArray] = field(default_factory=dict)
    """(units classes) of the calls asked for: Pearson correlation, over all images, of a unit's
    mean over the image with a class's score; NaN where one of the two is always the same."""
