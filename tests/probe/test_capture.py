"""What layers read, give and get as gradients, against plain hooks and against twin networks."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import reportgen
from reportgen.errors import ModelError, OptionError
from reportgen.load.model import load_model
from reportgen.probe.capture import Captured
from reportgen.probe.probe import Probe
from tests.probe.nets import Functional, Residual, photos, seeded
from tests.probe.test_gradients import Overwriting, WithoutGradient, state_of, twins

IMAGES = photos(3)
TARGETS = [2, 0, 3]
NAMES = ("conv1", "bn1", "relu", "conv2", "bn2", "last", "pool", "fc")
SAMPLES = Path(__file__).parents[2] / "sample_models"


class Careful(Residual):
    """The same without a sum in place, which backward hooks of modules refuse."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x)) + x
        return self.fc(torch.flatten(self.pool(self.last(y)), 1))


def by_hooks(net: nn.Module, images: torch.Tensor, targets: list[int]) -> dict[str, dict[str, Any]]:
    """What plain hooks see: right where nothing is in place, reused or a function."""
    seen: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    handles = []
    for name in NAMES:
        module, found = net.get_submodule(name), seen[name]

        def forward(_m: Any, args: Any, output: torch.Tensor, found: Any = found) -> None:
            found["inputs"], found["output"] = args, output.detach()

        def backward(_m: Any, read: Any, given: Any, found: Any = found) -> None:
            found["input_gradients"], found["output_gradient"] = read, given[0]

        handles.append(module.register_forward_hook(forward))
        handles.append(module.register_full_backward_hook(backward))
    images = images.clone().requires_grad_()
    scores = net(images)
    torch.autograd.grad(sum(scores[i, target] for i, target in enumerate(targets)), images)
    for handle in handles:
        handle.remove()
    return seen


def test_it_is_what_plain_hooks_see() -> None:
    net = seeded(Careful)
    expected = by_hooks(net, IMAGES, TARGETS)
    # Hooks tell of the way through the module alone; what conv2 reads goes into the sum as well.
    (through,), (beside,) = (expected[name]["input_gradients"] for name in ("conv2", "last"))
    expected["conv2"]["input_gradients"] = (through + beside,)
    found = reportgen.probe(net, device="cpu").capture(  # type: ignore[operator]
        IMAGES, NAMES, gradients=True, targets=TARGETS
    )
    assert tuple(found) == NAMES
    for name in NAMES:
        for field in ("output", "output_gradient"):
            value = getattr(found[name], field)
            assert value.dtype == torch.float32 and not value.requires_grad
            torch.testing.assert_close(value, expected[name][field].float())
        for field in ("inputs", "input_gradients"):
            torch.testing.assert_close(
                getattr(found[name], field), tuple(t.float() for t in expected[name][field])
            )
        assert found[name].output_gradient.abs().sum() > 0


def same(one: Captured, other: Captured) -> None:
    assert len(one.inputs) == len(other.inputs) > 0
    torch.testing.assert_close(vars(other), vars(one), rtol=0, atol=0)


@pytest.mark.parametrize("title", twins())
def test_networks_that_compute_the_same_give_the_same(title: str) -> None:
    net, names = twins()[title]
    wanted = [names.get(name, name) for name in NAMES]
    expected = Probe(seeded(Residual), "cpu").capture(IMAGES, NAMES, gradients=True, targets=1)
    exact = [f"{name}#1" if name == "relu" else name for name in wanted]
    found = Probe(net, "cpu").capture(IMAGES, exact, gradients=True, targets=1)
    assert set(found) == set(wanted)
    for name, twin in zip(NAMES, wanted, strict=True):
        same(expected[name], found[twin])


def test_without_gradients_there_are_none() -> None:
    net = seeded(Residual)
    with_gradients = Probe(net, "cpu").capture(IMAGES, ["bn1"], gradients=True)["bn1"]
    found = Probe(net, "cpu").capture(IMAGES, "bn1")["bn1"]
    assert found.output_gradient is None and found.input_gradients is None
    torch.testing.assert_close(found.output, with_gradients.output, rtol=0, atol=0)


def test_one_image_is_a_batch_of_one_and_the_predicted_class_is_the_default() -> None:
    net = seeded(Residual)
    with torch.no_grad():
        said = net(IMAGES).argmax(1).tolist()
    assert len(set(said)) > 1
    probe = Probe(net, "cpu")
    default = probe.capture(IMAGES, ["last"], gradients=True)["last"]
    same(default, probe.capture(IMAGES, ["last"], gradients=True, targets=said)["last"])
    for i, image in enumerate(IMAGES):
        alone = probe.capture(image, ["last"], gradients=True, targets=said[i])["last"]
        assert alone.output.shape == (1, 6, 10, 15)
        torch.testing.assert_close(alone.output[0], default.output[i])
        torch.testing.assert_close(alone.output_gradient[0], default.output_gradient[i])


