"""What occlusion costs: the engines against the network in full, and against what people use.

    python -m benchmarks.occlusion [--models vgg16 resnet50] [--rounds 5] [--check]

Everything is per position, on 224 x 224 pixels. Freed memory is kept for all alike, as the command
keeps it (`reportgen.allocator`). `--check` leaves with 1 where a bar is missed.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.occluding_peers import best_per_eval, captum, looped
from benchmarks.shares import Shares, shares_of
from benchmarks.table import Row, Rows, ratio_of, run, seconds

EFFECT = 4.0
"The largest change of a score, in nats, that the maps are stretched to: random weights see little."
LOOPED = 8
"Positions of the tutorial's loop."
QUICK = ("alexnet", "resnet18", "mobilenet_v3_large")

NOTES = """\
*Plain* is our own at its best: 16 positions at a time, norms folded into convolutions, channels
last. It, Captum's `Occlusion` (the fastest of `perturbations_per_eval` 1, 4, 8, 16 and 49, in
brackets) and the tutorial's loop (one forward a position) are timed on some positions of the grid,
for what a position costs does not depend on the others; exact and fast on the whole grid, with
all that they prepare for an image. *MACs* is how many times fewer multiplications exact makes.
Weights are random, batch norms calibrated; probabilities are of scores stretched to an effect of 4
nats, and a clean probability of one half. The error of exact is against the network itself, on the
positions that plain is timed on, that of fast against exact on the whole grid. *With its check* is
what `--occlusion-engine fast` costs: 16 positions are made exactly as well. *Where the time goes*
is one run under PyTorch's profiler, and says why a bar is missed. Exact convolves about as quickly
as plain, a window at a time; what keeps it below the multiplications that it saves is what it does
beside them, cutting windows out and putting them back (copying, outside of PyTorch), most where
convolutions are small or their outputs are put together. Fast convolves in bfloat16, of which a
processor without matrix units for it (AMX) makes half as many again to twice as many as of
float32, not the four to ten times that its bars were set at. The loop and Captum run at batch sizes
that some processors like better than others."""


@dataclass(frozen=True)
class Case:
    """A network, a window that slides over an image, and what is to be reached."""

    model: str
    exact: float | None = None
    "Times less than plain; None for the multiplications saved, less 15 %."
    fast: float | None = None
    captum: float | None = None
    "Times that exact takes less than Captum."
    loop: float | None = None
    window: int = 32
    stride: int = 16
    has_peers: bool = True


CASES = (
    Case("vgg16", 4.8, 10, 5, 6),
    Case("vgg16", 5.8, 12, window=16, has_peers=False),
    Case("resnet18", 2.1, 4, loop=4.5),
    Case("resnet50", 2, 4, 2.6, 3.8),
    Case("alexnet", 2, 4),
    Case("mobilenet_v3_large", 1.4),
    Case("squeezenet1_1"),
    Case("densenet121"),
    Case("mobilenet_v2"),
    Case("efficientnet_b0", 1),
    Case("convnext_tiny", 1, stride=32),
)


def rows(
    quick: bool, models: tuple[str, ...] = (), rounds: int = 5, missed: list[Row] | None = None
) -> Iterator[Row | str]:
    """Four rows a network: exact and fast against plain, exact against Captum and the loop."""
    from reportgen.allocator import keep_freed_memory

    keep_freed_memory()
    chosen = models or (QUICK if quick else ())
    for case in CASES:
        if not chosen or case.model in chosen:
            for row in measured(case, min(rounds, 2) if quick else rounds):
                if missed is not None and isinstance(row, Row) and row.met is False:
                    missed.append(row)
                yield row
    yield NOTES


def measured(case: Case, rounds: int) -> Iterator[Row | str]:
    """The rows of one network, and where the time goes."""
    import torch

    from reportgen.probe.occlusion.delta import delta_scores
    from reportgen.probe.occlusion.engine import SAMPLE, sampled
    from reportgen.probe.occlusion.exact import exact_scores
    from reportgen.probe.occlusion.places import positions, with_hidden
    from reportgen.probe.occlusion.plain import plain_scores
    from reportgen.probe.occlusion.prepared import prepared
    from reportgen.probe.probe import Probe
    from reportgen.probe.ranks import rank_correlation

    image = picture(0)
    net = calibrated(case.model)
    probe = Probe(net, "cpu", 16)
    filling, window = torch.zeros_like(image), (case.window, case.window)
    steps = positions(224, case.window, case.stride)
    places = [(row, column) for row in steps for column in steps]
    graph = prepared(probe).graph
    assert graph is not None, case.model
    found: dict[str, Any] = {}

    def plain(some: Any) -> float:
        def go() -> None:
            with torch.no_grad():
                for start in range(0, len(some), 16):
                    part = some[start : start + 16]
                    graph.run(with_hidden(image, filling, window, part))

        return seconds(go) / len(some)

    clean = probe.logits(image[None])

    def engine(name: str, scores: Callable[..., Any], some: Any) -> float:
        def go() -> None:
            # The clean scores, which the drops need anyway, are there already, as in a report.
            found[name] = scores(probe, image, filling, window, some, clean=clean)

        return seconds(go) / len(places)

    # Two batches, from everywhere; one where a batch takes seconds.
    once = plain(places[:16])
    few = [places[i * len(places) // 32] for i in range(32)][:: 2 if once > 0.1 else 1]
    checked = [places[i] for i in sampled(places, torch.zeros(len(places)).numpy())]
    contenders: dict[str, Callable[[], float]] = {
        "plain": lambda: plain(few),
        "exact": lambda: engine("exact", exact_scores, places),
        "fast": lambda: engine("fast", delta_scores, places),
        "check": lambda: engine("check", exact_scores, checked),
    }
    best = 0
    if case.has_peers:
        best = best_per_eval(net, image)
        contenders["captum"] = lambda: captum(net, image, best)
        contenders["loop"] = lambda: looped(net, image, window, places[:: len(places) // LOOPED])
    times: dict[str, list[float]] = {name: [] for name in contenders}
    # Plain and the peers are warm by now.
    exact_scores(probe, image, filling, window, places[:16], clean=clean)
    delta_scores(probe, image, filling, window, places[:16], clean=clean)
    for number in range(rounds):
        for name in sorted(contenders, reverse=bool(number % 2)):
            times[name].append(contenders[name]())

    saved = multiplications_saved(probe, image, window, places)
    found["plain"] = plain_scores(probe, image, filling, window, few)
    target = int(clean.argmax())
    scale = EFFECT / float((found["exact"] - clean).abs().max())
    # Clean, the class that is explained has a probability of one half.
    wanted = torch.zeros(clean.shape[1])
    wanted[target] = math.log(clean.shape[1] - 1)
    maps = {name: (scale * (found[name] - clean) + wanted).double() for name in found}

    def quality(mine: Any, theirs: Any) -> str:
        error = float((mine.softmax(1) - theirs.softmax(1)).abs().max())
        ranks = rank_correlation(mine[:, target].numpy(), theirs[:, target].numpy())
        return f"error {error:.0e}, rank correlation {ranks:.5f}"

    at = [places.index(place) for place in few]
    said = {
        "exact": f"exact; {quality(maps['exact'][at], maps['plain'])}",
        "fast": f"fast; {quality(maps['fast'], maps['exact'])}",
    }
    times["with check"] = [a + b for a, b in zip(times["fast"], times["check"], strict=True)]
    said["with check"] = f"fast with its check on {SAMPLE} positions"
    what = f"{case.model} {case.window}/{case.stride}, MACs {saved:.3g}x"
    bar = 0.85 * saved if case.exact is None else case.exact

    def row(ours: str, theirs: str, named: str, at_least: float | None = None) -> Row:
        found = ratio_of(list(zip(times[ours], times[theirs], strict=True)))
        return Row(
            what,
            f"{1000 * found.ours:.1f} ms, {said[ours]}",
            f"{1000 * found.theirs:.1f} ms, {named}",
            found.faster,
            at_least=None if at_least is None else round(at_least, 2),
        )

    yield row("exact", "plain", "plain", bar)
    yield row("fast", "plain", "plain", case.fast)
    yield row("with check", "plain", "plain")
    if case.has_peers:
        yield row("exact", "captum", f"Captum ({best})", case.captum)
        yield row("exact", "loop", "tutorial's loop", case.loop)
    macs = probe.trace(image).macs
    sides = {
        "plain": (contenders["plain"], macs * len(few)),
        "exact": (contenders["exact"], macs / saved * len(places)),
        # Its threads convolve beside each other, and their seconds are added up.
        "fast": (contenders["fast"], macs / saved * len(places) * torch.get_num_threads()),
    }
    told = [f"{name} {_rate(shares_of(work), some)}" for name, (work, some) in sides.items()]
    yield f"{what}, where the time goes: {'; '.join(told)}."


def _rate(shares: Shares, macs: float) -> str:
    """Shares of the time, and how quick the convolutions are among themselves."""
    return f"{shares}, convolutions at {macs / shares.convolving / 1e9:.0f} GMAC/s"


def picture(seed: int) -> Any:
    """A normalised image (3 224 224), smooth and noisy in one, as photos are."""
    import torch
    import torch.nn.functional as F

    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(3, 224, 224, generator=generator) / 4
    for cells in (4, 14):
        coarse = torch.randn(1, 3, cells, cells, generator=generator)
        image += F.interpolate(coarse, (224, 224), mode="bicubic", align_corners=False)[0]
    return image


def calibrated(model: str) -> Any:
    """A network with random weights, its batch norms as after an epoch."""
    import torch
    import torchvision
    from torch import nn

    torch.manual_seed(0)
    net = torchvision.models.get_model(model, weights=None).eval()
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    if norms:
        with torch.no_grad():
            net(torch.stack([picture(seed) for seed in range(1, 9)]))
    return net.eval()


def multiplications_saved(probe: Any, image: Any, window: tuple[int, int], places: Any) -> float:
    """How many times fewer multiplications exact makes, those of linear layers counted in full."""
    from reportgen.probe.occlusion.exact import CHUNK
    from reportgen.probe.occlusion.grouping import grouped
    from reportgen.probe.occlusion.prepared import clean_run
    from reportgen.probe.occlusion.rules import macs_of, planned
    from reportgen.probe.occlusion.windows import Windows, hidden_span

    _, graph, clean = clean_run(probe, image)
    whole = probe.trace(image).macs
    in_convolutions = macs_of(graph, clean.sizes, {})
    windowed = 0.0
    for batch in grouped(places, (224, 224), window, CHUNK * probe.batch_size):
        some = [places[index] for index in batch]
        spans = (hidden_span([p[axis] for p in some], window[axis], 224) for axis in (0, 1))
        plan = planned(graph, clean.sizes, Windows(*spans))
        windowed += len(some) * macs_of(graph, clean.sizes, plan)
    return whole / (whole - in_convolutions + windowed / len(places))


def main() -> None:
    """Runs the table with the networks and rounds that are asked for."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--models", nargs="+", default=(), choices=[case.model for case in CASES])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    missed: list[Row] = []
    table: Rows = partial(rows, models=tuple(given.models), rounds=given.rounds, missed=missed)
    run(table)
    if given.check and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
