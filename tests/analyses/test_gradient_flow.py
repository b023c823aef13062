"""Sizes of gradients against a literal loop, and findings on networks built to lose theirs."""

import gc
import re
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from reportgen.analyses.gradient_flow import run
from reportgen.analyses.study import Study
from reportgen.errors import ModelError
from reportgen.probe.evidence import CallKey
from reportgen.probe.gradient_flow import gradient_flow
from reportgen.probe.probe import Probe
from tests.analyses.planted import binned
from tests.analyses.test_gradcam import Plain, plain, squeezenet, study_with
from tests.probe.nets import Residual, photos, seeded
from tests.probe.test_gradients import WithoutGradient, state_of, twins

SAMPLES = Path(__file__).parents[2] / "sample_models"
CALLS = ("conv1", "relu1", "pool", "conv2", "relu2", "fc")


def literal(net: Plain, image: torch.Tensor, target: int) -> dict[str, np.ndarray]:
    """Gradients at all calls of `Plain` for one image (c h w), the network written out."""
    x = image[None]
    seen = {}
    for name in CALLS:
        if name == "fc":
            x = x.flatten(1)
        x = getattr(net, name)(x)
        seen[name] = x
    slopes = torch.autograd.grad(x[0, target], list(seen.values()))
    return {name: slope[0].numpy() for name, slope in zip(seen, slopes, strict=True)}


@pytest.mark.parametrize("style", ["module", "in place", "reused", "function"])
def test_the_numbers_are_those_of_a_literal_loop(style: str) -> None:
    study, net = study_with(plain(style), true={0: 3}), plain()
    panels = run(study).panels
    names = {"reused": {"relu2": "relu1-2"}, "function": {"relu1": "F.relu", "relu2": "F.relu-2"}}
    targets = [panel.facts["targets"] for panel in panels.values()]
    assert targets[0][0] == "class 3" and all(target == targets[0] for target in targets)
    expected: dict[str, list[np.ndarray]] = {name: [] for name in CALLS}
    for index, label in enumerate(targets[0]):
        image = study.images.normalise(study.images.pixels(index))
        for name, slopes in literal(net, image, int(label.split()[1])).items():
            expected[name].append(slopes)
    assert len(panels) == len(CALLS)
    for name, slopes in expected.items():
        panel = panels[names.get(style, {}).get(name, name)]
        facts = panel.facts
        every = np.stack(slopes).astype(np.float64)
        each = [np.abs(one.astype(np.float64)).mean() for one in slopes]
        norms = [np.sqrt(np.square(one.astype(np.float64)).sum()) for one in slopes]
        assert facts["images"] == ("photo0", "photo1") and facts["values"] == slopes[0].size
        assert facts["mean_absolute_by_image"] == pytest.approx(each, rel=1e-5)
        assert facts["mean_absolute"] == pytest.approx(np.abs(every).mean(), rel=1e-5)
        assert facts["norm_by_image"] == pytest.approx(norms, rel=1e-5)
        assert facts["norm"] == pytest.approx(np.median(norms), rel=1e-5)
        assert facts["zero_fraction"] == pytest.approx((every == 0).mean())
        bins = binned(np.stack(slopes))
        drawn = panel.blocks["histogram"]
        assert drawn.counts == tuple(int(n) for n in np.trim_zeros(bins.counts))
        assert drawn.high - drawn.low == pytest.approx(len(drawn.counts) * 2.0**bins.exponent)
    first, last = (float(np.median(panels[name].facts["norm"])) for name in ("conv1", "fc"))
    for panel in panels.values():
        assert (panel.facts["first_layer"], panel.facts["last_layer"]) == ("conv1", "fc")
        assert panel.facts["ratio"] == pytest.approx(first / last)


@pytest.mark.parametrize("title", twins())
def test_networks_that_compute_the_same_have_the_same_gradients(title: str) -> None:
    net, names = twins()[title]
    image = photos(1)[0]
    one = gradient_flow(Probe(seeded(Residual), "cpu"), image, 2)
    other = gradient_flow(Probe(net, "cpu"), image, 2)
    assert len(one) == len(other) == 8
    for key, size in one.items():
        path, _, call = names.get(key.path, key.path).partition("#")
        twin = other[CallKey(path, int(call or 1))]
        assert (twin.norm, twin.mean_absolute) == (size.norm, size.mean_absolute)


def test_the_network_is_given_back_as_found_and_frozen_ones_do() -> None:
    net = seeded(Residual)
    net.bn2.train()
    before = state_of(net)
    one = gradient_flow(Probe(net, "cpu"), photos(1)[0], 1)
    assert state_of(net) == before
    other = gradient_flow(Probe(net.requires_grad_(False), "cpu"), photos(1)[0], 1)
    assert {k: v.norm for k, v in one.items()} == {k: v.norm for k, v in other.items()}


