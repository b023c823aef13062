"""A network is given back as it was, whatever ends a build, at whichever call (bar R-04)."""

import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import reportgen
from reportgen.errors import ModelError, ReportgenError
from tests.probe.test_probe import state

SECTIONS = ("overview", "answers", "gradcam", "occlusion", "gradients", "trust")


class Net(nn.Module):
    """Modes that differ, frozen weights, hooks of its own, buffers that a pass writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.fc = nn.Linear(4, 3)
        self.register_buffer("runs", torch.zeros(1))
        self.conv.weight.requires_grad_(False)
        self.relu.register_forward_hook(lambda module, args, output: None)
        self.train()
        self.bn.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += 1
        torch.rand(2)
        random.random()
        np.random.rand()
        x = self.relu(self.bn(self.conv(x)))
        return self.fc(self.drop(x.mean((2, 3))))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for index in range(3):
        values = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{index}.png")
    return folder


def everything(net: nn.Module) -> str:
    """The network, and what of the program could change."""
    generators = (random.getstate(), np.random.get_state()[1].tolist())
    return str((state(net), generators, sys.getrecursionlimit(), torch.is_autocast_enabled("cpu")))


def build(net: nn.Module, photos: Path, sections: tuple[str, ...] = SECTIONS) -> reportgen.Report:
    return reportgen.build(
        net, photos, sections=sections, input_size=(8, 12), mean=(0.5,) * 3, std=(0.25,) * 3,
        max_images=1, batch_size=2, device="cpu", occlusion_window=(4, 6),
    )  # fmt: skip


def interrupting(number: int, error: Callable[[], BaseException]) -> tuple[Net, list[int]]:
    """A network, a module of which raises an error at its n-th call of all."""
    torch.manual_seed(0)
    net, calls = Net(), [0]

    def hook(*_: object) -> None:
        calls[0] += 1
        if calls[0] == number:
            raise error()

    for module in net.modules():
        module.register_forward_pre_hook(hook)
        module.register_forward_hook(hook)
    return net, calls


def test_after_success(photos: Path) -> None:
    net, _ = interrupting(0, KeyboardInterrupt)
    before, threads = everything(net), threading.active_count()
    report = build(net, photos)
    assert everything(net) == before
    assert threading.active_count() == threads
    assert not [one.problem for one in report.record.sections if one.problem]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, RuntimeError, SystemExit])
def test_after_an_error_at_the_nth_call_of_a_hook(error: type[BaseException], photos: Path) -> None:
    """Every call while the images are run; n goes on until a build comes to its end."""
    number = 0
    while True:
        number += 1
        net, calls = interrupting(number, lambda: error("at the hook"))
        before = everything(net)
        try:
            build(net, photos, ("overview",))
        except (error, ReportgenError) as raised:
            assert type(raised) is KeyboardInterrupt or type(raised) is ModelError
        assert everything(net) == before, number
        if calls[0] < number:
            break
    assert number > 40


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_in_a_section(error: type[BaseException], photos: Path) -> None:
    """At calls spread over all sections, each of which goes through the network in its own way."""
    net, calls = interrupting(0, KeyboardInterrupt)
    build(net, photos)
    total = calls[0]
    for number in np.linspace(60, total, 8).astype(int).tolist():
        net, calls = interrupting(number, lambda: error("at the hook"))
        before = everything(net)
        try:
            report = build(net, photos)
        except KeyboardInterrupt:
            assert error is KeyboardInterrupt
        except ModelError as told:  # of the pass over all images, which comes first
            assert error is ValueError and "at the hook" in str(told)
        else:
            # The section says so, and the others are made.
            said = [one.problem for one in report.record.sections if one.problem]
            assert error is ValueError and all("at the hook" in problem for problem in said)
        assert everything(net) == before, number
