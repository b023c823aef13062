"""What an analysis is given, and what it gives back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from reportgen.load.image_set import ImageSet
from reportgen.load.model import LoadedModel
from reportgen.options import Options
from reportgen.probe.evidence import CallKey, Evidence
from reportgen.probe.passing import Team
from reportgen.probe.probe import Probe, Progress
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Finding, Image, Layer, Panel, Parameter, Place, Rule

Need: TypeAlias = Literal["score", "probability", "picture"]
"""What a section needs of every image: a score to explain, a probability that can be lost, no more
than rows and columns."""

FOR_PICTURES = (
    "This network takes volumes or videos: places in them have a slice as well as a row and a "
    "column, and this section is made for pictures."
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a section found: panels by subject (slug of a layer or image, "" for the network)."""

    panels: Mapping[str, Panel] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    maps: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    """By slug of the image and name of the method: attribution maps (height width), as
    `Method.map_of` makes them, for sections that come later. They are not stored."""
    absent: str = ""
    "One sentence where there is nothing of the kind for such a network."


@dataclass(frozen=True, eq=False)
class Study:
    """The network, the images and what was seen, with the records every section refers to."""

    options: Options
    loaded: LoadedModel
    images: ImageSet
    evidence: Evidence
    probe: Probe
    layer_records: tuple[Layer, ...]
    "One per call, without panels."
    image_records: tuple[Image, ...]
    "One per image, without panels."
    parameter_records: tuple[Parameter, ...]
    labels: tuple[str, ...]
    "One name per class."
    progress: Progress | None = None
    "Told how far a long section is: steps done, steps in all."
    team: Team | None = None
    "The processes that share the work, where there are several."
    earlier: Mapping[str, Outcome] = field(default_factory=dict)
    "By name: what the sections made before this one found. One that failed is not there."

    @property
    def pictured(self) -> tuple[int, ...]:
        """Indices of the images with a page and a finite answer: those that can be explained."""
        known = sorted(self.evidence.pictures)
        return tuple(index for index in known if self.image_records[index].predictions)

    @property
    def layer_of(self) -> dict[CallKey, Layer]:
        """The record of each call, in the order of execution."""
        keys = (call.key for call in self.evidence.calls)
        return dict(zip(keys, self.layer_records, strict=True))

    @property
    def score(self) -> Literal["probability", "logit", "value"]:
        """What gradients are of: the network's own result for a class, or the value it gives."""
        if self.evidence.task == "regress":
            return "value"
        return "probability" if self.evidence.gives_probabilities else "logit"


def why_absent(needs: Collection[Need], study: Study) -> str:
    """One sentence: why there is no section that needs so much of a network; empty where it is."""
    task = study.evidence.task
    if "picture" in needs and study.loaded.takes_volumes:
        return FOR_PICTURES
    if ("score" in needs or "probability" in needs) and task == "detect":
        return (
            "This network looks for objects: it gives boxes, and no score for a class of the "
            "image as a whole that could be explained."
        )
    if "probability" in needs and task == "regress":
        return (
            "This network gives values (--task regress): they have no probability whose loss "
            "could be measured."
        )
    return ""


@dataclass(frozen=True)
class Analysis:
    """One section of the report. The name is also that of its file, its template and its test."""

    name: str
    title: str
    place: Place
    run: Callable[[Study], Outcome]
    needs: tuple[Need, ...] = ()
    rules: tuple[Rule, ...] = ()
    references: tuple[str, ...] = ()
    help_with: Callable[[Study], None] | None = None
    "What every process but the first does for this section, where it is shared out."
