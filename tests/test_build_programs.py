"""The report of a `.pt2` is that of the network it was exported from, number for number."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sample_models.small_resnet import SmallResNet
from tests.conftest import SAMPLES, left_with

WORDS = (
    SAMPLES / "fashion_mnist" / "bag",
    *("--labels", SAMPLES / "fashion_mnist_labels.txt", "--input-size", 28, 28),
    *("--mean", 0.286, "--std", 0.353, "-q", "--sections"),
    "overview,architecture,activations,dead_filters,kernels,occlusion,gradcam,weights",
)


def told(folder: Path) -> dict[str, Any]:
    """The report, without what says where the network came from."""

    def without_commands(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in pairs if name != "plan_command"}

    text = (folder / "report.json").read_text()
    report: dict[str, Any] = json.loads(text, object_pairs_hook=without_commands)
    for name in ("file", "sha256", "bytes", "format", "architecture_source"):
        del report["model"][name]
    return {name: value for name, value in report.items() if name not in ("provenance", "notes")}


@pytest.mark.filterwarnings("ignore")
def test_the_report_is_that_of_the_network(tmp_path: Path) -> None:
    net = SmallResNet()
    net.load_state_dict(torch.load(SAMPLES / "small_resnet.pth", weights_only=True))
    program = torch.export.export(net.eval(), (torch.zeros(1, 1, 28, 28),))
    torch.export.save(program, tmp_path / "net.pt2")
    arch = f"{SAMPLES / 'small_resnet.py'}:SmallResNet"
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    assert (
        left_with("build", SAMPLES / "small_resnet.pth", *WORDS, "--arch", arch, "-o", theirs) == 0
    )
    assert left_with("build", tmp_path / "net.pt2", *WORDS, "-o", ours) == 0
    report = told(theirs)
    assert report["model"]["architecture"] == "SmallResNet"
    assert len(report["layers"]) > 20
    assert report["images"][0]["occlusion"]
    assert told(ours) == report
    arrays = [path.relative_to(theirs) for path in theirs.rglob("*.npz")]
    assert arrays
    assert all((ours / path).read_bytes() == (theirs / path).read_bytes() for path in arrays)
