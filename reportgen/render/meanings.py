"""What each kind of finding means to somebody who meets it for the first time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reportgen.report.records import Finding, Severity

MEANINGS: Mapping[str, str] = {
    "accuracy-fell": "The newer network gets more of these images wrong.",
    "accuracy-rose": "The newer network gets more of these images right.",
    "activation-scale": "Some layers give numbers a thousand times as large as others, which makes "
    "training hard and low precision risky.",
    "aliasing": "Skipping positions turns fine texture into patterns that are not in the image, so "
    "answers can change when it moves by a pixel.",
    "answers-changed": "These images get another answer than before.",
    "assumed-preprocessing": "How images were prepared in training is a guess here. If it is "
    "wrong, all answers below suffer.",
    "chance-accuracy": "The network does no better than guessing on these images. Suspect "
    "class names in another order, wrong preprocessing, or weights that were not trained.",
    "confident-mistakes": "The network is wrong and sure of it. Look where it looked.",
    "constant-units": "These units give the same number whatever the image shows: they carry "
    "nothing.",
    "dead-filters": "These units never fire, so that they cost time and memory and add nothing. "
    "Often the learning rate was too high.",
    "duplicate-filters": "These filters are copies of others: the layer is wider than what it "
    "learned.",
    "exploding-gradient": "The signal that trains the network grows from layer to layer on its way "
    "back, so that early layers are thrown about.",
    "few-images": "More images would make every statement about dead units firmer.",
    "few-middle-frequencies": "The first kernels see flat areas and finest grain, and little of "
    "the edges and textures between them.",
    "fragile-answer": "Hiding almost any part of the image changes the answer: it hangs by a "
    "thread.",
    "gradcam-no-evidence": "Nothing in the last maps speaks for the answer: it comes from what "
    "maps do not show, such as a bias.",
    "gradcam-occlusion-disagree": "Two ways to ask where the network looks contradict each other. "
    "Believe neither without a closer look.",
    "gradient-not-finite": "The slope of the score has no finite value, so there are no gradient "
    "maps to look at.",
    "identity-layers": "These layers hand on what they read: they might as well not be there.",
    "layers-differ": "The two networks are not built alike.",
    "low-confidence": "No class is convincing here: the best one is little more than a guess.",
    "low-rank": "The units of these layers mostly say the same in different words.",
    "map-no-better-than-random": "On these images the maps of this method do not point at what the "
    "network uses.",
    "map-not-learned": "These maps look the same when the network has forgotten everything, so "
    "they show the image and not the network.",
    "mostly-zero-weights": "Most of these weights are zero: they were pruned, or never learned.",
    "near-duplicate-filters": "These filters are almost the same as others.",
    "no-gradient": "No change of a pixel changes the score, so there are no gradient maps.",
    "non-finite-gradient": "The way back through the network breaks at this layer; it cannot be "
    "trained further as it is.",
    "non-finite-output": "The network has no answer for these images.",
    "non-finite-values": "This layer gives numbers that are none; everything after it is void.",
    "non-finite-weights": "The file is damaged, or training diverged: there are no numbers here.",
    "not-alike": "The two reports were not made alike, so that a difference may come from that.",
    "not-finite": "Numbers that are none make everything after them void.",
    "occlusion-no-effect": "No place in the image matters to the answer, so the map shows nothing.",
    "occlusion-peak-outside": "What the answer needs most lies towards the border of the image: "
    "see whether the object is there, or the background decides.",
    "one-answer": "Whatever the image shows, the answer is the same: the network does not look.",
    "other-reasons": "The answer is the same as before, and rests on other parts of the image.",
    "prunable": "The network can be made smaller without changing any answer on these images.",
    "saturated-layers": "These layers sit at the end of their range, where little gets through and "
    "nothing is learned.",
    "stochastic-forward": "The same image gives different answers: something random is still "
    "switched on.",
    "units-born": "Units that did nothing before take part now.",
    "units-died": "Units that took part before do nothing now.",
    "vanishing-gradient": "The signal that trains the network fades on its way back, so that the "
    "early layers hardly learn.",
    "weights-moved": "Where training changed most.",
    "weights-unknown": "How far these weights moved cannot be said.",
    "widths-differ": "Layers were made wider or narrower, as by pruning.",
    "zero-weight-filters": "These filters were switched off: all their weights are zero.",
}
"By the kind's word; the exact rule with its threshold stands on the about page."


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one kind and severity."""

    severity: Severity
    kind: str
    findings: tuple[Finding, ...]

    @property
    def title(self) -> str:
        """`Fragile answer`."""
        return self.kind.replace("-", " ").replace("_", " ").capitalize()

    @property
    def anchor(self) -> str:
        """`warning-fragile-answer`: its place on the overview."""
        return f"{self.severity}-{self.kind}"

    @property
    def meaning(self) -> str:
        """Empty for a kind of a later version, whose saved report is rendered here."""
        return MEANINGS.get(self.kind, "")


def grouped(findings: Sequence[Finding]) -> tuple[FindingGroup, ...]:
    """Findings by severity and kind; groups and their findings stay in their order."""
    kinds: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.severity, finding.kind), []).append(finding)
    return tuple(FindingGroup(*key, tuple(found)) for key, found in kinds.items())
