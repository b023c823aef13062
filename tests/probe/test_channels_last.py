"""Images with their channels last: taken where the scores are the same, else left alone."""

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.probe.evidence import CallKey
from reportgen.probe.probe import Probe

IMAGES = torch.randn(3, 3, 20, 14, generator=torch.Generator().manual_seed(1))


class Noting(nn.Module):
    """Convolutions with a way to end, and a note of how the images of each run lay in memory."""

    def __init__(self, end: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
        self.head = nn.Linear(4 * 16 * 10, 5)
        self.end = end
        self.last: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        is_last = images.is_contiguous(memory_format=torch.channels_last)
        self.last.append(is_last)
        if self.end == "writes":
            images.mul_(2)
        maps = self.body(images)
        match self.end:
            case "view":
                return self.head(maps.view(len(maps), -1))
            case "memory":
                flat = torch.as_strided(maps, (len(maps), 640), (640, 1), 0)
                return self.head(flat)
            case "random":
                return self.head(maps.flatten(1)) + torch.rand(len(maps), 1)
        return self.head(maps.flatten(1))


def plain_scores(net: Noting) -> torch.Tensor:
    """What the network gives for the images as they are, as anybody would ask it."""
    with torch.no_grad():
        scores: torch.Tensor = net(IMAGES.clone())
    net.last.clear()
    return scores


@pytest.mark.parametrize(
    ("end", "is_last"), [("flatten", True), ("writes", True), ("view", False), ("memory", False)]
)
def test_only_a_network_that_gives_the_same_gets_its_images_so(end: str, is_last: bool) -> None:
    net = Noting(end).eval()
    expected = plain_scores(net)
    given = IMAGES.clone()
    probe = Probe(net, "cpu", batch_size=2)
    torch.testing.assert_close(probe.logits(given), expected, rtol=1e-5, atol=1e-5)
    assert net.last == [False, True, is_last, is_last], "tried once, then two parts"
    assert torch.equal(given, IMAGES)
    if not is_last:
        assert torch.equal(probe.logits(given[:2]), expected[:2]), "to the last bit"


def test_trying_draws_no_random_numbers() -> None:
    net = Noting("random").eval()
    torch.manual_seed(3)
    expected = plain_scores(net)
    torch.manual_seed(3)
    probe = Probe(net, "cpu")
    assert torch.equal(probe.logits(IMAGES), expected)
    assert net.last == [False, True, False]


@pytest.mark.parametrize(("end", "is_last"), [("flatten", True), ("view", False)])
def test_watched_images_lie_so_too_where_nothing_changes(end: str, is_last: bool) -> None:
    net = Noting(end).eval()
    evidence = Probe(net, "cpu", batch_size=2).collect(lambda size: IMAGES.split(size), 3, [0])
    assert net.last == [False, False, True, is_last, is_last], "followed, tried, then two parts"
    with torch.no_grad():
        maps = net.body(IMAGES.clone()).double()
    seen = evidence.layers[CallKey("body.2")]
    np.testing.assert_allclose(seen.mean, maps.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen.maximum, maps.amax((0, 2, 3)), rtol=1e-5, atol=1e-6)


def test_a_network_that_gives_something_else_each_time_is_left_alone() -> None:
    net = Noting("random").eval()
    Probe(net, "cpu").collect(lambda size: IMAGES.split(size), 3, [])
    assert net.last == [False, False, True, False]
