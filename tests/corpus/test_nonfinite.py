"""NaN and Inf at every place in turn: a red notice names the first layer, nothing is made of it.

Bar R-03: the report is made all the same, and shows no class, probability or heat map that comes
of such a value.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import nn

import reportgen
from reportgen.report.blocks import MapStrip, Photo
from reportgen.report.records import Image
from tests.probe.test_probe import state
from tests.render.walk import Page

SIZE = (8, 12)
PICTURED = ("answers", "gradcam", "occlusion", "gradients", "trust", "activations")


class Net(nn.Module):
    """Two convolutions with norms, one of which has a buffer that no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(4, 5, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(5)
        self.relu2 = nn.ReLU()
        self.fc = nn.Linear(5, 3)
        self.register_buffer("scale", torch.ones(1), persistent=False)
        self.spoil: Callable[[torch.Tensor], torch.Tensor] = lambda scores: scores

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x * self.scale)))
        return self.spoil(self.fc(x.mean((2, 3))))


def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Net().eval()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures; the second is all black."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for index in range(3):
        values = rng.integers(1, 256, (*SIZE, 3), dtype=np.uint8) * (index != 1)
        Picture.fromarray(values.astype(np.uint8)).save(folder / f"{index}.png")
    return folder


def built(module: nn.Module, photos: Path, folder: Path | None = None) -> reportgen.Report:
    """The report of a network, which is given back as it was."""
    before = str(state(module))
    report = reportgen.build(
        module, photos, output=folder, input_size=SIZE, mean=(0.5,) * 3, std=(0.25,) * 3,
        sections=("overview", "weights", "dead_filters", *PICTURED), device="cpu", batch_size=2,
    )  # fmt: skip
    assert str(state(module)) == before
    return report


def finding(report: reportgen.Report, kind: str) -> str:
    """The text of the one finding of a kind, which is an error."""
    (found,) = (one for one in report.findings if one.kind == kind)
    assert found.severity == "error"
    return found.text


def text_of(folder: Path, page: str) -> str:
    """What a reader sees on a page."""
    return " ".join("".join(Page(page, (folder / page).read_text(encoding="utf-8")).texts).split())


def places() -> Iterator[tuple[str, float, str]]:
    """Every entry of the state, and the first layer that shows what stands there."""
    for name in net().state_dict():
        if not name.endswith("num_batches_tracked"):
            # An infinite variance divides to zero, and a negative one has no root.
            bad = -math.inf if name.endswith("running_var") else math.inf
            yield name, math.nan, name.split(".")[0]
            yield name, bad, name.split(".")[0]


def assert_nothing_is_made_of(image: Image) -> None:
    """No class, probability or heat map of an image stands in the report."""
    assert image.predictions == ()
    assert set(image.panels) <= {"answers"}
    for panel in image.panels.values():
        assert {type(block) for block in panel.blocks.values()} <= {Photo, MapStrip}
        assert panel.facts["target_rank"] is panel.facts["true_probability"] is None


@pytest.mark.parametrize(("name", "bad", "layer"), [*places()], ids=str)
def test_a_bad_value_in_the_weights_or_buffers_is_named_and_nothing_is_made_of_it(
    name: str, bad: float, layer: str, photos: Path
) -> None:
    module = net()
    with torch.no_grad():
        module.state_dict()[name].view(-1)[1] = bad
    report = built(module, photos)
    said = finding(report, "non-finite-values")
    assert said.startswith(f"{layer} is the first to give NaN or infinite values")
    assert finding(report, "non-finite-weights").startswith(f"{name} holds 1 NaN or infinite")
    for image in report.record.images:
        assert_nothing_is_made_of(image)


def overflowing(module: Net) -> None:
    """Activations beyond what float32 holds."""
    with torch.no_grad():
        module.conv1.weight.fill_(1e38)
        module.conv2.weight.mul_(1e38)


def lost_behind_a_relu(module: Net) -> None:
    """-Inf, which the ReLU behind it makes a zero: the scores are finite."""
    with torch.no_grad():
        module.bn2.bias[1] = -math.inf


def unsaved_buffer(module: Net) -> None:
    module.scale.fill_(math.nan)


def infinite_variance(module: Net) -> None:
    """Everything divided by it is zero: all that comes of it is finite."""
    with torch.no_grad():
        module.bn1.running_var[:] = math.inf


def bad_scores(module: Net) -> None:
    module.spoil = lambda scores: scores / 0


def lost_behind_the_scores(module: Net) -> None:
    """Scores that the network itself makes finite."""
    with torch.no_grad():
        module.fc.bias.fill_(math.inf)
    module.spoil = lambda scores: scores.clamp(-1, 1)


@pytest.mark.parametrize(
    ("spoil", "layer"),
    [
        (overflowing, "conv1"),
        (lost_behind_a_relu, "bn2"),
        (unsaved_buffer, "conv2"),
        (infinite_variance, ""),
        (bad_scores, ""),
        (lost_behind_the_scores, "fc"),
    ],
)
def test_a_bad_value_on_the_way_is_named_and_nothing_is_made_of_it(
    spoil: Callable[[Net], None], layer: str, photos: Path, tmp_path: Path
) -> None:
    module, folder = net(), tmp_path / "report"
    spoil(module)
    report = built(module, photos, folder)
    errors = [one.text for one in report.findings if one.severity == "error"]
    if layer:
        said = finding(report, "non-finite-values")
        assert said.startswith(f"{layer} is the first to give NaN or infinite values")
    assert [f"{n}.png gets no answer: the network comes to NaN or infinite values." in errors
            for n in range(3)] == [True] * 3  # fmt: skip
    for image in report.record.images:
        assert_nothing_is_made_of(image)
        assert not re.search(r"\d %.{0,20}probab", text_of(folder, f"images/{image.slug}.html"))
    overview = text_of(folder, "index.html")
    assert "Something is broken." in overview and all(text in overview for text in errors)

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for file in folder.rglob("*.json"):
        json.loads(file.read_text(encoding="utf-8"), parse_constant=refused)


def test_only_the_image_that_breaks_the_network_has_no_answer(photos: Path, tmp_path: Path) -> None:
    class Dividing(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            # The mean of the black picture is -2 after normalisation.
            mean = x.mean((1, 2, 3), keepdim=True)
            return super().forward(x / torch.where(mean == -2, 0.0, 1.0))

    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = Dividing().eval()
    report = built(module, photos)
    images = report.record.images
    assert [bool(image.predictions) for image in images] == [True, False, True]
    assert_nothing_is_made_of(images[1])
    assert "1.png" in finding(report, "non-finite-output")
    whole = built(net(), photos)
    assert not any("non-finite" in one.kind for one in whole.findings)
    for image, other in zip(images[::2], whole.record.images[::2], strict=True):
        assert image.predictions == other.predictions
        assert image.panels.keys() == other.panels.keys() >= {"gradcam", "occlusion", "gradients"}
