"""What it changes that the pass over the images ran in another precision than fp32."""

from collections.abc import Iterator

from reportgen.analyses.study import Study
from reportgen.probe.precision import rounding


def rounded(study: Study) -> Iterator[str]:
    """One sentence with the difference on the pictured images; none for fp32."""
    probe, images = study.probe, study.images
    if probe.precision != "fp32" and study.pictured:
        pictured = (images.normalise(images.pixels(index)) for index in study.pictured)
        yield rounding(probe, pictured).sentence(probe.precision)
