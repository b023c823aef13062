"""Which images are damaged, found out before the pass by all processes together."""

import json

import numpy as np

from reportgen.load.images import ImageSet, checked, problems_of
from reportgen.probe.passing import Rows, Team, share

_FOUND = "found"


def checked_by_all(images: ImageSet, team: Team | None) -> ImageSet:
    """The images that can be decoded, the same on every process, with what decoding tells of them.

    Each image is decoded once, by one of the processes.

    Raises:
        ImageError: if none is left.
    """
    if images.listed is None or team is None:
        return checked(images)
    mine = share(len(images.files), 1, team.rank, team.size)
    found = (problems_of(images, mine), list(images.facts.items()))
    everything = [found]
    if team.rank:
        list(team.gathered(_rows(found)))
        everything = json.loads(team.told(None)[_FOUND].tobytes())
    else:
        everything += [json.loads(rows[_FOUND].tobytes()) for rows in team.gathered(None)]
        team.told(_rows(everything))
    for _, facts in everything:
        for index, (width, height, notes) in facts:
            images.facts[index] = (width, height, tuple(notes))
    return checked(images, [problem for problems, _ in everything for problem in problems])


def _rows(found: object) -> Rows:
    return {_FOUND: np.frombuffer(json.dumps(found).encode(), np.uint8)}
