"""Gradients of the image against Captum, against literal loops, and on networks known by hand."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, IntegratedGradients, Saliency
from torch import nn

from reportgen.errors import ModelError, ResourceError
from reportgen.probe.probe import Probe
from reportgen.probe.saliency import (
    Integrated,
    guided,
    integrated_gradients,
    noise_sigma,
    smooth_grad,
    vanilla,
)
from tests.probe.nets import Functional, Residual, photos, seeded
from tests.probe.test_gradients import Overwriting, WithoutGradient, state_of

IMAGE = photos(1)[0]
CLASS = 2


def assert_close(found: torch.Tensor, expected: torch.Tensor, share: float = 1e-5) -> None:
    """Equal within a share of the expected range, and (c h w) float32."""
    assert found.shape == IMAGE.shape and found.dtype == torch.float32
    spread = float(expected.max() - expected.min())
    assert spread > 0
    torch.testing.assert_close(
        found.double(), expected.detach().double(), rtol=0, atol=share * spread
    )


def plain_gradient(net: nn.Module, image: torch.Tensor, index: int = CLASS) -> torch.Tensor:
    leaf = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(leaf[None])[0, index], leaf)
    return gradient


def test_the_gradient_is_that_of_captum_and_of_central_differences() -> None:
    net = seeded(Residual)
    found = vanilla(Probe(net, "cpu"), IMAGE, CLASS)
    expected = Saliency(net).attribute(IMAGE[None].clone(), target=CLASS, abs=False)[0]
    assert_close(found, expected)
    step = 1e-6
    with torch.no_grad():
        for place in ((0, 0, 0), (1, 7, 20), (2, 19, 28), (0, 10, 3)):
            moved = IMAGE.clone().repeat(2, 1, 1, 1)
            moved[:, *place] += torch.tensor([step, -step])
            high, low = net(moved)[:, CLASS]
            assert float(found[place]) == pytest.approx(float(high - low) / (2 * step), rel=1e-4)


def test_guided_backpropagation_is_that_of_captum() -> None:
    net = seeded(Residual)
    expected = GuidedBackprop(net).attribute(IMAGE[None].clone(), target=CLASS)[0]
    assert_close(guided(Probe(net, "cpu"), IMAGE, CLASS), expected)


@pytest.mark.parametrize("steps", [1, 5, 32])
def test_integrated_gradients_are_those_of_captum(steps: int) -> None:
    net = seeded(Residual)
    found = integrated_gradients(Probe(net, "cpu", 4), IMAGE, CLASS, steps)
    expected, gap = IntegratedGradients(net).attribute(
        IMAGE[None].clone(), target=CLASS, n_steps=steps, method="gausslegendre",
        return_convergence_delta=True,
    )  # fmt: skip
    assert_close(found.attributions, expected[0])
    assert found.gap == pytest.approx(float(gap), abs=1e-4)
    with torch.no_grad():
        image, baseline = net(torch.stack([IMAGE, torch.zeros_like(IMAGE)]))[:, CLASS].tolist()
    assert (found.score, found.baseline_score) == pytest.approx((image, baseline), rel=1e-5)


def test_more_steps_close_the_completeness_gap() -> None:
    probe = Probe(seeded(Residual), "cpu")
    gaps = [abs(integrated_gradients(probe, IMAGE, CLASS, n).gap) for n in (1, 256)]
    few, many = (integrated_gradients(probe, IMAGE, CLASS, n) for n in (1, 256))
    assert gaps[1] < 0.1 * gaps[0]
    assert few.relative_gap > many.relative_gap > 0


def test_the_gap_by_hand() -> None:
    made = Integrated(torch.tensor([[[1.0, 2.0], [0.0, -0.5]]]), score=4.0, baseline_score=2.0)
    assert (made.total, made.gap, made.relative_gap) == (2.5, 0.5, 0.25)
    same = Integrated(torch.zeros(1, 2, 2), score=4.0, baseline_score=4.0)
    assert (same.gap, same.relative_gap) == (0.0, None)
    less = Integrated(torch.ones(1, 1, 1), score=1.0, baseline_score=5.0)
    assert (less.gap, less.relative_gap) == (5.0, 1.25)


def test_a_linear_network_is_known_by_hand() -> None:
    net = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 29, 4)))
    weights = net[1].weight[CLASS].detach().view(3, 20, 29)
    probe = Probe(net, "cpu", 5)
    assert_close(vanilla(probe, IMAGE, CLASS), weights, 1e-7)
    assert_close(smooth_grad(probe, IMAGE, CLASS, seed=1), weights, 1e-7)
    found = integrated_gradients(probe, IMAGE, CLASS)
    assert_close(found.attributions, weights * IMAGE, 1e-6)
    assert found.gap == pytest.approx(0, abs=1e-5)
    assert found.baseline_score == pytest.approx(float(net[1].bias[CLASS].detach()), rel=1e-6)


def test_smoothgrad_is_the_mean_over_the_same_noise() -> None:
    net = seeded(Residual)
    found = smooth_grad(Probe(net, "cpu", 3), IMAGE, CLASS, seed=7, samples=8, noise=0.2)
    generator = torch.Generator().manual_seed(7)
    sigma = 0.2 * float(IMAGE.max() - IMAGE.min())
    assert noise_sigma(IMAGE, 0.2) == pytest.approx(sigma)
    total = torch.zeros_like(IMAGE)
    for _ in range(8):
        copy = IMAGE + sigma * torch.randn(IMAGE.shape, generator=generator)
        total += plain_gradient(net, copy) / 8
    assert_close(found, total)
    other = smooth_grad(Probe(net, "cpu", 3), IMAGE, CLASS, seed=8, samples=8, noise=0.2)
    assert not torch.allclose(found, other)
    assert not torch.allclose(found, plain_gradient(net, IMAGE).float())


def test_the_noise_is_the_same_each_time_and_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    one, other = (smooth_grad(Probe(seeded(Residual), "cpu"), IMAGE, 0, 3) for _ in range(2))
    assert torch.equal(one, other) and torch.equal(torch.get_rng_state(), before)


ENGINES: dict[str, Callable[[Probe, torch.Tensor, int], torch.Tensor]] = {
    "vanilla": vanilla,
    "smooth_grad": lambda probe, image, index: smooth_grad(probe, image, index, 0),
    "integrated_gradients": lambda probe, image, index: (
        integrated_gradients(probe, image, index).attributions
    ),
    "guided": guided,
}
TWINS = {
    "in place": lambda: Residual(is_inplace=True),
    "reused": lambda: Residual(is_reused=True),
    "both": lambda: Residual(is_inplace=True, is_reused=True),
    "function": Functional,
    "function in place": lambda: Functional(F.relu_),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("twin", TWINS)
def test_networks_that_compute_the_same_have_the_same_maps(twin: str, engine: str) -> None:
    plain, net = seeded(Residual), seeded(TWINS[twin])
    net.load_state_dict(plain.state_dict())
    found, expected = (ENGINES[engine](Probe(n, "cpu"), IMAGE, CLASS) for n in (net, plain))
    assert expected.any() and torch.equal(found, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_in_any_state_has_the_same_maps_and_is_given_back(engine: str) -> None:
    expected = ENGINES[engine](Probe(seeded(Residual), "cpu"), IMAGE, CLASS)
    net = seeded(Residual).requires_grad_(False)
    net.conv2.weight.requires_grad_(True)
    net.bn2.train()
    net.fc.train()
    before = state_of(net)
    with torch.inference_mode():
        found = ENGINES[engine](Probe(net, "cpu", 4), IMAGE.clone(), CLASS)
    assert state_of(net) == before
    assert_close(found, expected, 1e-6)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("engine", ENGINES)
def test_two_outputs_and_an_overwritten_input_are_all_right(engine: str) -> None:
    class Odd(Residual):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            # As a network that normalises for itself does.
            x.mul_(1.0)
            scores = super().forward(x)
            return scores, scores.softmax(1)

    expected = ENGINES[engine](Probe(seeded(Residual), "cpu"), IMAGE, CLASS)
    image = IMAGE.clone()
    assert torch.equal(ENGINES[engine](Probe(seeded(Odd), "cpu"), image, CLASS), expected)
    assert torch.equal(image, IMAGE)


@pytest.mark.parametrize("engine", ENGINES)
def test_half_precision_is_close_to_the_whole(engine: str) -> None:
    expected = ENGINES[engine](Probe(seeded(Residual).float(), "cpu"), IMAGE.float(), CLASS)
    found = ENGINES[engine](Probe(seeded(Residual).half(), "cpu"), IMAGE.float(), CLASS)
    assert found.dtype == torch.float32
    likeness = torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1]
    assert float(likeness) > 0.95


def counted(net: nn.Module) -> dict[str, int]:
    """Counts the images of forward and of backward passes from now on."""
    counts = {"forward": 0, "backward": 0}
    original = net.forward

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(_context: object, x: torch.Tensor) -> torch.Tensor:
            counts["forward"] += len(x)
            return x.clone()

        @staticmethod
        def backward(_context: object, gradient: torch.Tensor) -> torch.Tensor:
            counts["backward"] += len(gradient)
            return gradient

    net.forward = lambda x: original(Counted.apply(x))
    return counts


@pytest.mark.parametrize(
    ("engine", "forward", "backward"),
    [
        ("vanilla", 1, 1),
        ("guided", 1, 1),
        ("smooth_grad", 16, 16),
        ("integrated_gradients", 34, 32),
    ],
)
def test_passes(engine: str, forward: int, backward: int) -> None:
    net = seeded(Residual)
    counts = counted(net)
    probe = Probe(net, "cpu", 5)
    # A network's first scores are compared in two orders of axes, once.
    probe.logits(IMAGE[None])
    counts.update(forward=0, backward=0)
    ENGINES[engine](probe, IMAGE, CLASS)
    assert counts == {"forward": forward, "backward": backward}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_batch_is_halved_until_it_fits(engine: str) -> None:
    class Small(Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 3:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(x)

    probe = Probe(seeded(Small), "cpu", 16)
    found = ENGINES[engine](probe, IMAGE, CLASS)
    expected = ENGINES[engine](Probe(seeded(Residual), "cpu", 16), IMAGE, CLASS)
    assert_close(found, expected, 1e-6)
    assert probe.batch_size == (16 if engine in ("vanilla", "guided") else 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_that_does_not_fit_alone_is_a_lack_of_resources(engine: str) -> None:
    class Full(Residual):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(ResourceError, match="3 x 20 x 29 image"):
        ENGINES[engine](Probe(seeded(Full), "cpu"), IMAGE, CLASS)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("build", "why"),
    [(WithoutGradient, "do not depend on the image by autograd"), (Overwriting, "inplace")],
)
def test_a_network_without_a_gradient_says_so(
    build: Callable[[], nn.Module], why: str, engine: str
) -> None:
    net = seeded(build)
    before = state_of(net)
    with pytest.raises(ModelError, match=rf"No gradient can be taken .*{why}"):
        ENGINES[engine](Probe(net, "cpu"), IMAGE, CLASS)
    assert state_of(net) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_score_that_does_not_look_at_the_image_has_a_gradient_of_zero(engine: str) -> None:
    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bias.expand(len(x), 3)

    for net in (seeded(Blind), seeded(Blind).half()):
        found = ENGINES[engine](Probe(net, "cpu"), IMAGE, CLASS)
        assert found.shape == IMAGE.shape and found.dtype == torch.float32 and not found.any()
