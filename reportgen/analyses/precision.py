"""What it changes that the pass over the images ran in another precision than fp32."""

from collections.abc import Iterator

from reportgen.analyses.study import Study
from reportgen.probe.precision import rounding, rounding_of


def rounded(study: Study) -> Iterator[str]:
    """The precision and the difference on the pictured images, in words; nothing for fp32."""
    probe, images = study.probe, study.images
    if probe.precision == "fp32":
        return
    if study.pictured:
        pictured = (images.normalise(images.pixels(index)) for index in study.pictured)
        yield rounding(probe, pictured).sentence(probe.precision)
    else:
        is_detection = study.evidence.task == "detect"
        why = "the network gives boxes" if is_detection else "no pictured image has a finite answer"
        yield f"{rounding_of(probe.precision)} No difference to fp32 was measured: {why}."
