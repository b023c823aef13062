"""The report as plain frozen data: network, layers, images, findings and sections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from reportgen.report.arrays import Array
from reportgen.report.blocks import Block, Histogram
from reportgen.report.receptive_field import ReceptiveField as ReceptiveField

SCHEMA_VERSION = 2

Severity: TypeAlias = Literal["error", "warning", "info"]
Place: TypeAlias = Literal["index", "page", "layer", "image"]
"Where a section stands: the index, a page of its own, every layer's page or every image's."

Fact: TypeAlias = (
    str | int | float | bool | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | None
)


@dataclass(frozen=True, eq=False)
class Panel:
    """What one section says about one subject: a layer, an image, or the network as a whole.

    In `report.json` a panel stands in its subject's record under the section's name, with the facts
    and the array references side by side: `images[0].occlusion.window`.
    """

    facts: Mapping[str, Fact] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    blocks: Mapping[str, Block] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """When a finding is raised, as stated on the about page."""

    kind: str
    "Stable word that scripts read, such as `dead-filters`."
    text: str
    "The rule with its threshold, in one sentence."
    source: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that a reader should know: plain words, its numbers, a link to its evidence."""

    severity: Severity
    kind: str
    text: str
    href: str
    "Relative to the site's root."


@dataclass(frozen=True, eq=False)
class Section:
    """One section of the report: what it is, and why it is empty where it failed."""

    name: str
    title: str
    place: Place
    panel: Panel | None = None
    "Of a section on the index or on a page of its own; the others stand in `Layer` and `Image`."
    problem: str = ""
    "One sentence where the section could not be made."
    references: tuple[str, ...] = ()
    absent: str = ""
    "One sentence where there is nothing of the kind for such a network."


@dataclass(frozen=True)
class Preprocessing:
    """What an image goes through before the network sees it: resize, centre crop, normalise."""

    height: int
    width: int
    resize: int | None
    """Pixels of the shorter side before the crop (of a box of the crop's shape that the image has
    to cover); None where the image is squeezed to height x width."""
    interpolation: str
    "Empty where a program gave images of this size, which are not resized."
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int
    source: str
    "`stated by flag`, `published with torchvision's weights`, or the assumption in one sentence."
    is_assumed: bool
    slices: int | None = None
    "Slices of a volume, or frames of a video, that the network is given; None of pictures."


@dataclass(frozen=True)
class Model:
    """The network under report."""

    file: str
    "File name without its folder; empty where it came from a program's memory."
    sha256: str
    "Of the file, or of the names and values of the weights where there is none."
    architecture: str
    architecture_source: str
    "How the architecture is known: `recognised from keys and shapes`, `stated by flag` ..."
    format: str
    """What the file is: `state_dict`, `whole module`, `safetensors`, `TorchScript`, `pt2`;
    `nn.Module` where there is none."""
    dtype: str
    "Number format of the weights in the file; the report computes in float32."
    parameters: int
    macs: int
    "Multiply-accumulate operations for one image."
    classes: int
    labels_source: str
    preprocessing: Preprocessing
    bytes: int | None = None
    "Size of the file; None where there is none, and in reports made before it was kept."
    task: str = "classify"
    "What its output means: `classify`, `multilabel`, `regress`, `segment` or `detect`."
    task_source: str = ""
    "How that is known; empty in reports made before it was kept."

    @property
    def source(self) -> str:
        """The file, or that there is none."""
        return self.file or f"{self.architecture} in memory"


@dataclass(frozen=True)
class Prediction:
    """One class with the probability the network gives it, or one value."""

    index: int
    label: str
    probability: float | None
    "None of a value."
    logit: float


@dataclass(frozen=True, eq=False)
class Image:
    """One image that went through the network."""

    slug: str
    path: str
    "Relative to the folder that was given."
    sha256: str
    width: int
    height: int
    "Of the file, in pixels, upright."
    true_class: str | None
    true_index: int | None
    predictions: tuple[Prediction, ...]
    "Most probable first; empty where a layer or the output is not finite."
    is_pictured: bool
    "Whether it has a page."
    notes: tuple[str, ...] = ()
    panels: Mapping[str, Panel] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Layer:
    """One call of one layer, in execution order."""

    slug: str
    name: str
    call: int
    "1 for the first call of the layer in a forward pass."
    type: str
    kind: str
    "`conv`, `norm`, `activation`, `pool`, `linear` or `other`."
    inputs: tuple[str, ...]
    "Slugs of the layers whose output it reads."
    output_shape: tuple[int, ...]
    "Without the batch."
    parameters: int
    macs: int
    receptive_field: ReceptiveField | None
    units: int
    zero_fraction: float | None
    "Share of exact zeros over all images; None where nothing was observed."
    mean: float | None
    std: float | None
    dead_filters: int | None
    "Units never above zero on any image; None where dead is not defined (no rectifier)."
    near_dead_filters: int | None
    "Units that fire on some, but on less than 1 % of the images."
    constant_filters: int | None
    "Units that give one and the same value everywhere."
    dead_units: tuple[int, ...] = ()
    nonfinite: int | None = None
    "NaN or infinite values that it gave, over all images; None where nothing was observed."
    panels: Mapping[str, Panel] = field(default_factory=dict)

    @property
    def dead(self) -> tuple[int, ...] | None:
        """Indices of the dead units; None where dead is not defined."""
        return None if self.dead_filters is None else self.dead_units

    @property
    def title(self) -> str:
        """`layer1.0.relu#2` for a second call, the bare name for the first."""
        return self.name if self.call == 1 else f"{self.name}#{self.call}"


@dataclass(frozen=True)
class Parameter:
    """One weight, bias or norm parameter."""

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    "With n - 1 in the denominator; 0 for a single value."
    min: float
    max: float
    norm: float
    zero_fraction: float
    nonfinite: int
    histogram: Histogram


@dataclass(frozen=True)
class SkippedImage:
    """A file that could not be used, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Gate:
    """One condition of `--fail-on`, and what it came to."""

    condition: str
    "As it was given: `dead>5%`."
    outcome: Literal["passed", "tripped", "unknown"]
    "`unknown` where the report does not hold the number; it fails as well."
    value: float | None
    "The number, of several the worst; None where it is not finite or not known."
    words: str
    "The same for people, with the layers that trip, or why it is not known."

    @property
    def passed(self) -> bool:
        """Whether it is known not to hold."""
        return self.outcome == "passed"


@dataclass(frozen=True)
class Provenance:
    """What it takes to make the report again."""

    reportgen: str
    command: str
    "The command line with bare file names; one folder of images is called `images`."
    versions: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str], ...]
    device: str
    batch_size: int
    seed: int
    files: tuple[tuple[str, str], ...] = ()
    "Name and SHA-256 of what else was read, such as class names; `config` is that of all options."
    config: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """Everything the site is rendered from."""

    schema_version: int
    title: str
    verdict: str
    provenance: Provenance
    model: Model
    accuracy: float | None
    "Share of labelled images whose most probable class is the true one."
    images: tuple[Image, ...]
    skipped: tuple[SkippedImage, ...]
    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    findings: tuple[Finding, ...]
    "The most severe first."
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]
    "Assumptions and warnings about loading and preprocessing, one sentence each."
    sections: tuple[Section, ...]
    gates: tuple[Gate, ...] = ()
    "In the order in which they were given."
    choice: str = ""
    "The rule by which images were chosen for a page; empty where all have one."
