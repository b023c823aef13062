"""What the section on look-alikes costs, against plain forward passes of the pictured images."""

from collections.abc import Iterator

import torch
import torchvision

from benchmarks.table import Row, compared, run
from reportgen.analyses.filters import kernels, weighted_module
from reportgen.analyses.likeness import not_compared, twins
from reportgen.probe.correlation import MOST_UNITS, most_alike, passes
from reportgen.probe.probe import Probe

COUNT = 6
"Images."


def rows(quick: bool) -> Iterator[Row | str]:
    """One row for the answers of a network's units, and one for their weights."""
    name = "resnet18" if quick else "resnet50"
    rounds = 2 if quick else 5
    torch.manual_seed(0)
    module = torchvision.models.get_model(name).eval()
    images = torch.randn(COUNT, 3, 224, 224)
    probe = Probe(module, "cpu")
    calls = probe.trace(images[0]).calls
    convs = [c for c in calls if c.kind == "conv" and 1 < c.units <= MOST_UNITS]

    def plain() -> None:
        for image in images:
            probe.logits(image[None])

    def answers() -> None:
        most_alike(probe, lambda: iter(images), convs)

    def weights() -> None:
        for call in calls:
            layer = weighted_module(module, call)
            weight = kernels(layer) if layer is not None else None
            groups = int(getattr(layer, "groups", 1))
            if weight is not None and not not_compared(weight, groups):
                twins(weight, groups)

    for what, work in (
        (f"answers of {len(convs)} convolutions, {passes(convs)} passes", answers),
        ("weights", weights),
    ):
        found = compared(work, plain, rounds)
        yield Row(
            f"{name}, {what}",
            f"{found.ours:.2f} s",
            f"plain forward of {COUNT} images one by one, {found.theirs:.2f} s",
            found,
        )


if __name__ == "__main__":
    run(rows)
