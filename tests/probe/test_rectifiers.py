"""Guided backpropagation and the deconvnet against Captum, and against plain twin networks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn

from reportgen.probe.probe import Probe
from reportgen.probe.rectifiers import BackwardRule, Rule, why_not
from tests.probe.nets import Functional, Residual, photos, seeded

RULES: tuple[Rule, ...] = ("guided", "deconvnet")
ORACLES = {"guided": GuidedBackprop, "deconvnet": Deconvolution}
IMAGES = photos(2)


def by_rule(
    net: nn.Module, rule: Rule, images: torch.Tensor = IMAGES, index: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores under a rule, and the gradient of one class's with respect to the images."""
    leaf = images.clone().requires_grad_()
    with BackwardRule(rule):
        scores = net(leaf.clone())
    (gradient,) = torch.autograd.grad(scores[:, index].sum(), leaf)
    return scores.detach(), gradient


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    spread = float(expected.max() - expected.min())
    assert spread > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * spread)


def assert_same(
    found: tuple[torch.Tensor, torch.Tensor], expected: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Scores and gradients are equal to the last bit, and there are gradients."""
    for one, other in zip(found, expected, strict=True):
        assert other.any() and torch.equal(one, other)


class Chain(nn.Module):
    """Two convolutions and a linear layer; `steps` are what follows each of them but the last."""

    def __init__(self, *steps: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 5, 3, stride=2)
        self.conv2 = nn.Conv2d(5, 6, 3, padding=1)
        self.fc1 = nn.Linear(6, 32)
        self.fc2 = nn.Linear(32, 4)
        self.steps = steps
        self.modules_used = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, third = self.steps
        x = first(self.conv1(x))
        x = second(F.max_pool2d(self.conv2(x), 3, 2))
        return self.fc2(third(self.fc1(x.mean((2, 3)))))


def chain(*steps: Any) -> nn.Module:
    return seeded(lambda: Chain(*(steps or (nn.ReLU(), nn.ReLU(), nn.ReLU()))))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("build", [chain, lambda: seeded(Residual)], ids=["chain", "residual"])
def test_the_gradient_is_that_of_captum(rule: Rule, build: Callable[[], nn.Module]) -> None:
    net = build()
    _, found = by_rule(net, rule)
    assert_close(found, ORACLES[rule](net).attribute(IMAGES, target=1).detach())
    leaf = IMAGES.clone().requires_grad_()
    (plain,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
    assert (found - plain).abs().max() > 0.05 * plain.abs().max()


def view_in_place(x: torch.Tensor) -> torch.Tensor:
    """Overwrites a tensor through views of it, and goes on with the tensor."""
    x = x.clone()
    half = x.shape[1] // 2
    x[:, :half].relu_()
    F.relu(x[:, half:], inplace=True)
    return x


def discarded(x: torch.Tensor) -> torch.Tensor:
    """Overwrites a tensor in place and drops what that gave."""
    F.relu_(x)
    return x


SPELLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "F.relu": F.relu,
    "F.relu by name": lambda x: F.relu(input=x),
    "torch.relu": torch.relu,
    "x.relu": lambda x: x.relu(),
    "x.relu_": lambda x: x.relu_(),
    "torch.relu_": torch.relu_,
    "F.relu_": F.relu_,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "F.relu in place by position": lambda x: F.relu(x, True),
    "clamp(min=0)": lambda x: x.clamp(min=0),
    "torch.clamp": lambda x: torch.clamp(x, 0),
    "clamp_": lambda x: x.clamp_(min=0),
    "clamp_min_": lambda x: x.clamp_min_(0),
    "clip": lambda x: x.clip(0),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "threshold in place": lambda x: F.threshold(x, 0, 0, True),
    "through views": view_in_place,
    "discarded": discarded,
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu_is_that_of_the_module(spelling: str, rule: Rule) -> None:
    relu = SPELLINGS[spelling]
    assert_same(by_rule(chain(relu, relu, relu), rule), by_rule(chain(), rule))


SIXES = {
    "nn.ReLU6 in place": nn.ReLU6(True),
    "F.relu6": F.relu6,
    "F.relu6 in place": lambda x: F.relu6(x, True),
    "F.hardtanh": lambda x: F.hardtanh(x, 0, 6),
    "F.hardtanh in place": lambda x: F.hardtanh(x, 0.0, 6.0, True),
    "F.hardtanh_": lambda x: F.hardtanh_(x, 0.0, 6.0),
    "clamp": lambda x: x.clamp(0, 6),
    "clamp_": lambda x: torch.clamp_(x, min=0, max=6),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("spelling", SIXES)
def test_every_spelling_of_relu6_is_that_of_the_module(spelling: str, rule: Rule) -> None:
    step = SIXES[spelling]
    # Large enough that some values reach six.
    images = 40 * IMAGES
    expected = by_rule(chain(nn.ReLU6(), nn.ReLU6(), nn.ReLU6()), rule, images)
    assert_same(by_rule(chain(step, step, step), rule, images), expected)
    unbounded, _ = by_rule(chain(), rule, images)
    assert not torch.equal(unbounded, expected[0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "build",
    [
        lambda: Residual(is_inplace=True),
        lambda: Residual(is_reused=True),
        lambda: Residual(is_inplace=True, is_reused=True),
        Functional,
        lambda: Functional(F.relu_),
        lambda: Functional(lambda x: x.clamp_(min=0)),
    ],
    ids=["in place", "reused", "both", "function", "function in place", "clamp in place"],
)
def test_twins_of_a_residual_network_agree(build: Callable[[], nn.Module], rule: Rule) -> None:
    plain = seeded(Residual)
    twin = seeded(build)
    twin.load_state_dict(plain.state_dict())
    assert_same(by_rule(twin, rule), by_rule(plain, rule))


@pytest.mark.parametrize("rule", RULES)
def test_the_forward_pass_stays_as_it_is_to_the_last_bit(rule: Rule) -> None:
    for net in (chain(), chain(*[view_in_place] * 3), seeded(lambda: Residual(True, True))):
        with torch.no_grad():
            plain = net(IMAGES.clone())
            with BackwardRule(rule):
                assert torch.equal(net(IMAGES.clone()), plain)
        scores, _ = by_rule(net, rule)
        assert torch.equal(scores, plain)


@pytest.mark.parametrize("rule", RULES)
def test_by_hand(rule: Rule) -> None:
    x = torch.tensor([[2.0, 2.0, -1.0, -1.0, 0.0]], requires_grad=True)
    with BackwardRule(rule):
        y = x.relu()
    (gradient,) = torch.autograd.grad(y, x, torch.tensor([[3.0, -3.0, 3.0, -3.0, 1.0]]))
    expected = [[3.0, 0, 0, 0, 0]] if rule == "guided" else [[3.0, 0, 3.0, 0, 1.0]]
    assert gradient.tolist() == expected


def plain_relus(net: nn.Module) -> nn.Module:
    """The same network with every in-place ReLU module put out of place."""
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net


@pytest.mark.parametrize("rule", RULES)
def test_resnet_is_that_of_captum_once_its_relus_have_names_of_their_own(rule: Rule) -> None:
    from torchvision.models import resnet18

    net = seeded(resnet18)
    image = photos(1, height=48, width=64)
    scores, found = by_rule(net, rule, image)
    twin = plain_relus(seeded(resnet18))
    for block in (part for part in twin.modules() if type(part).__name__ == "BasicBlock"):
        # The block calls its one ReLU twice; Captum needs two.
        block.relu = Alternating(nn.ReLU(), nn.ReLU())
    expected = ORACLES[rule](twin).attribute(image, target=1).detach()
    assert_close(found, expected)
    with torch.no_grad():
        assert torch.equal(twin(image), scores)


class Alternating(nn.Module):
    """Each of its modules in turn."""

    def __init__(self, *steps: nn.Module) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.steps[(self.calls - 1) % len(self.steps)](x)


@pytest.mark.parametrize("rule", RULES)
def test_googlenet_is_that_of_captum_once_its_relus_are_modules(rule: Rule) -> None:
    from torchvision.models import googlenet
    from torchvision.models.googlenet import BasicConv2d

    def build() -> nn.Module:
        return googlenet(aux_logits=False, init_weights=False, num_classes=6)

    class WithModule(nn.Module):
        def __init__(self, plain: nn.Module) -> None:
            super().__init__()
            self.conv, self.bn, self.relu = plain.conv, plain.bn, nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.bn(self.conv(x)))

    net, twin = seeded(build), seeded(build)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BasicConv2d):
                setattr(parent, name, WithModule(child))
    image = photos(1, height=40, width=56)
    scores, found = by_rule(net, rule, image)
    expected = ORACLES[rule](twin).attribute(image, target=1).detach()
    assert_close(found, expected)
    with torch.no_grad():
        assert torch.equal(twin(image), scores)


class Gated(nn.Module):
    """A gate of squeeze-and-excitation between two ReLUs."""

    def __init__(self, gate: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.gate = gate
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv(x))
        x = x * self.gate(x.mean((2, 3), keepdim=True))
        return self.fc(F.relu(x).mean((2, 3)))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, stride=4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.embed(x)).flatten(2).transpose(1, 2)
        return self.fc(self.attention(x, x, x)[0].mean(1))


def after(*steps: nn.Module) -> Callable[[], nn.Module]:
    """Two convolutions with a step between, and the rest at the end."""
    first, *last = steps
    return lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), first,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), *last,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (after(nn.ReLU()), ""),
        (after(nn.ReLU6()), ""),
        (after(nn.ReLU(), nn.Softmax(1)), ""),
        (after(nn.ReLU(), nn.LogSoftmax(1)), ""),
        (after(nn.ReLU(), nn.Sigmoid()), ""),
        (after(nn.ReLU(), nn.Dropout(), nn.Sigmoid(), nn.Identity()), ""),
        (lambda: Functional(F.relu_), ""),
        (after(nn.GELU()), "3 is GELU, and the rule is defined for ReLU only."),
        (after(nn.SiLU()), "3 is SiLU, and the rule is defined for ReLU only."),
        (after(nn.Hardswish()), "3 is Hardswish, and the rule is defined for ReLU only."),
        (after(nn.LeakyReLU()), "3 is LeakyReLU, and the rule is defined for ReLU only."),
        (after(nn.ReLU(), nn.Tanh()), "7 is Tanh, and the rule is defined for ReLU only."),
        (
            lambda: Gated(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sigmoid())),
            "gate.1 is Sigmoid, and the rule is defined for ReLU only.",
        ),
        (lambda: Gated(F.sigmoid), "F.sigmoid is sigmoid, and the rule is defined for ReLU only."),
        (
            lambda: Gated(F.hardsigmoid),
            "F.hardsigmoid is hardsigmoid, and the rule is defined for ReLU only.",
        ),
        (lambda: Functional(F.gelu), "F.gelu is gelu, and the rule is defined for ReLU only."),
        (Attending, "attention is attention, for which no such rule is defined."),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 29, 3)),
            "No ReLU was seen in this network, so that the rule would change nothing.",
        ),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 29, 3), nn.Softmax(1)),
            "No ReLU was seen in this network, so that the rule would change nothing.",
        ),
    ],
)
def test_where_the_rules_are_not_defined_one_sentence_says_so(
    build: Callable[[], nn.Module], why: str
) -> None:
    assert why_not(Probe(seeded(build), "cpu").trace(IMAGES[0]).calls) == why
