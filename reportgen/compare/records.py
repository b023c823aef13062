"""What changed between saved reports, as plain frozen data; `compare.json` holds the same.

Where two reports are compared, A is the first that was given and B the last. Differences are B
minus A; a share lies in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from reportgen.report.blocks import Heatmap, Histogram, Photo, Table
from reportgen.report.records import Finding, Gate, Prediction, Rule

SCHEMA_VERSION = 1

Outcome: TypeAlias = Literal["broken", "corrected", "changed", "same", "unknown"]
"""What became of an answer: right before, right now, another one where neither is right or the
truth is not known, the same, or not known since neither is finite, or both give values or boxes, or
outputs of two kinds. A network without a finite answer is wrong."""


@dataclass(frozen=True)
class Subject:
    """One of the reports that are compared."""

    letter: str
    "`A` for the first."
    name: str
    "Of its folder, with as many folders above as it takes to tell it from the others."
    title: str
    file: str
    "Of the model, without its folder; or that there is none."
    sha256: str
    architecture: str
    task: str
    "What its output means: `classify`, `multilabel`, `regress`, `segment` or `detect`."
    parameters: int
    macs: int
    bytes: int | None
    "Of the model's file."
    accuracy: float | None
    "Over the report's own images."
    images: int
    dead: int
    "Units never above zero on any of these."
    rectified: int
    "Units after a rectifier."
    nonfinite: int
    "NaN and infinite values in weights and activations, and images without a finite answer."
    zero_share: float | None
    "Of all weights, biases and norm parameters: exactly zero."
    href: str
    "Its folder as seen from ours; empty where it has no pages or does not lie beside or below us."


@dataclass(frozen=True)
class ParameterChange:
    """One weight, bias or norm parameter that A and B both have."""

    name: str
    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    norm_a: float
    norm_b: float
    zero_a: float
    zero_b: float
    change: float | None
    "||B - A|| / ||A||; None where the shapes differ or a report does not hold its weights."
    error: float
    "Relative standard error of `change`; 0 where it is exact."


@dataclass(frozen=True, eq=False)
class LayerChange:
    """One call of one layer that A and B both have."""

    slug: str
    title: str
    type: str
    kind: str
    slug_a: str
    "Of its page in A."
    slug_b: str
    units_a: int
    units_b: int
    has_page: bool
    "Whether units could be compared one by one: their number is the same."
    weight_change: float | None
    "||B - A|| / ||A|| of its weight."
    weight_error: float
    "Relative standard error of that; 0 where it is exact."
    filter_error: float
    "The same of the change of one filter."
    dead_a: int | None
    "Units never above zero; None where there is no rectifier."
    dead_b: int | None
    died: tuple[int, ...]
    "Units alive in A and dead in B; empty where units cannot be compared."
    born: tuple[int, ...]
    "Units dead in A and alive in B."
    zero_a: float | None
    "Share of activations that are exactly zero."
    zero_b: float | None
    mean_a: float | None
    mean_b: float | None
    std_a: float | None
    std_b: float | None
    distance: float | None
    "Between the histograms of activations: earth mover's, in standard deviations (of both, rms)."
    table: Table | None = None
    "Unit by unit; a CSV beside `compare.json`."
    histogram_a: Histogram | None = None
    histogram_b: Histogram | None = None


@dataclass(frozen=True, eq=False)
class MapChange:
    """One attribution map of one image, in A and in B."""

    method: str
    "`occlusion` or `gradcam`."
    title: str
    label: str
    "The class that both explain; that of A where they differ."
    problem: str
    "Why the two are not compared; empty where they are."
    spearman: float | None
    "Rank correlation over all positions; None where either map shows no evidence."
    pearson: float | None
    map_a: Heatmap | None = None
    "On one scale with `map_b`."
    map_b: Heatmap | None = None
    difference: Heatmap | None = None
    "B minus A."


@dataclass(frozen=True, eq=False)
class ImageChange:
    """One image that went through both networks."""

    slug: str
    path: str
    "In A."
    sha256: str
    true_class: str | None
    answer_a: Prediction | None
    answer_b: Prediction | None
    said_a: tuple[Prediction, ...]
    "All of it: the class; where several may hold, those above one half; all values."
    said_b: tuple[Prediction, ...]
    outcome: Outcome
    right_a: bool | None
    "Whether the answer of A is the true class; None unless both know the true class."
    right_b: bool | None
    slug_a: str
    "Of its page in A; empty where it has none."
    slug_b: str
    maps: tuple[MapChange, ...]
    photo: Photo | None = None

    @property
    def has_page(self) -> bool:
        """Whether both reports have maps of it, compared or not."""
        return bool(self.maps)


@dataclass(frozen=True)
class LayerSeries:
    """One layer that all reports have, over the reports."""

    title: str
    dead_share: tuple[float | None, ...]
    zero_share: tuple[float | None, ...]
    "Of its activations: exactly zero."
    weight_norm: tuple[float | None, ...]


@dataclass(frozen=True, eq=False)
class Film:
    """The occlusion map of one image in every report, on one scale."""

    path: str
    label: str
    is_chosen: bool
    "Whether it was asked for by name; else it is the one that changed most."
    correlations: tuple[float | None, ...]
    "Spearman's, of each map but the first with the one before it."
    probabilities: tuple[float, ...]
    "Of the class, with nothing hidden."
    frames: tuple[Heatmap, ...] = ()


@dataclass(frozen=True, eq=False)
class Timeline:
    """More than two reports in the order given."""

    images: int
    "That all reports have: the accuracy is over these."
    accuracy: tuple[float | None, ...]
    dead_share: tuple[float | None, ...]
    zero_share: tuple[float | None, ...]
    "Of the activations after rectifiers: exactly zero."
    weight_norm: tuple[float, ...]
    "Of all weights of convolutions and linear layers together."
    step_change: tuple[float | None, ...]
    "Relative change of these weights from each report but the first to the next."
    layers: tuple[LayerSeries, ...]
    film: Film | None
    film_problem: str
    "Why there is no film strip; empty where there is one."


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything the site is rendered from."""

    schema_version: int
    reportgen: str
    title: str
    verdict: str
    subjects: tuple[Subject, ...]
    metrics: Mapping[str, float | int | None]
    "Flat numbers for scripts and gates; None where one is not defined here."
    findings: tuple[Finding, ...]
    rules: tuple[Rule, ...]
    differences: tuple[str, ...]
    "Why some numbers of A and B are not of the same thing, one sentence each."
    has_same_images: bool
    "Whether A and B saw exactly the same images."
    layers: tuple[LayerChange, ...]
    "In execution order."
    layers_only_a: tuple[str, ...]
    layers_only_b: tuple[str, ...]
    parameters: tuple[ParameterChange, ...]
    parameters_only_a: tuple[str, ...]
    parameters_only_b: tuple[str, ...]
    images: tuple[ImageChange, ...]
    "What changed most first."
    images_only_a: tuple[str, ...]
    images_only_b: tuple[str, ...]
    timeline: Timeline | None
    gates: tuple[Gate, ...] = ()
    "In the order in which they were given."

    @property
    def outputs(self) -> str:
        """`answers`, `values` or `boxes`; `outputs` where those of A and B are of two kinds."""
        a, b = self.subjects[0].task, self.subjects[-1].task
        return {"regress": "values", "detect": "boxes"}.get(a, "answers") if a == b else "outputs"
