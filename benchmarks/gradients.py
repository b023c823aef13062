"""What the gradient sections cost for one image, in passes of the network and in time.

Passes are counted in images, by hooks on the network and on its output. The time is compared with
as many plain forward and backward passes in batches of the same size, made in the same process, in
turns.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
import torchvision
from torch import nn

from benchmarks.table import Row, compared, run
from reportgen.probe import saliency
from reportgen.probe.gradient_flow import gradient_flow
from reportgen.probe.gradients import Spot
from reportgen.probe.probe import Probe

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


def passes(net: nn.Module, work: Callable[[], object]) -> tuple[int, int]:
    """Images that go forward and backward through a network while `work` runs."""
    counts = {"forward": 0, "backward": 0}

    def backward(gradient: torch.Tensor) -> None:
        counts["backward"] += len(gradient)

    def forward(_net: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        counts["forward"] += len(output)
        if output.requires_grad:
            output.register_hook(backward)

    hook = net.register_forward_hook(forward)
    try:
        work()
    finally:
        hook.remove()
    return counts["forward"], counts["backward"]


def plain(net: nn.Module, image: torch.Tensor, batch: int) -> None:
    """One forward and one backward pass of a batch, as anybody would write them."""
    leaf = image.expand(batch, *image.shape).clone().requires_grad_()
    torch.autograd.grad(net(leaf)[:, INDEX].sum(), leaf)


def rows(quick: bool) -> Iterator[Row | str]:
    """One row for each network and method."""
    image = torch.randn(3, 224, 224, generator=torch.Generator().manual_seed(0))
    for name in ("squeezenet1_1",) if quick else ("squeezenet1_1", "resnet18"):
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)().eval()
        probe = Probe(net, "cpu")
        for title, engine in ENGINES.items():
            yield compare(name, title, engine, net, probe, image, 2 if quick else 5)


def compare(
    name: str,
    title: str,
    engine: Engine,
    net: nn.Module,
    probe: Probe,
    image: torch.Tensor,
    rounds: int,
) -> Row:
    """A method against as many plain forward and backward passes as it makes backward passes."""
    forward, backward = passes(net, lambda: engine(probe, image))
    batch = min(backward, probe.batch_size)
    found = compared(lambda: engine(probe, image), lambda: plain(net, image, batch), rounds)
    found = found.scaled(theirs=backward / batch)
    return Row(
        f"{name}, {title}",
        f"{1000 * found.ours:.0f} ms, {forward} forward and {backward} backward",
        f"{backward} plain passes both ways, {1000 * found.theirs:.0f} ms",
        found,
    )


if __name__ == "__main__":
    run(rows)
