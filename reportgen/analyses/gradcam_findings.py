"""Findings about class activation maps, and what they are found in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen.analyses.answers import image_link
from reportgen.analyses.class_maps import Head
from reportgen.analyses.findings import few
from reportgen.analyses.stages import Stage
from reportgen.analyses.targets import Target
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Finding, Image, Prediction, Rule

NO_EVIDENCE = 0.01
"Positive values that add up to less, in units of the score, are no evidence."
DISAGREE = -0.2
"A rank correlation with the occlusion map below this is said aloud."

RULES = (
    Rule(
        "gradcam-no-evidence",
        "Info: at the last layer with maps, the positive values of Grad-CAM for the explained "
        "class add up to less than 0.01 in the logit. Not raised where a network ends in a softmax "
        "or sigmoid, whose slope is almost zero when it is sure.",
    ),
    Rule(
        "gradcam-occlusion-disagree",
        "Warning: Grad-CAM and the occlusion map both show evidence, and Spearman's rank "
        "correlation between them is below -0.2.",
    ),
)


@dataclass(frozen=True, eq=False)
class Map:
    """One map of an image."""

    name: str
    method: str
    label: str
    "Of the class whose score it explains."
    stage: Stage
    values: FloatArray
    "(rows columns) float32, before the last ReLU."

    @property
    def positive(self) -> float:
        """Sum of the positive values (of CAM their mean), in units of the score."""
        positive = np.maximum(self.values, 0).astype(np.float64)
        return float(positive.mean() if self.method == "CAM" else positive.sum())

    @property
    def has_evidence(self) -> bool:
        """Whether the positive values are worth a look."""
        return self.positive >= NO_EVIDENCE


@dataclass(frozen=True, eq=False)
class Explained:
    """One image with its maps, that of the explained class at the last layer first."""

    image: Image
    target: Target
    rival: Prediction | None
    maps: tuple[Map, ...]
    head: Head | None
    "What the map named `cam` is of; None where there is none."
    agreement: float | None
    "Rank correlation with the occlusion map; None where one of the two shows nothing."


def cam_findings(seen: Sequence[Explained], *, has_logits: bool) -> tuple[Finding, ...]:
    """All that the rules above find, in their order."""
    kinds = (_without_evidence(seen) if has_logits else (), _disagreeing(seen))
    return tuple(
        finding for kind in kinds for finding in few(tuple(kind), "image", "images/index.html")
    )


def _without_evidence(seen: Sequence[Explained]) -> Iterator[Finding]:
    for explained in seen:
        first = explained.maps[0]
        if not first.has_evidence:
            text = f"{explained.image.path}: Grad-CAM at {first.stage.call.key} shows no positive "
            text += f"evidence for {first.label}."
            yield Finding("info", "gradcam-no-evidence", text, _link(explained))


def _disagreeing(seen: Sequence[Explained]) -> Iterator[Finding]:
    known = [(made.agreement, made) for made in seen if made.agreement is not None]
    for agreement, explained in sorted(known, key=lambda pair: pair[0]):
        if agreement < DISAGREE:
            text = f"{explained.image.path}: for {explained.target.label}, Grad-CAM and the "
            text += f"occlusion map disagree (rank correlation {agreement:.2f}); trust neither "
            text += "without a closer look."
            yield Finding("warning", "gradcam-occlusion-disagree", text, _link(explained))


def _link(explained: Explained) -> str:
    return image_link(explained.image, "gradcam")
