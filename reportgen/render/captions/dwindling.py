"""A count of dead units that falls as images are added."""

from collections.abc import Sequence

from reportgen.figures.dwindling import mean_count
from reportgen.render.filters import percent


def caption(images: Sequence[int], counts: Sequence[float]) -> str:
    """From how many to how many, and whether it still falls at its end.

    Args:
        images: after how many images, rising from 1 on.
        counts: mean number of units that would be called dead then.
    """
    first, last, n = counts[0], counts[-1], images[-1]
    if mean_count(first) == mean_count(last):
        return f"{mean_count(first)} after one image as after all {n:,}: more images woke none."
    text = f"{mean_count(first)} after one image, {mean_count(last)} after all {n:,}"
    text += f", {percent((first - last) / first)} fewer"
    woken, before = counts[-2] - last, images[-2]
    if mean_count(counts[-2]) == mean_count(last):
        return f"{text}; level from {before:,} on."
    added = "the last one woke" if n - before == 1 else f"the last {n - before:,} images woke"
    return f"{text}; {added} {mean_count(woken)} on average."
