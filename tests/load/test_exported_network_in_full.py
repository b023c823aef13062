"""All that is said of a network in a `.pt2` file, and what its training mode leaves behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.exported_network import program_network, saved_modules
from reportgen.load.model import load_model
from reportgen.load.request import Request
from reportgen.load.salvage import SavedModule
from tests.load.model_files import small_net
from tests.load.programs import edited, export

pytestmark = pytest.mark.filterwarnings("ignore")


class Plain(nn.Module):
    """A convolution in a block, a constant, a head."""

    def __init__(self, convolution: type[nn.Module] = nn.Conv2d, channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(channels, 4, 3), nn.ReLU())
        self.register_buffer("shift", torch.rand(4), persistent=False)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.body(x)
        return self.head(maps.mean(tuple(range(2, maps.ndim))) + self.shift)


def request(file: Path) -> Request:
    with file.open("rb") as stream:
        return Request(file.name, "", read_checkpoint(file, stream), "", {})


def sizes(free: dict[int, str]) -> tuple[dict[int, torch.export.Dim]]:
    return ({axis: torch.export.Dim(name, min=4) for axis, name in free.items()},)


def freed(net: nn.Module, images: torch.Tensor, free: dict[int, str], file: Path) -> Path:
    """A program in which some sizes of the images are free."""
    torch.export.save(torch.export.export(net, (images,), dynamic_shapes=sizes(free)), file)
    return file


@pytest.mark.parametrize(
    ("shape", "free", "expected"),
    [
        ((4, 3, 8, 9), {0: "b"}, ((3, (8, 9)), False, None)),
        ((4, 3, 8, 9), {0: "b", 2: "h"}, ((3, None), False, None)),
        ((4, 3, 8, 9), {0: "b", 3: "w"}, ((3, None), False, None)),
        ((4, 3, 6, 8, 9), {0: "b"}, ((3, (8, 9)), True, 6)),
        ((4, 3, 6, 8, 9), {0: "b", 2: "s"}, ((3, (8, 9)), True, None)),
    ],
    ids=str,
)
def test_what_a_program_says_of_its_images(
    shape: tuple[int, ...], free: dict[int, str], expected: tuple[Any, ...], tmp_path: Path
) -> None:
    net = Plain(nn.Conv2d if len(shape) == 4 else nn.Conv3d).eval()
    file = freed(net, torch.rand(shape), free, tmp_path / "net.pt2")
    found = program_network(request(file))
    assert (found.input, found.takes_volumes, found.slices) == expected
    assert (found.architecture, found.source) == ("Plain", "made from the program in the file")
    assert (found.publication, found.notes, found.arguments) == (None, (), {})
    loaded = load_model(file)
    assert (loaded.in_channels, loaded.input_size) == expected[0]
    assert (loaded.takes_volumes, loaded.slices) == expected[1:]


def test_channels_that_are_free_are_those_of_the_example(tmp_path: Path) -> None:
    class Grey(Plain):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.mean(1, keepdim=True))

    net = Grey(channels=1).eval()
    file = freed(net, torch.rand(4, 6, 8, 9), {0: "b", 1: "c"}, tmp_path / "net.pt2")
    assert program_network(request(file)).input == (6, (8, 9))


def test_a_network_without_a_name_is_an_exported_program(tmp_path: Path) -> None:
    source = export(Plain().eval(), torch.rand(2, 3, 8, 9), tmp_path / "net.pt2", is_fixed=True)

    def nameless(program: dict[str, Any]) -> None:
        for node in program["graph_module"]["graph"]["nodes"]:
            node["metadata"].clear()

    found = program_network(request(edited(source, tmp_path / "nameless.pt2", nameless)))
    assert found.architecture == "exported program"
    assert found.notes == ("The program was exported for batches of 2; it takes any here.",)


class Trained(nn.Module):
    """Everything that does something else in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5, inplace=True)
        self.maps = nn.Dropout2d(0.5)
        self.own = nn.BatchNorm2d(4, track_running_stats=False)
        self.head = nn.Linear(4, 5)
        self.norm.running_mean.uniform_(0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.maps(self.drop(self.norm(self.conv(x)))) * 2
        rows = self.own(maps).flatten(2).transpose(1, 2)
        share = 0.5 if self.training else 0.0
        return self.head(F.scaled_dot_product_attention(rows, rows, rows, dropout_p=share).mean(1))


@pytest.mark.parametrize("is_trained", [True, False])
def test_training_leaves_nothing_behind(is_trained: bool, tmp_path: Path) -> None:
    net, images = Trained().train(is_trained), torch.rand(4, 3, 8, 9)
    found = program_network(request(export(net, images, tmp_path / "net.pt2")))
    with torch.inference_mode():
        answer = found.module(images)
        assert torch.allclose(answer, net.eval()(images), atol=1e-6)
        assert torch.equal(found.module(images), answer)
    said = "The program was exported in training mode; it is run in evaluation mode."
    assert found.notes == ((said,) if is_trained else ())
    kinds = {path: type(part).__name__ for path, part in found.module.named_children()}
    assert kinds == {path: type(part).__name__ for path, part in net.named_children()}


class Dropping(nn.Module):
    """Does one thing that a function does otherwise in training."""

    def __init__(self, drop: Callable[[torch.Tensor, bool], torch.Tensor]) -> None:
        super().__init__()
        self.head, self.drop = nn.Linear(3, 5), drop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = self.drop(x * 2, self.training).flatten(2).transpose(1, 2)
        scores: torch.Tensor = self.head(rows.mean(1))
        return scores


def attention(x: torch.Tensor, is_trained: bool) -> torch.Tensor:
    return F.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if is_trained else 0.0)


