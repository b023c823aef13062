"""What keeping each unit's nine strongest images adds to a plain forward pass over the images.

    python -m benchmarks.strongest [--quick] [--cpu]

Both are timed in one process: the time spent in `StrongestImages` while images are collected, and
the same images through the network with nothing watching, as in `benchmarks.statistics`. The more
images, the fewer enter a unit's nine.
"""

from collections.abc import Iterator
from functools import partial

import torch
from torchvision.models import resnet50, squeezenet1_1

from benchmarks.statistics import BATCH, IMAGES, collect, photos, plainly, timed
from benchmarks.table import Row, ratio_of, run, seconds
from reportgen.allocator import keep_freed_memory
from reportgen.probe.probe import Probe
from reportgen.probe.strongest import StrongestImages

BAR = 0.15


def rows(quick: bool) -> Iterator[Row | str]:
    """Yields one row a network."""
    keep_freed_memory()
    images = photos(2 * BATCH if quick else IMAGES)
    for make in (squeezenet1_1,) if quick else (squeezenet1_1, resnet50):
        probe = Probe(make(weights=None).eval(), "cpu", BATCH)
        spent_on_nine(probe, images[:BATCH])
        pairs = [
            (spent_on_nine(probe, images), seconds(partial(plainly, probe, images)))
            for _ in range(2 if quick else 5)
        ]
        ratio = ratio_of(pairs)
        yield Row(
            f"{make.__name__}, {len(images)} images",
            f"strongest nine, {ratio.ours:.3f} s",
            f"forward, {ratio.theirs:.2f} s",
            ratio,
            at_most=BAR,
        )


def spent_on_nine(probe: Probe, images: torch.Tensor) -> float:
    """Seconds inside `StrongestImages` while `Probe.collect` runs over the images."""
    spent = {"nine": 0.0}
    names = ("update", "merge", "evidence")
    undo = [timed(StrongestImages, name, "nine", spent) for name in names]
    try:
        collect(probe, images)
    finally:
        for back in undo:
            back()
    return spent["nine"]


if __name__ == "__main__":
    run(rows)
