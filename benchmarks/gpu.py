"""What a GPU makes of it: the pass over images, occlusion, and whether its report is the CPU's.

    python -m benchmarks.gpu [--quick]

One call measures all on the first GPU, beside plain PyTorch and Captum on the same one, and prints
one table. Without a GPU it prints that nothing was run. Both sides of a ratio take turns in one
process, and each is waited for until the device is done.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from benchmarks.table import Row, compared, run
from reportgen.errors import OptionError
from reportgen.load.model import load_model
from reportgen.options import Options, Precision
from reportgen.pipeline import build
from reportgen.probe.occlusion.engine import hidden_scores
from reportgen.probe.occlusion.places import positions, with_hidden
from reportgen.probe.precision import at_precision
from reportgen.probe.probe import Probe
from reportgen.progress import Progress

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "sample_models" / "squeezenet1_1.pth"
PHOTOS = ROOT / "sample_models" / "photos"
BAR = 1 / 0.75
PER_EVAL = (16, 64, 256)
"Captum's `perturbations_per_eval` that are tried."


@dataclass(frozen=True)
class Plan:
    """What is measured, and how much of it."""

    networks: Sequence[Callable[[], nn.Module]]
    side: int = 224
    batch: int = 256
    images: int = 4096
    window: int = 32
    stride: int = 8
    rounds: int = 5


def rows(quick: bool) -> Iterator[Row | str]:
    """All of it on the first GPU; one sentence without one."""
    if not torch.cuda.is_available():
        yield "not run: this machine has no GPU that PyTorch can use."
        return
    from torchvision.models import resnet50, squeezenet1_1, vgg16, vit_b_16

    makers = (squeezenet1_1, resnet50) if quick else (squeezenet1_1, resnet50, vgg16, vit_b_16)
    plan = Plan(makers, images=512 if quick else 4096, rounds=2 if quick else 5)
    yield f"Device: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}."
    yield from measured("cuda", plan)


def measured(device: str, plan: Plan) -> Iterator[Row | str]:
    """The rows of a device: statistics in every precision it has, occlusion, agreement."""
    for make in plan.networks:
        net = make().eval().to(device)
        for precision in get_args(Precision):
            try:
                probe = Probe(net, device, plan.batch, precision)
            except OptionError as refused:
                yield f"{_name(make)}, {precision}: not run. {refused}"
                continue
            yield statistics(probe, _name(make), plan)
        yield from occlusion(Probe(net, device, plan.batch), _name(make), plan)
    yield agreement(device)


def statistics(probe: Probe, name: str, plan: Plan) -> Row:
    """What the pass over all images takes, in units of plain forward passes."""
    images = _noise(plan.batch, plan.side)

    def batches(size: int, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        for first in range(start, stop or plan.images, size):
            yield images[: min(size, plan.images - first)]

    def plainly() -> None:
        for batch in batches(plan.batch):
            with probe.lent(batch) as (module, moved), at_precision(probe.precision, probe.device):
                module(moved)
        _wait(probe.device)

    def ours() -> None:
        probe.collect(batches, plan.images, ())
        _wait(probe.device)

    ratio = compared(ours, plainly, plan.rounds)
    return Row(
        f"{name}, {probe.precision}, {plan.images:,} images in batches of {plan.batch}",
        f"statistics of every layer, {plan.images / ratio.ours:,.0f} images a second",
        f"plain forward, {plan.images / ratio.theirs:,.0f} images a second",
        ratio,
        at_most=BAR,
    )


def occlusion(probe: Probe, name: str, plan: Plan) -> Iterator[Row]:
    """Positions a second: the exact engine, the plain batched loop, and Captum."""
    image = _noise(1, plan.side)[0]
    filling, window = torch.zeros_like(image), (plan.window, plan.window)
    steps = positions(plan.side, plan.window, plan.stride)
    places = [(row, column) for row in steps for column in steps]

    def ours() -> None:
        hidden_scores(probe, image, filling, window, places, 0)
        _wait(probe.device)

    def plainly() -> None:
        for start in range(0, len(places), plan.batch):
            part = places[start : start + plan.batch]
            with probe.lent(with_hidden(image, filling, window, part)) as (module, moved):
                module(moved)
        _wait(probe.device)

    captum = _captum(probe, image, plan)
    for against, work in (("plain batched loop", plainly), ("Captum", captum)):
        ratio = compared(ours, work, plan.rounds)
        yield Row(
            f"{name}, occlusion at {len(places)} positions",
            f"exact, {len(places) / ratio.ours:,.0f} positions a second",
            f"{against}, {len(places) / ratio.theirs:,.0f} positions a second",
            ratio.faster,
        )


def _captum(probe: Probe, image: torch.Tensor, plan: Plan) -> Callable[[], None]:
    """Captum's occlusion of the same places, at the best number of them at a time."""
    from captum.attr import Occlusion

    from benchmarks.table import seconds

    def work(per_eval: int) -> None:
        with probe.lent(image[None]) as (module, moved):
            Occlusion(module).attribute(
                moved,
                sliding_window_shapes=(3, plan.window, plan.window),
                strides=(3, plan.stride, plan.stride),
                target=0,
                perturbations_per_eval=per_eval,
            )
        _wait(probe.device)

    work(PER_EVAL[0])
    best = min(PER_EVAL, key=lambda count: seconds(lambda: work(count)))
    return lambda: work(best)