MODES: dict[str, Callable[[torch.Tensor, bool], torch.Tensor]] = {
    "dropout": lambda x, is_trained: F.dropout(x, 0.5, is_trained),
    "dropout in place": lambda x, is_trained: F.dropout(x, 0.5, is_trained, inplace=True),
    "dropout of maps": lambda x, is_trained: F.dropout2d(x, 0.5, is_trained),
    "dropout of maps in place": lambda x, is_trained: F.dropout2d(x, 0.5, is_trained, inplace=True),
    "attention": attention,
}


@pytest.mark.parametrize("name", MODES)
def test_a_function_that_drops_in_training_drops_nothing(name: str, tmp_path: Path) -> None:
    net, images = Dropping(MODES[name]).train(), torch.rand(4, 3, 4, 5)
    found = program_network(request(export(net, images, tmp_path / "net.pt2")))
    with torch.inference_mode():
        assert torch.allclose(found.module(images), net.eval()(images), atol=1e-6)
    assert found.notes == (
        "The program was exported in training mode; it is run in evaluation mode.",
    )


@pytest.mark.parametrize("target", ["add_.Tensor", "add.Tensor", "mul.Tensor"])
def test_only_counting_of_batches_is_left_out(target: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(216, 2)).train()
    source = export(net, torch.rand(2, 3, 8, 9), tmp_path / "net.pt2")

    def other(program: dict[str, Any]) -> None:
        (node,) = (
            node
            for node in program["graph_module"]["graph"]["nodes"]
            if node["target"] == "torch.ops.aten.add_.Tensor"
        )
        node["target"] = f"torch.ops.aten.{target}"

    module = program_network(request(edited(source, tmp_path / "other.pt2", other))).module
    is_counting = target.startswith("add")
    assert isinstance(module.get_submodule("0"), nn.BatchNorm2d) == is_counting
    assert torch.allclose(module(torch.ones(1, 3, 8, 9)), net.eval()(torch.ones(1, 3, 8, 9)))


def dropped(*names: str) -> Callable[[str, bytes], bytes | None]:
    return lambda name, content: None if name.endswith(names) else content


def test_weights_and_constants_that_are_missing_are_named(tmp_path: Path) -> None:
    source = export(Plain().eval(), torch.rand(2, 3, 8, 9), tmp_path / "net.pt2")

    def renamed(program: dict[str, Any]) -> None:
        for spec in program["graph_module"]["signature"]["input_specs"]:
            for kind in ("parameter", "buffer"):
                if kind in spec:
                    spec[kind][f"{kind}_name"] += "_x"

    with pytest.raises(ModelError) as caught:
        program_network(request(edited(source, tmp_path / "odd.pt2", renamed)))
    assert str(caught.value) == (
        "odd.pt2 holds a program without its weights: body.0.weight_x; body.0.bias_x; "
        "head.weight_x; head.bias_x; shift_x."
    )


