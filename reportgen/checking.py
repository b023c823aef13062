"""Which images are damaged, found out before the pass by all processes together."""

import hashlib
import json

import numpy as np

from reportgen.errors import OptionError
from reportgen.load.image_set import ImageSet
from reportgen.load.images import checked, problems_of
from reportgen.probe.passing import Rows, Team, share

_FOUND = "found"


def checked_by_all(images: ImageSet, team: Team | None, model: str) -> ImageSet:
    """The images that can be decoded, the same on every process, with what decoding tells of them.

    Each image is decoded once, by one of the processes.

    Args:
        images: as they were listed.
        team: the processes; None for this one alone.
        model: SHA-256 of the network's file.

    Raises:
        ImageError: if none is left.
        OptionError: if the processes do not have the same images and the same network.
    """
    if images.listed is None or team is None:
        return checked(images)
    mine = share(len(images.files), 1, team.rank, team.size)
    seen = (model, [(file.path, file.sha256) for file in images.files])
    seen_hash = hashlib.sha256(json.dumps(seen).encode()).hexdigest()
    found = (seen_hash, problems_of(images, mine), list(images.facts.items()))
    everything = [found]
    if team.rank:
        list(team.gathered(_rows(found)))
        everything = json.loads(team.told(None)[_FOUND].tobytes())
    else:
        everything += [json.loads(rows[_FOUND].tobytes()) for rows in team.gathered(None)]
        team.told(_rows(everything))
    if {told for told, _, _ in everything} != {seen_hash}:
        raise OptionError(
            "The processes of this run do not have the same model and images: give all of them the "
            "same files under the same names."
        )
    for _, _, facts in everything:
        for index, (width, height, notes) in facts:
            images.facts[index] = (width, height, tuple(notes))
    return checked(images, [problem for _, problems, _ in everything for problem in problems])


def _rows(found: object) -> Rows:
    return {_FOUND: np.frombuffer(json.dumps(found).encode(), np.uint8)}
