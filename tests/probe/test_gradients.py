import hashlib
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ModelError, ResourceError
from reportgen.probe.evidence import CallKey
from reportgen.probe.gradients import Spot
from reportgen.probe.probe import Probe
from tests.probe.nets import Functional, Residual, photos, seeded

IMAGE = photos(1)[0]
CLASSES = (2, 0)


def slopes_of(net: nn.Module, *names: str, side: str = "output", image: torch.Tensor = IMAGE):
    keys = {}
    for name in names:
        path, _, call = name.partition("#")
        keys[name] = Spot(CallKey(path, int(call or 1)), side)
    found = Probe(net, "cpu").slopes(image, list(keys.values()), CLASSES)
    return {name: found[spot] for name, spot in keys.items() if spot in found}


def literal_gradients(net: Residual, image: torch.Tensor, name: str, index: int) -> torch.Tensor:
    """Central differences of one score with respect to the output of a plain module."""
    module = dict(net.named_modules())[name]
    kept: list[torch.Tensor] = []
    handle = module.register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    net(image[None])
    handle.remove()
    values, step = kept[0], 1e-6
    slope = torch.zeros_like(values)
    for place in torch.randperm(values.numel(), generator=torch.Generator().manual_seed(1))[:40]:
        ends = []
        for sign in (1, -1):
            moved = values.clone()
            moved.view(-1)[place] += sign * step
            handle = module.register_forward_hook(lambda _m, _i, _o, moved=moved: moved)
            ends.append(net(image[None])[0, index])
            handle.remove()
        slope.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
    return slope


@pytest.mark.parametrize("name", ["conv1", "bn1", "relu", "conv2", "last", "pool"])
def test_the_gradient_is_that_of_central_differences(name: str) -> None:
    net = seeded(Residual)
    found = slopes_of(net, name)[name]
    for place, index in enumerate(CLASSES):
        with torch.no_grad():
            expected = literal_gradients(net, IMAGE, name, index)
        # Equal zeros under a max pooling have no slope of their own.
        some = (expected != 0) & (found.values != 0)
        assert some.any()
        torch.testing.assert_close(
            found.gradients[place].double()[some], expected[some], atol=1e-5, rtol=1e-5
        )


def twins() -> dict[str, tuple[nn.Module, dict[str, str]]]:
    """Networks that compute the same, and how each names the calls of the plain one."""
    plain = seeded(Residual)
    result = {}
    for title, build, names in (
        ("in place", lambda: Residual(is_inplace=True), {}),
        ("reused", lambda: Residual(is_reused=True), {"last": "relu#2"}),
        ("both", lambda: Residual(is_inplace=True, is_reused=True), {"last": "relu#2"}),
        ("function", Functional, {"relu": "F.relu", "last": "F.relu#2", "pool": "F.max_pool2d"}),
        (
            "function in place",
            lambda: Functional(F.relu_),
            {"relu": "F.relu", "last": "F.relu#2", "pool": "F.max_pool2d"},
        ),
    ):
        net = seeded(build)
        net.load_state_dict(plain.state_dict())
        result[title] = (net, names)
    return result


@pytest.mark.parametrize("title", twins())
def test_networks_that_compute_the_same_have_the_same_slopes(title: str) -> None:
    plain = seeded(Residual)
    net, names = twins()[title]
    wanted = ("conv1", "bn1", "relu", "conv2", "last", "pool")
    expected = slopes_of(plain, *wanted)
    found = slopes_of(net, *(names.get(name, name) for name in wanted))
    for name in wanted:
        one, other = expected[name], found[names.get(name, name)]
        torch.testing.assert_close(other.values, one.values, rtol=0, atol=0)
        for slope, twin in zip(one.gradients, other.gradients, strict=True):
            torch.testing.assert_close(twin, slope, rtol=0, atol=0)