def agreement(device: str, model: Path = MODEL, photos: Path = PHOTOS, **more: Any) -> str:
    """How the report of a device differs from the CPU's, in one sentence."""
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for number, where in enumerate(("cpu", device)):
            asked = Options(model, (photos,), Path(folder) / str(number), device=where, **more)
            build(replace(asked, visualise=0), Progress(quiet=True), command="")
            records.append(json.loads((asked.output / "report.json").read_text()))
    architecture = load_model(model, arch=more.get("arch", "")).architecture
    return f"Report of {architecture} on cpu and on {device}: {Apart.of(*records)}."


@dataclass
class Apart:
    """How far two records of a report are from each other."""

    equal: int = 0
    "Values other than numbers with a fraction, and counts, that are the same."
    other: int = 0
    "Those that are not."
    numbers: int = 0
    "Numbers with a fraction."
    largest: float = 0.0
    "Largest difference of these, as a share of the larger one."
    median: float = 0.0

    @staticmethod
    def of(one: Any, other: Any) -> "Apart":
        """Compares two records entry by entry; what is of the run itself is left out."""
        found, shares = Apart(), list[float]()
        for record in (one, other):
            record.pop("provenance", None)
        found._compare(one, other, shares)
        found.numbers, found.largest = len(shares), max(shares, default=0.0)
        found.median = sorted(shares)[len(shares) // 2] if shares else 0.0
        return found

    def _compare(self, one: Any, other: Any, shares: list[float]) -> None:
        if isinstance(one, dict) and isinstance(other, dict):
            for key in one.keys() | other.keys():
                self._compare(one.get(key), other.get(key), shares)
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            for pair in zip(one, other, strict=True):
                self._compare(*pair, shares)
        elif isinstance(one, float) and isinstance(other, float):
            size = max(abs(one), abs(other))
            shares.append(abs(one - other) / size if size and math.isfinite(size) else 0.0)
        elif one == other:
            self.equal += 1
        else:
            self.other += 1

    def __str__(self) -> str:
        return (
            f"of {self.equal + self.other:,} counts, names and texts {self.other:,} differ; of "
            f"{self.numbers:,} numbers with a fraction the largest relative difference is "
            f"{self.largest:.1e}, the median {self.median:.1e}"
        )


def _noise(count: int, side: int) -> torch.Tensor:
    """Normalised images (count 3 side side) in which neighbours are alike, as in photos."""
    images = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))
    return nn.functional.avg_pool2d(images, 9, 1, 4) * 9


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(make: Callable[[], nn.Module]) -> str:
    return str(getattr(make, "__name__", "network"))


if __name__ == "__main__":
    run(rows)
