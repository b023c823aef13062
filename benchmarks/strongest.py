"""What finding each unit's nine strongest images adds to a plain forward pass over the images.

Run from the repository root: `python benchmarks/strongest.py [images]`. Both are timed in one
process: the time spent in `StrongestImages` while images are collected, and the same images through
the network with nothing watching. The median ratio of several rounds must stay below 15 %.
"""

import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torchvision.models import resnet50, squeezenet1_1

from reportgen.probe.probe import Probe
from reportgen.probe.strongest import StrongestImages

BATCH = 16
ROUNDS = 5
BAR = 0.15


def main() -> None:
    """Prints one line a network, and fails where the bar is missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    images = torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    # What is alike in neighbouring pixels, as in photos.
    images = torch.nn.functional.avg_pool2d(images, 9, 1, 4) * 9
    shares = {net.__name__: _share(net(weights=None), images) for net in (squeezenet1_1, resnet50)}
    if max(shares.values()) > BAR:
        raise SystemExit(f"more than {BAR:.0%}: {shares}")


def _share(net: torch.nn.Module, images: torch.Tensor) -> float:
    probe = Probe(net.eval(), "cpu", BATCH)
    rounds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        for batch in images.split(BATCH):
            probe.logits(batch)
        plain = perf_counter() - start
        rounds.append((_spent_on_nine(probe, images), plain))
    share = statistics.median(nine / plain for nine, plain in rounds)
    nine, plain = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(
        f"{type(net).__name__}: {len(images)} images, plain {plain:.2f} s, "
        f"strongest nine {nine:.3f} s, {share:.1%} (median of {ROUNDS} rounds)"
    )
    return share


def _spent_on_nine(probe: Probe, images: torch.Tensor) -> float:
    """Seconds inside `StrongestImages` while `Probe.collect` runs over the images."""
    spent = 0.0
    names = ("update", "merge", "further", "evidence")
    plain = {name: getattr(StrongestImages, name) for name in names}

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal spent
            start = perf_counter()
            try:
                return method(*args)
            finally:
                spent += perf_counter() - start

        return call

    for name, method in plain.items():
        setattr(StrongestImages, name, timed(method))
    try:
        probe.collect(lambda size: images.split(size), len(images), ())
    finally:
        for name, method in plain.items():
            setattr(StrongestImages, name, method)
    return spent


if __name__ == "__main__":
    main()
