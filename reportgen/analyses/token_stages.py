"""Where to draw class activation maps in a network of tokens: where the patches still matter."""

from dataclasses import replace
from weakref import WeakKeyDictionary

from reportgen.analyses.cams import as_maps
from reportgen.analyses.stages import Stages, stages_of
from reportgen.analyses.study import Study
from reportgen.analyses.targets import targets
from reportgen.probe.evidence import Evidence
from reportgen.probe.gradients import Spot

_KNOWN: WeakKeyDictionary[Evidence, Stages] = WeakKeyDictionary()
"Of one network and its images; sections are given studies of their own, with the same evidence."


def stages_in(study: Study) -> Stages:
    """The stages of the network of a study, each where its maps can change the score.

    Behind the last attention of a vision transformer the score often reads the class token alone.
    The gradient with respect to all other tokens is zero there, so the last stage is the last cut
    before it, the input of the last block. Of that, what the block's first norm gives is taken: all
    slope of the patches comes through it, and in front of a layer norm gradient times value adds up
    to zero, for it takes the scale away. Whether a gradient is zero is measured once for all
    sections, on the first pictured image with an answer.

    Raises:
        ModelError: if no gradient can be taken through the network.
        ResourceError: if the image does not fit the memory.
    """
    found = _KNOWN.get(study.evidence)
    if found is None:
        found = _KNOWN[study.evidence] = _measured(study)
    return found


def _measured(study: Study) -> Stages:
    prepared = study.images.preprocessing
    size = (prepared.height, prepared.width)
    stages = stages_of(study.evidence.calls, study.evidence.classes, size)
    pictured = study.pictured
    if not pictured or not stages.found or stages.found[-1].call.tokens is None:
        return stages
    target = targets(study)[pictured[0]]
    image = study.images.normalise(study.images.pixels(pictured[0]))
    slopes = study.probe.slopes(image, [cut.spot for cut in stages.cuts], [target.index])
    for cut in reversed(stages.cuts):
        if cut.spot in slopes and as_maps(slopes[cut.spot].gradients[0], cut).any():
            if cut is not stages.cuts[-1] and cut.spot.side == "input":
                cut = replace(cut, spot=Spot(cut.call.key))
            return replace(stages, found=(*stages.found[:-1], cut))
    return stages
