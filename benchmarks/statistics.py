"""What statistics of every call add to plain forward passes, and what the usual way adds.

    python -m benchmarks.statistics [--quick] [--cpu]

`Probe.collect` follows one image through the network first, and then keeps range, moments, counts,
histogram and strongest nine images of each unit of every convolution, norm, activation, pooling and
linear layer. A plain forward pass is the network called on the same batch in PyTorch's own order of
axes, with no gradients. The usual way is what tutorials show: a hook on each convolution that takes
`min`, `max`, `mean`, `std`, the share of zeros and `np.histogram` of the whole output. Freed memory
is kept for all alike, as the command keeps it (`reportgen.allocator`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models import resnet18, resnet50, squeezenet1_1

from benchmarks.table import Row, clock, compared, run
from reportgen.allocator import keep_freed_memory
from reportgen.probe import collector, reduction
from reportgen.probe.collector import Collector
from reportgen.probe.probe import Probe
from reportgen.probe.statistics import LayerStatistics
from reportgen.probe.strongest import StrongestImages

BATCH = 16
IMAGES = 64
BAR = 1.4
NETS = (resnet50, resnet18, squeezenet1_1)


def rows(quick: bool) -> Iterator[Row | str]:
    """Yields the cost of each network, of pictures, and of other ways to the same numbers."""
    keep_freed_memory()
    images = photos(BATCH if quick else IMAGES)
    rounds = 2 if quick else 5
    for make in NETS[1:] if quick else NETS:
        probe = Probe(make(weights=None).eval(), "cpu", BATCH)
        yield cost(probe, make.__name__, images, rounds, at_most=BAR)
        yield split(probe, make.__name__, images)
    probe = Probe(NETS[1 if quick else 0](weights=None).eval(), "cpu", BATCH)
    batch, name = images[:BATCH], NETS[1 if quick else 0].__name__
    yield cost(probe, f"{name}, one batch", batch, rounds)
    yield cost(probe, f"{name}, one batch, 8 images pictured", batch, rounds, pictured=8)
    with without_numba():
        yield cost(probe, f"{name}, one batch, without numba", batch, 1 if quick else 3)
    ratio = compared(lambda: tutorial(probe, batch), lambda: plainly(probe, batch), rounds)
    yield Row(
        f"{name}, convolutions alone, the usual way",
        f"hooks, {ratio.ours:.2f} s",
        f"forward, {ratio.theirs:.2f} s",
        ratio,
    )


def photos(count: int) -> torch.Tensor:
    """Images (count 3 h w) in which neighbouring pixels are alike, as in photos."""
    images = torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    return nn.functional.avg_pool2d(images, 9, 1, 4) * 9


def cost(
    probe: Probe,
    name: str,
    images: torch.Tensor,
    rounds: int,
    pictured: int = 0,
    at_most: float | None = None,
) -> Row:
    """What collecting takes, in units of plain forward passes."""
    ratio = compared(
        lambda: collect(probe, images, pictured), lambda: plainly(probe, images), rounds
    )
    return Row(
        f"{name}, {len(images)} images",
        f"collect, {ratio.ours:.2f} s",
        f"forward, {ratio.theirs:.2f} s",
        ratio,
        at_most=at_most,
    )


def collect(probe: Probe, images: torch.Tensor, pictured: int = 0) -> None:
    """Everything that a report keeps of the activations."""
    probe.collect(lambda size: images.split(size), len(images), range(pictured))


def plainly(probe: Probe, images: torch.Tensor) -> None:
    """The same images through the network, with nothing watching."""
    for batch in images.split(BATCH):
        with probe.lent(batch) as (module, moved):
            module(moved)


def tutorial(probe: Probe, images: torch.Tensor) -> None:
    """Statistics of each convolution's output, with what comes to mind first."""

    def hook(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        values = output.detach()
        values.min(), values.max(), values.mean(), values.std(), (values == 0).float().mean()
        np.histogram(values.numpy(), bins=256)

    with probe.lent(images) as (module, _):
        hooks = [
            inner.register_forward_hook(hook)
            for inner in module.modules()
            if isinstance(inner, nn.Conv2d)
        ]
        try:
            plainly(probe, images)
        finally:
            for handle in hooks:
                handle.remove()


@contextmanager
def without_numba() -> Iterator[None]:
    """Has the statistics done by PyTorch alone; the strongest images still by compiled code."""
    found = reduction.compiled
    reduction.compiled = lambda: None  # type: ignore[assignment]
    try:
        yield
    finally:
        reduction.compiled = found


def split(probe: Probe, name: str, images: torch.Tensor) -> str:
    """Where the time of one `collect` goes, in shares of the forward passes."""
    spent: dict[str, float] = {}
    places = {
        "following one image first": [(Probe, "trace")],
        "all hooks": [(Collector, "leave")],
        "reading the values": [(collector, "parts")],
        "adding up": [(LayerStatistics, "add"), (StrongestImages, "update")],
    }
    undo: list[Callable[[], None]] = []
    for label, methods in places.items():
        for owner, method in methods:
            undo.append(timed(owner, method, label, spent))
    start = clock()
    collect(probe, images)
    whole = clock() - start
    for back in undo:
        back()
    start = clock()
    plainly(probe, images)
    plain = clock() - start
    shares = ", ".join(f"{label} {seconds / plain:.2f}" for label, seconds in spent.items())
    return f"{name}, one run, in units of the forward passes: all {whole / plain:.2f}; {shares}."


def timed(owner: Any, name: str, label: str, spent: dict[str, float]) -> Callable[[], None]:
    """Has calls of a method, or of a module's function, timed; gives what ends that."""
    method = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return method(*args, **kwargs)
        finally:
            spent[label] = spent.get(label, 0.0) + clock() - start

    setattr(owner, name, call)
    return lambda: setattr(owner, name, method)


if __name__ == "__main__":
    run(rows)
