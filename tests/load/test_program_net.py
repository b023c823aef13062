"""Names in a program that no module can have, and weights that belong to no layer."""

from pathlib import Path

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.model import load_model
from tests.load.model_files import with_records
from tests.load.programs import edited, export


class Scaled(nn.Module):
    """Beside the weights of its layers a buffer that is saved, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("scale", torch.rand(4))
        self.register_buffer("shift", torch.rand(4), persistent=False)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x) * self.scale[:, None, None] + self.shift[:, None, None]
        return self.head(maps.relu().mean((2, 3)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Scaled().eval()


@pytest.fixture(scope="module")
def file(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program_net")
    return export(net, torch.rand(2, 3, 8, 9), folder / "scaled.pt2")


def answers(net: nn.Module) -> torch.Tensor:
    images = torch.rand(3, 3, 8, 9, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        scores: torch.Tensor = net(images)
    return scores


def test_a_buffer_of_no_layer_is_one_again(net: nn.Module, file: Path) -> None:
    module = load_model(file).module
    assert torch.equal(answers(module), answers(net))
    assert list(module.state_dict()) == list(net.state_dict())
    for found, expected in (
        (module.named_buffers(), net.named_buffers()),
        (module.named_parameters(), net.named_parameters()),
    ):
        held = dict(found)
        assert {name: value.shape for name, value in held.items()} == {
            name: value.shape for name, value in expected
        }
        assert not any(value.is_meta for value in held.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("forward", "attribute 'forward' already exists"),
        ("conv.weight.x", r"'conv\.weight\.x'"),
        ("conv.weight.x.y", r"'conv\.weight\.x\.y'"),
    ],
    ids=["of a method", "below a weight", "far below a weight"],
)
def test_a_weight_that_no_module_can_hold_is_refused(
    name: str, words: str, file: Path, tmp_path: Path
) -> None:
    renamed = with_records(
        file,
        tmp_path / "renamed.pt2",
        lambda _, content: content.replace(b'"head.bias"', f'"{name}"'.encode()),
    )
    pattern = rf"^renamed\.pt2 holds a weight of a name that cannot be: .?{words}.?\.$"
    with pytest.raises(ModelError, match=pattern):
        load_model(renamed)


def test_modules_without_end_are_not_made(net: nn.Module, file: Path, tmp_path: Path) -> None:
    many = edited(
        file,
        tmp_path / "many.pt2",
        lambda program: program["graph_module"]["module_call_graph"].extend(
            {"fqn": f"nothing{number}"} for number in range(20_500)
        ),
    )
    module = load_model(many).module
    assert len(list(module.modules())) == 20_000
    assert torch.equal(answers(module), answers(net))
