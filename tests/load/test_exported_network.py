"""A `.pt2` file gives the network that it was exported from, made from its program alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.exported_network import program_network
from reportgen.load.model import load_model
from reportgen.load.request import Network, Request
from reportgen.probe.occlusion.graph import graph_of
from reportgen.probe.watch import FunctionCall, Observer, Watch
from tests.load.programs import NETWORKS, export, noise, seeded

pytestmark = pytest.mark.filterwarnings("ignore")


class Calls(Observer):
    """The names and kinds of all calls, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def leave(self, key: object, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        kind = source.type if isinstance(source, FunctionCall) else type(source).__name__
        self.seen.append((str(key), kind))


def watched(net: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, list[tuple[str, str]]]:
    calls = Calls()
    with torch.inference_mode(), Watch(net, calls):
        scores = net(images.clone())
    return scores, calls.seen


def from_program(file: Path) -> Network:
    """The network of the program itself, also where its weights are those of a known one."""
    with file.open("rb") as stream:
        checkpoint = read_checkpoint(file, stream)
    return program_network(Request(file.name, "", checkpoint, "", {}))


def silent(call: tuple[str, str]) -> bool:
    """Whether a call leaves no operation in a program, or attends: that is inside of one layer."""
    kinds = ("Identity", "MultiheadAttention", "StochasticDepth")
    return call[1] in kinds or ".self_attention.F." in call[0]


@pytest.fixture(scope="module", params=NETWORKS)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, nn.Module, Network]:
    """A network by name, as it was, and as it comes back."""
    name = request.param
    file = tmp_path_factory.mktemp("pt2") / f"{name}.pt2"
    net = seeded(name)
    return name, net, from_program(export(net, noise(name, 2), file))


def test_answers_and_layers_are_those_of_the_network(
    exported: tuple[str, nn.Module, Network],
) -> None:
    name, net, network = exported
    for images in (1, 2, 3):
        scores, calls = watched(net, noise(name, images))
        ours, our_calls = watched(network.module, noise(name, images))
        assert scores.std() > 1e-6
        assert torch.equal(ours, scores)
        assert [c for c in our_calls if not silent(c)] == [c for c in calls if not silent(c)]
    assert list(network.module.state_dict()) == list(net.state_dict())
    assert not any(part.training for part in network.module.modules())
    assert network.architecture == type(net).__name__
    assert network.input == (NETWORKS[name][1][0], NETWORKS[name][1][1:])
    assert network.notes == ()


def test_occlusion_follows_it_as_it_follows_the_network(
    exported: tuple[str, nn.Module, Network],
) -> None:
    name, net, network = exported
    ours, theirs = graph_of(network.module), graph_of(net)
    with torch.inference_mode():
        assert torch.allclose(ours.run(noise(name, 2)), theirs.run(noise(name, 2)), atol=1e-5)
    if name not in ("convnext", "transformer", "odd"):
        assert [type(step.kind) for step in ours.steps] == [type(s.kind) for s in theirs.steps]