def test_weights_that_a_layer_cannot_have_are_named(tmp_path: Path) -> None:
    net = Plain().eval()
    net.head.bias = nn.Parameter(torch.rand(1))
    file = export(net, torch.rand(2, 3, 8, 9), tmp_path / "net.pt2")
    with pytest.raises(ModelError) as caught:
        program_network(request(file))
    assert str(caught.value) == (
        "net.pt2 holds a program that its weights do not fit: head.bias is 1 where 5 is expected."
    )


def test_a_weight_that_lies_among_the_constants_is_missing(tmp_path: Path) -> None:
    source = export(Plain().eval(), torch.rand(2, 3, 8, 9), tmp_path / "net.pt2")

    def saved(program: dict[str, Any]) -> None:
        for spec in program["graph_module"]["signature"]["input_specs"]:
            if "buffer" in spec:
                spec["buffer"]["persistent"] = True

    with pytest.raises(ModelError) as caught:
        program_network(request(edited(source, tmp_path / "odd.pt2", saved)))
    assert str(caught.value) == (
        "odd.pt2 holds a program that its weights do not fit: shift is missing."
    )


def test_a_file_with_two_programs_is_told(tmp_path: Path) -> None:
    source = export(Plain().eval(), torch.rand(2, 3, 8, 9), tmp_path / "net.pt2")
    given = request(source)
    without = edited(source, tmp_path / "without.pt2", lambda program: program.clear())
    assert given.checkpoint.exported is not None
    object.__setattr__(given.checkpoint.exported, "program", b"")
    with pytest.raises(ModelError) as caught:
        program_network(given)
    words = "net.pt2 does not hold exactly one program beside its weights."
    assert str(caught.value) == words
    assert saved_modules(given) == saved_modules(request(without)) == {}


def test_the_modules_that_a_program_speaks_of(tmp_path: Path) -> None:
    file = export(Plain().eval(), torch.rand(2, 3, 8, 9), tmp_path / "net.pt2")
    here, layers = __name__, "torch.nn.modules"

    def leaf(kind: str) -> SavedModule:
        return SavedModule(kind, {}, is_leaf=True, has_hooks=False)

    def block(kind: str) -> SavedModule:
        return SavedModule(kind, {}, is_leaf=False, has_hooks=False)

    assert saved_modules(request(file)) == {
        "": block(f"{here}.Plain"),
        "body": block(f"{layers}.container.Sequential"),
        "body.0": leaf(f"{layers}.conv.Conv2d"),
        "body.1": leaf(f"{layers}.activation.ReLU"),
        "head": leaf(f"{layers}.linear.Linear"),
    }


def test_known_weights_need_no_program(tmp_path: Path) -> None:
    net = small_net(classes=5)
    source = export(net, torch.rand(2, 3, 64, 40), tmp_path / "net.pt2")
    damaged = edited(source, tmp_path / "damaged.pt2", lambda program: program.clear())
    loaded = load_model(damaged)
    assert (loaded.architecture, loaded.notes) == ("squeezenet1_1", ())


class Mixed(nn.Module):
    """Has a token for each image, and adds to each a share of what the whole batch gives."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.head = share, nn.Linear(3, 5)
        self.token = nn.Parameter(torch.zeros(1, 3))
        nn.init.constant_(self.head.bias, 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.head(x.mean((2, 3)) * 9 + self.token.expand(2, 3))
        return scores + self.share * (scores - scores.mean(0))


@pytest.mark.parametrize(("share", "is_apart"), [(0.0, True), (1e-6, True), (0.05, False)])
def test_a_guess_may_be_off_by_rounding_alone(share: float, is_apart: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Mixed(share).eval()
    file = export(net, torch.rand(2, 3, 8, 9), tmp_path / "net.pt2", is_fixed=True)
    if is_apart:
        assert program_network(request(file)).architecture == "Mixed"
        return
    with pytest.raises(ModelError) as caught:
        program_network(request(file))
    assert str(caught.value) == (
        "net.pt2 was exported for batches of 2 and cannot be freed from that; export it with a "
        "batch of any size (dynamic_shapes=({0: torch.export.Dim('batch')},))."
    )
