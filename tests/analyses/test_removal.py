"""The plan on the page of dead filters, for networks with units planted idle."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.analyses.dead_filters import run
from reportgen.analyses.removal import command
from reportgen.analyses.study import Study
from reportgen.options import Options
from reportgen.probe.probe import Probe
from tests.analyses.planted import PlainImages, preparation, study_of


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.again = nn.Conv2d(5, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.again(F.relu(self.conv(x))))
        return self.fc(x.mean((2, 3)))


class Fickle(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def study(net: nn.Module) -> tuple[Study, list[int]]:
    """A study of three pictures of noise, and the indices of those that are read from then on."""
    with torch.no_grad():
        net.conv.bias.copy_(torch.tensor([3.0, -1e3, 3, 0.5, 3]))  # type: ignore[union-attr,operator]
        net.conv.weight[3] = 0  # type: ignore[index,operator]
        net.again.bias.fill_(50)  # type: ignore[union-attr,operator]
        net.again.bias[2] = -1e3  # type: ignore[index,operator]
    generator = torch.Generator().manual_seed(0)
    images = PlainImages(
        [torch.rand(3, 7, 9, generator=generator) for _ in range(3)], preparation()
    )
    probe = Probe(net.eval(), "cpu")
    evidence = probe.collect(images.batches, 3, ())
    read: list[int] = []
    made = study_of(evidence, net, probe=probe)
    pixels = made.images.pixels

    def counted(index: int) -> torch.Tensor:
        read.append(index)
        return pixels(index)

    object.__setattr__(made.images, "pixels", counted)
    return made, read


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net()


def test_the_plan_says_what_goes_what_it_saves_and_what_stays(net: Net) -> None:
    made, read = study(net)
    outcome = run(made)
    panel = outcome.panels[""]
    # conv: 5 filters of 28 numbers. again: 4 of 46. fc: 3 of 5.
    before, after = 140 + 184 + 15, 4 * 28 + 3 * (4 * 9 + 1) + 3 * 4
    assert panel.facts["plan_problem"] == ""
    assert (panel.facts["plan_units"], panel.facts["plan_always"]) == (2, 0)
    assert panel.facts["plan_stays"] == 1
    assert panel.facts["plan_parameters"] == (before - after) / before
    assert panel.facts["plan_bytes"] == 4 * (before - after)
    macs = 63 * (5 * 27 + 4 * 45) + 12, 63 * (4 * 27 + 3 * 36) + 9
    assert panel.facts["plan_macs"] == (macs[0] - macs[1]) / macs[0]
    rows = panel.blocks["plan_layers"].rows
    names = [cells[0] if isinstance(cells[0], str) else cells[0].text for cells in rows]
    assert names == ["in all", "conv", "again", "fc"]
    assert rows[2][1:6] == (4, 3, "1 dead", 1, 46 * 4 - 37 * 3)
    assert rows[0][3:] == (
        "2 units",
        None,
        before - after,
        macs[0] - macs[1],
        4 * (before - after),
    )
    units = [(cells[0].text, *cells[1:]) for cells in panel.blocks["plan_units"].rows]
    assert units == [
        ("conv / 1", "dead", "images", "none", "again"),
        ("again / 2", "dead", "images", "none", "fc"),
    ]
    (stays,) = panel.blocks["plan_stays"].rows
    reason = "the zero padding of again lies beside its 0.5"
    assert stays[1:] == (1, "3", "constant", reason)
    assert stays[0].href == "layers/conv.html"
    # One image is followed for the shapes; there is no pass over all of them.
    assert read == [0]


def test_what_is_worth_taking_out_is_a_finding(net: Net) -> None:
    made, _ = study(net)
    (found,) = [finding for finding in run(made).findings if finding.kind == "prunable"]
    assert (found.severity, found.href) == ("info", "dead_filters.html#plan")
    assert found.text == (
        "2 units can be taken out without changing an answer on these 3 images: "
        "31 % of the parameters, 31 % of the multiplications."
    )


def test_a_network_that_cannot_be_followed_is_told_in_one_sentence(net: Net) -> None:
    fickle = Fickle()
    fickle.load_state_dict(net.state_dict())
    panel = run(study(fickle)[0]).panels[""]
    problem = panel.facts["plan_problem"]
    assert isinstance(problem, str)
    assert problem.startswith("The network cannot be followed step by step (")
    assert "plan_units" not in panel.facts and "plan_layers" not in panel.blocks


def test_the_command_repeats_what_the_network_and_its_images_need() -> None:
    options = Options(
        Path("models/net.pth"),
        (Path("some photos"), Path("more")),
        arch="code/net.py:Net",
        input_size=(28, 30),
        mean=(0.5,),
        occlusion_fill="gray",
        batch_size=3,
    )
    assert command(options) == (
        "reportgen prune net.pth more 'some photos' --arch net.py:Net --input-size 28 30 "
        "--mean 0.5 -o net-pruned.pth"
    )
