"""Which layers are chosen, on networks whose stages are known."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from reportgen.analyses.stages import Stage, Stages, stages_of
from reportgen.probe.probe import Probe
from tests.probe.nets import seeded


def stages(net: nn.Module, size: tuple[int, int]) -> Stages:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    traced = Probe(net.eval(), "cpu").trace(image)
    return stages_of(traced.calls, traced.classes, size)


def named(stage: Stage) -> str:
    name = str(stage.spot.key)
    return f"> {name}" if stage.spot.side == "input" else name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("squeezenet1_1", ["features.1", "> features.5", "> features.8", "classifier.0"]),
        (
            "resnet18",
            ["relu", "layer1.1.relu#2", "layer2.1.relu#2", "layer3.1.relu#2", "layer4.1.relu#2"],
        ),
        ("convnext_tiny", ["features.2.0", "features.4.0", "features.6.0", "> avgpool"]),
        ("vgg11", ["features.4", "features.9", "features.14", "features.19"]),
    ],
)
def test_stages_of_known_networks(name: str, expected: list[str]) -> None:
    torch.manual_seed(0)
    found = stages(torchvision.models.get_model(name), (96, 128))
    assert [named(stage) for stage in found.found] == expected


def test_a_branch_is_no_stage_but_the_sum_that_a_layer_reads_is() -> None:
    class Branched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, padding=1)
            self.one, self.two = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
            self.down = nn.MaxPool2d(2)
            self.last = nn.Conv2d(8, 5, 3)
            self.gate = nn.Conv2d(5, 5, 1)
            self.fc = nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            x = self.last(self.down(torch.cat([self.one(x), self.two(x)], 1)))
            x = x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
            return self.fc(x.mean((2, 3)))

    found = stages(seeded(Branched).float(), (16, 20)).found
    assert [named(stage) for stage in found] == ["> down", "last"]
    assert [stage.grid for stage in found] == [(16, 20), (6, 8)]


def test_positions_lie_at_the_middle_of_what_they_see() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 5, 5, stride=3, padding=1),
        nn.Flatten(), nn.Linear(5 * 3 * 4, 2),
    )  # fmt: skip
    (_, last) = stages(net, (19, 25)).found
    assert last.grid == (3, 4)
    # By hand: the first convolution is centred at 1 + 2 i, the second there at (5 - 1) / 2 - 1 = 1.
    assert last.middles == ((3.0, 3.0), (3.0 + 2 * 6, 3.0 + 3 * 6))


def test_where_a_position_sees_everything_the_map_is_spread_evenly() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate = nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(4, 4, 1)
            self.act, self.fc = nn.ReLU(), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.conv(x)
            x = x * self.gate(x.mean((2, 3), keepdim=True))
            return self.fc(self.act(x).mean((2, 3)))

    (only,) = stages(seeded(Gated).float(), (16, 24)).found
    assert only.middles == ((1.5, 1.5), (13.5, 21.5))


class Shuffled(nn.Module):
    """Patches in an order of their own, so that nobody knows where they lie."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.fc = (
            nn.Conv2d(3, 8, 8, stride=8),
            nn.LayerNorm(8),
            nn.Linear(8, 4),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = x[:, torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(1))]
        return self.fc(self.norm(x).mean(1))


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (
            Shuffled,
            "The network goes on with tokens",
        ),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)), "No layer gives"),
    ],
)
def test_no_stage_and_why(build: Callable[[], nn.Module], problem: str) -> None:
    found = stages(seeded(build).float(), (32, 32))
    assert not found.found and found.problem.startswith(problem)