class Blocks(nn.Module):
    """Two blocks, one of which is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(self.body(self.stem(x))).mean((2, 3)))


def test_names_globs_calls_and_blocks() -> None:
    probe = Probe(seeded(Blocks), "cpu")
    assert set(probe.capture(IMAGES, ["body.*"])) == {"body.0", "body.1", "body.0#2", "body.1#2"}
    assert set(probe.capture(IMAGES, ["body.1"])) == {"body.1", "body.1#2"}
    assert set(probe.capture(IMAGES, ["body.1#1", "f?"])) == {"body.1", "fc"}
    assert set(probe.capture(IMAGES, ["body.1#2"])) == {"body.1#2"}
    assert set(probe.capture(IMAGES, ["body#2"])) == {"body#2"}
    found = probe.capture(IMAGES, ["body", "body.0", "body.1"], gradients=True)
    for call in ("", "#2"):
        block, first, last = (found[f"{name}{call}"] for name in ("body", "body.0", "body.1"))
        for kind in ("inputs", "input_gradients"):
            torch.testing.assert_close(getattr(block, kind), getattr(first, kind), rtol=0, atol=0)
        for kind in ("output", "output_gradient"):
            torch.testing.assert_close(getattr(block, kind), getattr(last, kind), rtol=0, atol=0)


class Aside(nn.Module):
    """Scores that come in part from what does not depend on the image, and a branch unused."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.unused, self.fixed = (nn.Conv2d(3, 4, 3) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unused(x)
        given = self.fixed(torch.ones_like(x)) * 2
        return (self.conv(x) + given).mean((2, 3))


def test_a_layer_off_the_way_has_a_gradient_of_zero_and_a_constant_one_its_own() -> None:
    found = Probe(seeded(Aside), "cpu").capture(
        IMAGES, ["conv", "unused", "fixed"], gradients=True, targets=2
    )
    slope = torch.zeros(3, 4, 18, 27)
    slope[:, 2] = 1 / (18 * 27)
    torch.testing.assert_close(found["conv"].output_gradient, slope)
    torch.testing.assert_close(found["fixed"].output_gradient, 2 * slope)
    assert not found["unused"].output_gradient.any()
    assert found["fixed"].input_gradients == (None,)


def test_a_network_without_layers_has_none_of_that_name() -> None:
    bare = nn.Module()
    bare.forward = lambda x: x.mean((2, 3))
    probe = Probe(bare, "cpu")
    with pytest.raises(OptionError, match=r"^conv: no layer was seen at work in this network\.$"):
        probe.capture(photos(2), ["conv"])


def test_weights_given_to_a_function_are_no_inputs() -> None:
    class Bare(Functional):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.conv2d(x, self.conv1.weight, self.conv1.bias).mean((2, 3))

    found = Probe(seeded(Bare), "cpu").capture(IMAGES, ["F.conv2d"], gradients=True)["F.conv2d"]
    torch.testing.assert_close(found.inputs, (IMAGES.float(),), rtol=0, atol=0)


def test_the_network_is_given_back_as_found() -> None:
    net = seeded(lambda: Residual(is_inplace=True, is_reused=True))
    net.bn2.train()
    net.conv1.weight.requires_grad_(False)
    before, given = state_of(net), IMAGES.clone()
    Probe(net, "cpu").capture(given, ["*"], gradients=True)
    assert state_of(net) == before
    assert torch.equal(given, IMAGES) and given.grad is None and not given.requires_grad


def test_a_frozen_network_gives_the_same() -> None:
    expected = Probe(seeded(Residual), "cpu").capture(IMAGES, ["*"], gradients=True)
    net = seeded(Residual).requires_grad_(False)
    found = Probe(net, "cpu").capture(IMAGES, ["*"], gradients=True)
    for name, one in expected.items():
        same(one, found[name])


@pytest.mark.parametrize(
    ("layers", "arguments", "error", "words"),
    [
        (["conv3"], {}, OptionError, "conv3: no layer.*nearest: conv2, conv1; the first is conv1"),
        (["conv1", "x*"], {}, OptionError, r"x\*: no layer has such a name\. The first is conv1"),
        (["conv1"], {"targets": [0, 1]}, OptionError, "2 targets for 3 images"),
        (["conv1"], {"targets": [0, 1, 2, 3]}, OptionError, "4 targets for 3 images"),
        (["conv1"], {"targets": 4}, OptionError, "no class 4; the network has 0 to 3"),
        (["conv1"], {"targets": [0, -1, 0]}, OptionError, "no class -1"),
        (["conv1"], {"images": IMAGES[:, :2]}, ModelError, "cannot take 3 x 2 x 20 x 29 images"),
        (["conv1"], {"images": IMAGES[0, 0]}, OptionError, r"images are \(20, 29\)"),
    ],
)
def test_after_an_error_nothing_stays_hooked(
    layers: list[str], arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    net = seeded(Residual)
    before = state_of(net)
    given = {"images": IMAGES, **arguments}
    with pytest.raises(error, match=words):
        Probe(net, "cpu").capture(given.pop("images"), layers, gradients=True, **given)
    assert state_of(net) == before


@pytest.mark.parametrize("build", [WithoutGradient, Overwriting])
def test_a_network_without_a_gradient_says_so(build: type[nn.Module]) -> None:
    net = seeded(build)
    before = state_of(net)
    with pytest.raises(ModelError, match="No gradient can be taken"):
        Probe(net, "cpu").capture(IMAGES, ["conv"], gradients=True)
    assert state_of(net) == before
    assert Probe(net, "cpu").capture(IMAGES, ["conv"])["conv"].output.shape == (3, 3, 18, 27)


def test_a_file_and_a_loaded_model_can_be_asked_too() -> None:
    path = SAMPLES / "squeezenet1_1.pth"
    image = photos(1, height=64, width=80).float()
    loaded = load_model(path)
    given = [
        reportgen.probe(model, device="cpu").capture(image, ["features.3.*"])  # type: ignore[operator]
        for model in (path, str(path), loaded, loaded.module)
    ]
    assert len(given[0]) == 6
    for other in given[1:]:
        assert other.keys() == given[0].keys()
        for name, one in given[0].items():
            same(one, other[name])


def test_importing_it_does_not_import_torch() -> None:
    code = (
        "import sys, reportgen; assert callable(reportgen.probe); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
