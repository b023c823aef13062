"""What a pass over 10,000 images costs in units of plain forward passes, and whether memory grows.

    python -m benchmarks.many [--quick]

Both sides take the same images in the same batches and the same precision, in one process, one
after the other. *Tensors* are small images in memory, whose pixels both sides normalise; *JPEG* are
files
that both sides read with `ImageSet.batches`. A plain forward pass is the network called on the
batch, in PyTorch's own order of axes and without gradients.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision.models import resnet18, squeezenet1_1

from benchmarks.statistics import split
from benchmarks.table import Row, ratio_of, run, seconds
from reportgen.allocator import keep_freed_memory
from reportgen.load.images import image_set
from reportgen.load.preprocessing import Preprocessing
from reportgen.probe.probe import Probe

BATCH = 64
BAR = 1 / 0.75
CASES = ((resnet18, 64, 1), (squeezenet1_1, 64, 1), (resnet18, 128, 1), (squeezenet1_1, 224, 8))
"Networks, pixels a side, and of how many images one is taken."


def rows(quick: bool) -> Iterator[Row | str]:
    """Networks and sizes, then files, then memory."""
    keep_freed_memory()
    count = 512 if quick else 10_000
    for make, side, share in CASES:
        probe = Probe(make(weights=None).eval(), "cpu", BATCH)
        few = count // share
        pixels = noise(few, side)

        def batches(size: int, start: int = 0, stop: int | None = None, of: Any = pixels) -> Any:
            return (
                part.float().div_(255).sub_(0.5).div_(0.25) for part in of[start:stop].split(size)
            )

        yield row(f"{make.__name__}, {few:,} tensors at {side}", probe, batches, few)
        yield split(probe, f"{make.__name__} at {side}", next(iter(batches(4 * BATCH))))
    with tempfile.TemporaryDirectory() as folder:
        images = files(Path(folder), count)
        probe = Probe(resnet18(weights=None).eval(), "cpu", BATCH)
        what = f"resnet18, {count:,} JPEG files at 64"
        yield row(what, probe, images.batches, count, at_most=None)
    yield from growth(quick)


def row(
    what: str,
    probe: Probe,
    batches: Callable[..., Any],
    count: int,
    at_most: float | None = BAR,
) -> Row:
    """What collecting takes, in units of plain forward passes over the same images."""

    def both(stop: int) -> tuple[float, float]:
        some = partial(batches, stop=stop)
        return seconds(lambda: probe.collect(some, stop, ())), seconds(lambda: plainly(probe, some))

    both(2 * BATCH)
    ratio = ratio_of([both(count)])
    return Row(
        f"{what}, batches of {BATCH}",
        f"collect, {count / ratio.ours:,.0f} images a second",
        f"forward, {count / ratio.theirs:,.0f} images a second",
        ratio,
        at_most=at_most,
    )


def plainly(probe: Probe, batches: Callable[..., Any]) -> None:
    """The same images through the network, with nothing watching."""
    for batch in batches(BATCH):
        with probe.lent(batch) as (module, moved):
            module(moved)


def noise(count: int, side: int) -> torch.Tensor:
    """Pixels (count 3 side side) uint8 in which neighbours are alike, as in photos."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (count, 3, side // 4, side // 4), generator=generator)
    grown = coarse.to(torch.uint8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return grown.contiguous()


def files(folder: Path, count: int) -> Any:
    """So many JPEG files of 80 x 80 pixels."""
    for number, pixels in enumerate(noise(count, 80)):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number:05}.jpg")
    made = Preprocessing(64, 64, 64, "bilinear", (0.5,) * 3, (0.25,) * 3, 3, "stated", False)
    return image_set([folder], made)


def growth(quick: bool) -> Iterator[Row | str]:
    """Memory of the process after more and more images, in one pass."""
    count = 1_024 if quick else 10_240
    probe = Probe(resnet18(weights=None).eval(), "cpu", BATCH)
    held: dict[int, float] = {}

    def batches(size: int, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        for number in range(count // size):
            yield noise(size, 64).float().add_(number % 7).div_(255)

    def told(done: int, _: int) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held[done] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    probe.collect(batches, count, (), progress=told)
    at = sorted(held)
    shown = [at[len(at) * share // 10] for share in (1, 3, 5, 7)] + [at[-1]]
    yield (
        "Memory held by the process after so many images of one pass (resnet18 at 64): "
        + ", ".join(f"{done:,}: {held[done]:,.0f} MB" for done in shown)
        + "."
    )


if __name__ == "__main__":
    run(rows)
