"""What the gradient sections cost for one image, in passes of the network and in time.

Run with `python benchmarks/gradients.py`. Passes are counted in images, by hooks on the network and
on its output. The time is compared with as many plain forward and backward passes in batches of the
same size, made in the same process, in turn; the median of several rounds.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import torch
import torchvision
from torch import nn

from reportgen.probe import saliency
from reportgen.probe.gradient_flow import gradient_flow
from reportgen.probe.gradients import Spot
from reportgen.probe.probe import Probe

ROUNDS = 5
INDEX = 3

Engine = Callable[[Probe, torch.Tensor], object]


def class_maps(probe: Probe, image: torch.Tensor) -> object:
    """What class activation maps take: slopes of two classes at a layer of each map size."""
    calls = {call.grid: call.key for call in probe.trace(image).calls if call.grid is not None}
    return probe.slopes(image, [Spot(key) for key in calls.values()], [INDEX, INDEX + 1])


ENGINES: Mapping[str, Engine] = {
    "class activation maps, traced": class_maps,
    "gradient at every layer": lambda probe, image: gradient_flow(probe, image, INDEX),
    "gradient": lambda probe, image: saliency.vanilla(probe, image, INDEX),
    "guided backpropagation": lambda probe, image: saliency.guided(probe, image, INDEX),
    f"SmoothGrad, {saliency.SAMPLES} copies": lambda probe, image: saliency.smooth_grad(
        probe, image, INDEX, seed=0
    ),
    f"integrated gradients, {saliency.STEPS} steps": lambda probe, image: (
        saliency.integrated_gradients(probe, image, INDEX)
    ),
}


def passes(net: nn.Module, run: Callable[[], object]) -> tuple[int, int]:
    """Images that go forward and backward through a network while `run` runs."""
    counts = {"forward": 0, "backward": 0}

    def backward(gradient: torch.Tensor) -> None:
        counts["backward"] += len(gradient)

    def forward(_net: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        counts["forward"] += len(output)
        if output.requires_grad:
            output.register_hook(backward)

    hook = net.register_forward_hook(forward)
    try:
        run()
    finally:
        hook.remove()
    return counts["forward"], counts["backward"]


def plain(net: nn.Module, image: torch.Tensor, batch: int) -> None:
    """One forward and one backward pass of a batch, as anybody would write them."""
    leaf = image.expand(batch, *image.shape).clone().requires_grad_()
    torch.autograd.grad(net(leaf)[:, INDEX].sum(), leaf)


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(net: nn.Module, probe: Probe, engine: Engine, image: torch.Tensor) -> tuple[str, float]:
    """Passes of a method, its time and that of as many plain ones; its time in single passes."""
    forward, backward = passes(net, lambda: engine(probe, image))
    batch = min(backward, probe.batch_size)
    own, other, single = [], [], []
    for _ in range(ROUNDS):
        own.append(seconds(lambda: engine(probe, image)))
        other.append(seconds(lambda: plain(net, image, batch)) * backward / batch)
        single.append(seconds(lambda: plain(net, image, 1)))
    mine, theirs = statistics.median(own), statistics.median(other)
    return (
        f"{forward:3} forward {backward:3} backward  "
        f"{1000 * mine:6.0f} ms, plain {1000 * theirs:6.0f} ms, {mine / theirs:.2f} x"
    ), mine / statistics.median(single)


def main() -> None:
    """Prints one line for each network and method."""
    image = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(0))
    print(f"{torch.get_num_threads()} threads, 224 x 224, median of {ROUNDS} rounds")
    for name in ("squeezenet1_1", "resnet18"):
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)().eval()
        probe = Probe(net, "cpu")
        worth = {}
        for title, engine in ENGINES.items():
            said, worth[title] = compare(net, probe, engine, image)
            print(f"{name:14} {title:32} {said}")
        sampled = [title for title in worth if "SmoothGrad" in title or "integrated" in title]
        few = sum(passes for title, passes in worth.items() if title not in sampled)
        many = sum(worth[title] for title in sampled)
        print(f"{name:14} together {few:.1f} forward+backward passes, and {many:.1f} for samples")


if __name__ == "__main__":
    main()
