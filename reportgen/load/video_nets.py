"""torchvision's networks for videos: their names, and what is published with their weights."""

import re
from functools import cache

from reportgen.load.torchvision_nets import Publication, own_or_first
from reportgen.report.records import Preprocessing

_CLIP = re.compile(r"clip_len=(\d+)")
"Where torchvision says of how many frames the accuracy of its weights is."


@cache
def video_names() -> frozenset[str]:
    """Names of all of torchvision's networks for videos."""
    from torchvision import models

    return frozenset(models.list_models(module=models.video))


def video_publication(name: str, sha256: str) -> Publication:
    """What is known of the videos and classes of a network, or of one file.

    Args:
        name: of the network.
        sha256: of the file.
    """
    member, is_own, source = own_or_first(name, sha256)
    transforms = member.transforms()
    height, width = transforms.crop_size
    resize = tuple(transforms.resize_size)
    if len(resize) > 1:
        source += f" (frames keep their proportions, where torchvision makes them {resize[0]} x "
        source += f"{resize[1]} first)"
    stated = _CLIP.search(member.meta["_docs"])
    return Publication(
        preprocessing=Preprocessing(
            height=height,
            width=width,
            resize=min(resize),
            interpolation=transforms.interpolation.value,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            channels=3,
            source=source,
            is_assumed=not is_own,
            slices=int(stated[1]) if stated else None,
        ),
        labels=tuple(member.meta["categories"]) if is_own else (),
        labels_source="torchvision's published weights" if is_own else "",
        is_torchvisions_own=is_own,
    )
