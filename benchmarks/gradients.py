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
from reportgen.probe.probe import Probe

ROUNDS = 5
INDEX = 3

Engine = Callable[[Probe, torch.Tensor], object]
ENGINES: Mapping[str, Engine] = {
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


def compare(net: nn.Module, probe: Probe, engine: Engine, image: torch.Tensor) -> str:
    """Passes of a method, its time, and that of as many plain passes."""
    forward, backward = passes(net, lambda: engine(probe, image))
    batch = min(backward, probe.batch_size)
    own, other = [], []
    for _ in range(ROUNDS):
        own.append(seconds(lambda: engine(probe, image)))
        other.append(seconds(lambda: plain(net, image, batch)) * backward / batch)
    mine, theirs = statistics.median(own), statistics.median(other)
    return (
        f"{forward:3} forward {backward:3} backward  "
        f"{1000 * mine:6.0f} ms, plain {1000 * theirs:6.0f} ms, {mine / theirs:.2f} x"
    )


def main() -> None:
    """Prints one line for each network and method."""
    image = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(0))
    print(f"{torch.get_num_threads()} threads, 224 x 224, median of {ROUNDS} rounds")
    for name in ("squeezenet1_1", "resnet18"):
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)().eval()
        probe = Probe(net, "cpu")
        for title, engine in ENGINES.items():
            print(f"{name:14} {title:32} {compare(net, probe, engine, image)}")


if __name__ == "__main__":
    main()