class Giving(nn.Module):
    """A module that gives its own weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self) -> torch.Tensor:
        return self.weight


class WithToken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token, self.conv = Giving(), nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3)) * self.token()


def test_no_hook_stays_on_a_weight() -> None:
    net = seeded(WithToken)
    gradient_flow(Probe(net, "cpu"), photos(1)[0], 1)
    assert not net.token.weight._backward_hooks


def test_gradients_are_not_kept() -> None:
    """At each hook, no gradient that an earlier hook was given is alive but for the last."""
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(_context: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
            nonlocal most
            made = gradient * 1.0
            alive.append(weakref.ref(made))
            gc.collect()
            most = max(most, sum(ref() is not None for ref in alive))
            return made

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(12))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for conv in self.convs:
                x = Watched.apply(conv(x))
            return x.mean((2, 3))

    found = gradient_flow(Probe(seeded(Deep), "cpu"), photos(1)[0], 1)
    assert len(found) == len(alive) == 12
    assert most <= 2


def deep(act: Callable[[], nn.Module], gain: float, layers: int = 12) -> nn.Module:
    """A plain chain of convolutions whose weights keep the size of a ReLU's values at gain 1."""
    parts: list[nn.Module] = []
    for i in range(layers):
        parts += [nn.Conv2d(8 if i else 3, 8, 3, padding=1), act()]
    net = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.weight[0].numel()
            nn.init.normal_(module.weight, 0, gain * (2 / fan) ** 0.5, generator)
            nn.init.zeros_(module.bias)
    nn.init.normal_(net[-1].weight, generator=generator)
    return net.eval()


@pytest.mark.parametrize(
    ("build", "kind", "words"),
    [
        (lambda: deep(nn.Sigmoid, 1), "vanishing-gradient", "vanishes on its way back: its norm"),
        (lambda: deep(nn.Tanh, 0.2), "vanishing-gradient", "to .* at 0, over 13 convolution"),
        (lambda: deep(nn.ReLU, 0.3), "vanishing-gradient", "falls from 1 at 26 to"),
        (lambda: deep(nn.ReLU, 4), "exploding-gradient", "grows from 1 at 26 to"),
    ],
    ids=["deep sigmoid", "small tanh", "small gain", "large gain"],
)
def test_what_was_built_to_lose_its_gradient_is_found(
    build: Callable[[], nn.Module], kind: str, words: str
) -> None:
    (finding,) = run(study_with(build())).findings
    assert (finding.severity, finding.kind) == ("warning", kind)
    assert finding.href == "layers/0.html#gradient_flow"
    assert re.search(words, finding.text), finding.text


def test_a_dead_network_lets_no_gradient_through() -> None:
    net = deep(nn.ReLU, 1)
    nn.init.constant_(net[10].bias, -1e6)
    (finding,) = run(study_with(net)).findings
    assert finding.text == (
        "No gradient reaches 0: its norm is exactly zero there and 1 at 26 (median over 2 images)."
    )


class Root(nn.Module):
    """The slope of a square root at zero is infinite."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.fc = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.act(self.conv(x)).sqrt().mean((2, 3)))


def test_a_gradient_that_is_no_number_is_an_error_at_the_layer_where_it_starts() -> None:
    outcome = run(study_with(seeded(Root).float()))
    error = outcome.findings[0]
    assert (error.severity, error.kind) == ("error", "non-finite-gradient")
    assert error.text.startswith("The gradient of the score is NaN or infinite from act on back")
    assert "2 images" in error.text and outcome.panels["act"].facts["nonfinite"] > 0
    assert outcome.panels["fc"].facts["nonfinite"] == 0


def sample(name: str) -> Study:
    """A sample network for grey 28 x 28 images, on images that it was made for."""
    import importlib.util

    from PIL import Image as Picture

    spec = importlib.util.spec_from_file_location(name, SAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = {"lenet": "LeNet", "small_resnet": "SmallResNet"}[name]
    made: nn.Module = getattr(module, net)()
    made.load_state_dict(torch.load(SAMPLES / f"{name}.pth", weights_only=True))
    files = sorted((SAMPLES / "fashion_mnist").rglob("*.png"))[::3]
    pixels = [torch.from_numpy(np.array(Picture.open(f)) / 255).float()[None] for f in files]
    return study_with(made.eval(), (28, 28), pixels, channels=1, mean=(0.286,), std=(0.353,))


def random_resnet() -> Study:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return study_with(models.resnet18(num_classes=5).eval(), (96, 128))


@pytest.mark.parametrize(
    "study",
    [
        lambda: sample("lenet"),
        lambda: sample("small_resnet"),
        lambda: study_with(squeezenet(), (96, 128)),
        random_resnet,
        lambda: study_with(deep(nn.ReLU, 1)),
    ],
    ids=["lenet", "small_resnet", "squeezenet", "resnet18", "deep ReLU"],
)
def test_healthy_networks_give_no_finding(study: Callable[[], Study]) -> None:
    outcome = run(study())
    assert outcome.findings == ()
    ratios = {panel.facts["ratio"] for panel in outcome.panels.values()}
    assert len(ratios) == 1 and 0.03 < ratios.pop() < 30


def test_without_a_gradient_the_section_says_why() -> None:
    with pytest.raises(ModelError, match="No gradient can be taken"):
        run(study_with(seeded(WithoutGradient).float()))


def test_what_the_score_does_not_look_at_has_no_panel() -> None:
    class Sided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            F.relu(self.unused(x))
            return self.used(x).mean((2, 3))

    panels = run(study_with(seeded(Sided).float())).panels
    assert set(panels) == {"used"}
    assert panels["used"].facts["ratio"] is None


def test_layers_that_are_not_observed_count_for_the_trend_but_have_no_panel() -> None:
    study = study_with(deep(nn.ReLU, 4))
    only = {key: seen for key, seen in study.evidence.layers.items() if key.path == "9"}
    outcome = run(replace(study, evidence=replace(study.evidence, layers=only)))
    assert set(outcome.panels) == {"9"}
    assert outcome.panels["9"].facts["first_layer"] == "0"
    (finding,) = outcome.findings
    assert finding.href == "layers/0.html"
