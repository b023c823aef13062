"""What hiding parts of the images tells about the answers, in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.answers import image_link
from reportgen.analyses.findings import counted, few, percent
from reportgen.analyses.targets import Target
from reportgen.probe.occlusion.occlude import OcclusionResult
from reportgen.report.places import place_of
from reportgen.report.records import Finding, Image, Rule, Severity

NO_EFFECT = 0.01
"A largest drop in probability below this is no evidence."

CLEAR = 0.1
"A peak lower than this is not worth a word about its place."

FRAGILE = 0.5

RULES = (
    Rule(
        "occlusion-no-effect",
        "Info: no occluder lowers the probability of the target by 0.01 or more; a warning where "
        "this is so for every pictured image.",
    ),
    Rule("fragile-answer", "Warning: the answer changes at more than 50 % of the positions."),
    Rule(
        "occlusion-peak-outside",
        "Info: the largest drop in probability is 0.1 or more, and the middle of what is hidden "
        "there lies outside the middle half of the image, down or across.",
    ),
)


@dataclass(frozen=True, eq=False)
class Hidden:
    """One image with what hiding its parts did."""

    image: Image
    target: Target
    result: OcclusionResult
    flips: NDArray[np.bool_]
    "(rows columns) whether another class wins, or a class that is said by itself crosses one half."
    peak: tuple[int, int]
    "Row and column of the largest drop in probability."
    centre: tuple[float, float]
    "Of what is hidden there, down and across, as a share of the image."

    @property
    def drop(self) -> float:
        """The largest drop in probability."""
        return float(self.result.probability_drop[self.peak])


def occlusion_findings(seen: Sequence[Hidden]) -> tuple[Finding, ...]:
    """All that the rules above find, in their order."""
    kinds = (_without_effect(seen), _fragile(seen), _off_centre(seen))
    return tuple(
        finding for kind in kinds for finding in few(tuple(kind), "image", "images/index.html")
    )


def _without_effect(seen: Sequence[Hidden]) -> Iterator[Finding]:
    idle = [hidden for hidden in seen if hidden.drop < NO_EFFECT]
    severity: Severity = "warning" if len(idle) == len(seen) else "info"
    for hidden in idle:
        text = f"{hidden.image.path}: hiding any part lowers the probability of "
        text += f"{hidden.target.label} by less than 0.01, so its map is no evidence."
        yield Finding(severity, "occlusion-no-effect", text, _link(hidden))


def _fragile(seen: Sequence[Hidden]) -> Iterator[Finding]:
    shares = [(float(hidden.flips.mean()), hidden) for hidden in seen]
    for share, hidden in sorted(shares, key=lambda pair: -pair[0]):
        if share > FRAGILE:
            text = (
                f"{hidden.image.path}: the answer {hidden.image.predictions[0].label} changes at "
            )
            text += f"{percent(share)} of {counted(hidden.flips.size, 'occluder position')}."
            yield Finding("warning", "fragile-answer", text, _link(hidden))


def _off_centre(seen: Sequence[Hidden]) -> Iterator[Finding]:
    for hidden in sorted(seen, key=lambda hidden: -hidden.drop):
        if hidden.drop >= CLEAR and any(abs(share - 0.5) > 0.25 for share in hidden.centre):
            text = f"{hidden.image.path}: {hidden.target.label} loses most, {hidden.drop:.2f} in "
            text += f"probability, where the {place_of(hidden.centre)} is hidden, outside the "
            text += "middle half of the image."
            yield Finding("info", "occlusion-peak-outside", text, _link(hidden))


def _link(hidden: Hidden) -> str:
    return image_link(hidden.image, "occlusion")