class Discarding(nn.Module):
    """Calls an in-place ReLU and goes on with its argument, through a view besides."""

    def __init__(self, is_plain: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(not is_plain)
        self.is_plain = is_plain
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if self.is_plain:
            x = self.relu(x * 2)
        else:
            x.flatten(2).mul_(2)
            self.relu(x)
        return self.fc(x.square().mean((2, 3)))


def test_what_is_overwritten_through_a_view_keeps_its_own_gradient() -> None:
    plain, odd = (seeded(lambda kind=kind: Discarding(kind)) for kind in (True, False))
    one, other = slopes_of(plain, "conv", "relu"), slopes_of(odd, "conv", "relu")
    for name in ("conv", "relu"):
        torch.testing.assert_close(other[name].values, one[name].values, rtol=0, atol=0)
        torch.testing.assert_close(other[name].gradients, one[name].gradients, rtol=0, atol=0)
    assert one["conv"].gradients[0].abs().sum() > 0


def test_the_input_of_a_call_is_the_sum_that_it_reads() -> None:
    net = seeded(Residual)
    read = slopes_of(net, "last", side="input")["last"]
    given = slopes_of(net, "bn2", "relu")
    expected = given["bn2"].values + given["relu"].values
    torch.testing.assert_close(read.values, expected)
    # The sum feeds nothing but the last ReLU, and the branch nothing but the sum.
    torch.testing.assert_close(read.gradients, given["bn2"].gradients)


def state_of(net: nn.Module) -> tuple[object, ...]:
    weights = b"".join(v.detach().numpy().tobytes() for v in net.state_dict().values())
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())
    grads = [(p.requires_grad, p.grad is None) for p in net.parameters()]
    modes = [m.training for m in net.modules()]
    return hashlib.sha256(weights).hexdigest(), hooks, grads, modes, torch.is_grad_enabled()


def test_the_network_is_given_back_as_found() -> None:
    net = seeded(Residual)
    net.bn2.train()
    net.conv1.weight.requires_grad_(False)
    before = state_of(net)
    random = torch.get_rng_state()
    slopes_of(net, "conv1", "last")
    assert state_of(net) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_frozen_network_has_the_same_slopes() -> None:
    expected = slopes_of(seeded(Residual), "last")["last"]
    frozen = seeded(Residual).requires_grad_(False)
    found = slopes_of(frozen, "last")["last"]
    torch.testing.assert_close(found.gradients, expected.gradients, rtol=0, atol=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_does_not_matter_that_the_caller_has_no_gradients(mode: Callable[[], object]) -> None:
    expected = slopes_of(seeded(Residual), "last")["last"]
    net = seeded(Residual)
    with mode():
        found = slopes_of(net, "last", image=IMAGE.clone())["last"]
    torch.testing.assert_close(found.gradients, expected.gradients, rtol=0, atol=0)
    assert not found.values.is_inference()


def test_one_forward_pass_and_one_backward_pass_a_class() -> None:
    net = seeded(Residual)
    counts = {"forward": 0, "backward": 0}
    original = net.forward

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(_context: object, x: torch.Tensor) -> torch.Tensor:
            counts["forward"] += 1
            return x.clone()

        @staticmethod
        def backward(_context: object, gradient: torch.Tensor) -> torch.Tensor:
            counts["backward"] += 1
            return gradient

    net.forward = lambda x: original(Counted.apply(x))
    assert len(slopes_of(net, "conv1", "bn1", "relu", "conv2", "last")) == 5
    assert counts == {"forward": 1, "backward": len(CLASSES)}


def test_where_the_score_does_not_look_the_gradient_is_zero() -> None:
    class Sided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.unused(x)
            return self.used(x).mean((2, 3))

    found = slopes_of(seeded(Sided), "used", "unused", "absent")
    assert set(found) == {"used", "unused"}
    assert found["unused"].values.abs().sum() > 0
    assert [float(slope.abs().sum()) for slope in found["unused"].gradients] == [0.0, 0.0]
    assert found["used"].gradients[0].abs().sum() > 0


class WithoutGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3))


class Overwriting(nn.Module):
    """Overwrites what the backward pass would need."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).sigmoid()
        return x.mul_(2).mean((2, 3))


@pytest.mark.parametrize(
    ("build", "why"),
    [(WithoutGradient, "do not depend on the image by autograd"), (Overwriting, "inplace")],
)
def test_a_network_without_a_gradient_says_so(build: Callable[[], nn.Module], why: str) -> None:
    net = seeded(build)
    before = state_of(net)
    with pytest.raises(ModelError, match=rf"No gradient can be taken .*{why}"):
        slopes_of(net, "conv")
    assert state_of(net) == before


def test_an_image_that_does_not_fit_is_a_lack_of_resources() -> None:
    net = seeded(Residual)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    net.pool.register_full_backward_pre_hook(full)
    with pytest.raises(ResourceError, match="3 x 20 x 29 image"):
        slopes_of(net, "conv1")
