"""What the tests of an attribution method come to, in words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from reportgen.analyses.faithfulness import Faded, interval
from reportgen.analyses.findings import few, these
from reportgen.analyses.methods import Method
from reportgen.probe.deletion import area
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Finding, Rule

UNCHANGED = 0.5
"""Rank correlation with the maps of a network without any learned weight: from here on a quarter of
the variance of the ranks is there without learning."""

Kind: TypeAlias = Literal["good", "doubt", "unlearned", "unknown"]

RULES = (
    Rule(
        "map-not-learned",
        "Warning: with all layers initialised again, the maps of a method (or their absolute "
        "values) still correlate by 0.5 or more in rank with those of the trained network.",
        "Adebayo et al., 2018",
    ),
    Rule(
        "map-no-better-than-random",
        "Info: of three or more images, the mean of a method's advantage over random maps, in "
        "insertion minus deletion area, is not above zero.",
        "Petsiuk et al., 2018",
    ),
)


@dataclass(frozen=True, eq=False)
class Trial:
    """One method with what its tests gave."""

    method: Method
    faded: tuple[Faded, ...]
    "One an image."
    likeness: FloatArray
    "(levels,) rank correlation with the maps of networks that forgot more and more."
    absolute_likeness: FloatArray
    "(levels,) the same of the absolute values."
    fill_agreement: float | None

    @property
    def advantage(self) -> float:
        """Mean over the images."""
        return float(np.mean([faded.advantage for faded in self.faded]))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the advantage, 95 %."""
        return interval([faded.advantage for faded in self.faded])

    @property
    def unlearned(self) -> float:
        """What is left with no learned weight: the larger of both correlations; NaN if unknown."""
        both = (self.likeness, self.absolute_likeness)
        return max((float(values[-1]) for values in both if len(values)), default=float("nan"))

    @property
    def kind(self) -> Kind:
        """What it comes to."""
        found = self.interval
        if self.unlearned >= UNCHANGED:
            return "unlearned"
        if found is None:
            return "unknown"
        return "good" if found[0] > 0 else "doubt"

    @property
    def wins(self) -> int:
        """Images on which the map is better than random ones."""
        return sum(faded.advantage > 0 for faded in self.faded)

    @property
    def standing(self) -> str:
        """How it compares with random maps, in words."""
        found = self.interval
        if found is None:
            return "too few images to tell"
        if found[0] > 0:
            return "better than random here"
        return "worse than random here" if found[1] < 0 else "not clearly better than random here"

    @property
    def learning(self) -> str:
        """Whether it changes with the weights, in words."""
        if math.isnan(self.unlearned):
            return "not known"
        is_left = self.unlearned >= UNCHANGED
        return "does not depend on what was learned" if is_left else "changes with the weights"

    @property
    def verdict(self) -> str:
        """Both, or the one that makes the other idle."""
        if self.kind == "unlearned":
            return self.learning
        parts = (self.standing, self.learning)
        return " · ".join(part for part in parts if part != "not known")

    def curves(self, name: str) -> FloatArray:
        """Mean over the images of one of the curves, (steps+1,)."""
        mean: FloatArray = np.mean([getattr(faded, name) for faded in self.faded], axis=0)
        return mean

    def area(self, name: str) -> float:
        """Area under one of the mean curves."""
        return float(area(self.curves(name)))


def trust_findings(trials: Sequence[Trial]) -> tuple[Finding, ...]:
    """All that the rules above find, in their order."""
    kinds = (_unlearned(trials), _no_better(trials))
    return tuple(finding for kind in kinds for finding in few(tuple(kind), "method", "trust.html"))


def _unlearned(trials: Sequence[Trial]) -> Iterator[Finding]:
    for trial in trials:
        if trial.kind == "unlearned":
            text = f"{trial.method.title} does not depend on what was learned: with all weights "
            text += f"initialised again its maps still correlate by {trial.unlearned:.2f}."
            yield Finding("warning", "map-not-learned", text, _link(trial))


def _no_better(trials: Sequence[Trial]) -> Iterator[Finding]:
    for trial in trials:
        # An advantage that few images cannot tell from none is for the label, not for a finding.
        if trial.kind == "doubt" and trial.interval is not None and trial.advantage <= 0:
            low, high = trial.interval
            words = "worse" if high < 0 else "no better"
            text = f"{trial.method.title} is {words} than random maps on "
            text += f"{these(len(trial.faded))}: advantage {trial.advantage:.2g}, 95 % interval "
            text += f"{low:.2g} to {high:.2g}."
            yield Finding("info", "map-no-better-than-random", text, _link(trial))


def _link(trial: Trial) -> str:
    return f"trust.html#{trial.method.name}"
