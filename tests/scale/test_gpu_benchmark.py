"""The benchmark of GPUs, run whole on the CPU with a tiny network, and what it says without one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import gpu
from benchmarks.table import Row
from tests.conftest import SAMPLES


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 5),
    )  # fmt: skip


def test_all_of_it_runs_on_any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "agreement", lambda device: f"compared with {device}")
    plan = gpu.Plan([tiny], side=24, batch=3, images=7, window=8, stride=4, rounds=1)
    found = list(gpu.measured("cpu", plan))
    made = [row for row in found if isinstance(row, Row)]
    assert [row.what.split(",")[1].strip() for row in made[:3]] == ["fp32", "bf16", "fp16"]
    assert "7 images in batches of 3" in made[0].what
    assert [row.against.split(",")[0] for row in made[3:]] == ["plain batched loop", "Captum"]
    assert "occlusion at 25 positions" in made[3].what
    assert all(row.ratio.ours > 0 and row.ratio.theirs > 0 for row in made)
    told = [text for text in found if isinstance(text, str)]
    assert told[0].startswith("tiny, tf32: not run. --precision tf32")
    assert told[-1] == "compared with cpu"


def test_a_report_agrees_with_itself(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, photo in enumerate(sorted((SAMPLES / "fashion_mnist").rglob("*.png"))[:2]):
        (photos / f"{index}.png").write_bytes(photo.read_bytes())
    more = {"arch": f"{SAMPLES / 'lenet.py'}:LeNet", "input_size": (28, 28), "mean": (0.286,)}
    more |= {"std": (0.353,), "sections": ("answers", "dead_filters")}
    said = gpu.agreement("cpu", SAMPLES / "lenet.pth", photos, **more)
    assert said.startswith("Report of LeNet on cpu and on cpu: of ")
    assert " texts 0 differ" in said and "largest relative difference is 0.0e+00" in said


def test_what_differs_is_counted() -> None:
    one = {"count": 3, "mean": 2.0, "rows": [1.0, float("nan")], "name": "a", "provenance": 1}
    other = {"count": 4, "mean": 2.5, "rows": [1.0, 3.0], "name": "a", "provenance": 2}
    found = gpu.Apart.of(one, other)
    assert (found.equal, found.other, found.numbers) == (1, 1, 3)
    assert found.largest == pytest.approx(0.2)


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert list(gpu.rows(False)) == ["not run: this machine has no GPU that PyTorch can use."]