@pytest.mark.parametrize("name", ["lenet", "small_resnet", "odd", "densenet", "transformer"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_is_undone(name: str, batch: int, tmp_path: Path) -> None:
    net = seeded(name)
    file = export(net, noise(name, batch), tmp_path / "net.pt2", is_fixed=True)
    network = from_program(file)
    with torch.inference_mode():
        for images in (1, 2, 5):
            expected = net(noise(name, images))
            assert torch.allclose(network.module(noise(name, images)), expected, atol=1e-6)
    assert network.notes == (
        f"The program was exported for batches of {batch}; it takes any here.",
    )


class Mixing(nn.Module):
    """Says of each image how it differs from the others of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.mean((2, 3)).view(1, 2 * 3)
        return self.head((rows - rows.mean()).view(2, 3))


def test_a_batch_that_cannot_be_undone_is_told(tmp_path: Path) -> None:
    file = export(Mixing(), torch.rand(2, 3, 8, 9), tmp_path / "net.pt2", is_fixed=True)
    with pytest.raises(ModelError, match=r"exported for batches of 2 .*export it with a batch of"):
        load_model(file)


def test_training_mode_is_undone_and_said(tmp_path: Path) -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(168, 5)
    )
    net[1].running_mean.uniform_(0.5, 1.5)
    images = torch.rand(2, 3, 8, 9)
    file = export(net.train(), images, tmp_path / "net.pt2")
    loaded = load_model(file)
    with torch.inference_mode():
        assert torch.equal(loaded.module(images), net.eval()(images))
    assert "exported in training mode; it is run in evaluation mode" in loaded.notes[0]


def test_only_statistics_of_training_are_written(tmp_path: Path) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(216, 2)).train()
    loaded = load_model(export(net, torch.rand(2, 3, 8, 9), tmp_path / "net.pt2"))
    before = {name: tensor.clone() for name, tensor in loaded.module.state_dict().items()}
    loaded.module(torch.rand(4, 3, 8, 9))
    assert all(before[name].equal(value) for name, value in loaded.module.state_dict().items())


def test_the_program_decides_where_the_weights_are_known(tmp_path: Path) -> None:
    net = seeded("squeezenet")
    images = noise("squeezenet", 2)
    known = load_model(export(net, images, tmp_path / "known.pt2"))
    assert known.architecture == "squeezenet1_1"
    net.features[1] = nn.LeakyReLU(0.3)
    changed = load_model(export(net, images, tmp_path / "changed.pt2"))
    assert changed.architecture == "SqueezeNet"
    assert "features.1 is LeakyReLU in the file, ReLU in torchvision's" in changed.notes[0]
    with torch.inference_mode():
        assert torch.equal(changed.module(images), net(images))
        assert not torch.equal(known.module(images), net(images))


@pytest.mark.parametrize("name", ["lenet", "small_resnet"])
def test_a_program_in_core_operations_gives_the_same_layers(name: str, tmp_path: Path) -> None:
    net, images = seeded(name), noise(name, 2)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net, (images,), dynamic_shapes=shapes).run_decompositions()
    assert not any("conv2d" in str(node.target) for node in program.graph.nodes)
    torch.export.save(program, tmp_path / "core.pt2")
    network = from_program(tmp_path / "core.pt2")
    scores, calls = watched(net, noise(name, 3))
    ours, our_calls = watched(network.module, noise(name, 3))
    assert torch.allclose(ours, scores, atol=1e-6)
    kinds = ("Conv2d", "BatchNorm2d", "Linear")
    assert [c for c in our_calls if c[1] in kinds] == [c for c in calls if c[1] in kinds]


class Compared(nn.Module):
    """Has a token for each image, so that the batch must be guessed, and does `last` at its end."""

    def __init__(self, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(1, 3))
        self.head = nn.Linear(3, 5)
        self.register_buffer("place", torch.tensor([0, 9, 1, 2, 3]))
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.head(x.mean((2, 3)) + self.token.expand(2, 3)))


def test_a_guess_is_believed_only_if_each_image_is_seen_alone(tmp_path: Path) -> None:
    images = torch.rand(5, 3, 8, 9)
    apart = Compared(lambda scores: scores * 2)
    file = export(apart, images[:2], tmp_path / "apart.pt2", is_fixed=True)
    with torch.inference_mode():
        expected = 2 * apart.head(images.mean((2, 3)) + apart.token)
        assert torch.allclose(load_model(file).module(images), expected, atol=1e-6)
    mixing = Compared(lambda scores: scores - scores.mean(0))
    file = export(mixing, images[:2], tmp_path / "mixing.pt2", is_fixed=True)
    words = r"^mixing\.pt2 was exported for batches of 2 and cannot be freed from that; export it"
    with pytest.raises(ModelError, match=words):
        load_model(file)


@pytest.mark.parametrize("kind", ["index", "index_select"])
def test_a_program_that_fails_only_where_there_are_values_is_refused(
    kind: str, tmp_path: Path
) -> None:
    net = Compared(lambda scores: scores)
    if kind == "index":
        net.last = lambda scores: scores[:, net.place]
    else:
        net.last = lambda scores: scores.index_select(1, net.place)
    file = export(net, torch.rand(2, 3, 8, 9), tmp_path / "net.pt2", is_fixed=True)
    with pytest.raises(ModelError, match=r"^net\.pt2 holds a program that fails: .*bounds"):
        load_model(file)
