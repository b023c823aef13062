"""The plain way: the whole network for every hidden place, in batches."""

from collections.abc import Sequence

import torch

from reportgen.probe.occlusion.places import with_hidden
from reportgen.probe.probe import Probe, Progress


def plain_scores(
    probe: Probe,
    image: torch.Tensor,
    filling: torch.Tensor,
    window: tuple[int, int],
    places: Sequence[tuple[int, int]],
    progress: Progress | None = None,
) -> torch.Tensor:
    """Scores (places classes), float32 on the CPU, with each place hidden.

    Args:
        probe: runs the network.
        image: normalised, (c h w).
        filling: normalised, (c h w), shown where a window hides the image.
        window: height and width in pixels.
        places: first row and column of each window.
        progress: told of the places done.

    Raises:
        ResourceError: if one image alone does not fit the memory.
    """
    scores: list[torch.Tensor] = []
    start = 0
    while start < len(places):
        # As large as the probe runs just then: it halves when memory runs out.
        some = places[start : start + probe.batch_size]
        scores.append(probe.logits(with_hidden(image, filling, window, some)))
        start += len(some)
        if progress:
            progress(start, len(places))
    return torch.cat(scores)
