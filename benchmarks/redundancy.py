"""What the section on look-alikes costs, against plain forward passes of the pictured images.

    python benchmarks/redundancy.py [torchvision name] [images]

Seconds of processor time, so that other work on the machine counts little.
"""

import sys
import time
from collections.abc import Callable

import torch
import torchvision

from reportgen.analyses.filters import kernels, weighted_module
from reportgen.analyses.likeness import not_compared, twins
from reportgen.probe.correlation import MOST_UNITS, most_alike, passes
from reportgen.probe.probe import Probe


def seconds(work: Callable[[], object]) -> float:
    """The better of two runs."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main(name: str = "resnet50", count: str = "6") -> None:
    """Prints one line a part."""
    torch.manual_seed(0)
    module = torchvision.models.get_model(name).eval()
    images = torch.randn(int(count), 3, 224, 224)
    probe = Probe(module, "cpu")
    calls = probe.trace(images[0]).calls
    plain = seconds(lambda: [probe.logits(image[None]) for image in images])
    print(f"{name}, {count} images: plain forward {plain:.2f} s")

    convs = [c for c in calls if c.kind == "conv" and 1 < c.units <= MOST_UNITS]
    taken = seconds(lambda: most_alike(probe, lambda: iter(images), convs))
    print(
        f"answers of {len(convs)} convolutions, {passes(convs)} passes: {taken:.2f} s, "
        f"{taken / plain:.1f} x"
    )

    def compare() -> None:
        for call in calls:
            layer = weighted_module(module, call)
            weight = kernels(layer) if layer is not None else None
            groups = int(getattr(layer, "groups", 1))
            if weight is not None and not not_compared(weight, groups):
                twins(weight, groups)

    taken = seconds(compare)
    print(f"weights: {taken:.2f} s, {taken / plain:.1f} x")


if __name__ == "__main__":
    main(*sys.argv[1:])
