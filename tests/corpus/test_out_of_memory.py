"""Memory that runs out at the n-th batch, for n = 1, 2, 3 ... until none is left (bar R-01)."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.corpus.runner import Case, checked
from tests.corpus.test_images import CODE

IMAGES = 8
LARGEST = 4
TEXTS = {
    "cuda": (torch.OutOfMemoryError, "CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": (RuntimeError, "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network and its images."""
    folder = tmp_path_factory.mktemp("memory")
    (folder / "net.py").write_text(CODE)
    scope: dict[str, Any] = {}
    exec(CODE, scope)
    torch.save(scope["Net"]().state_dict(), folder / "net.pth")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        values = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / "images" / f"{index}.png")
    return folder


def words(place: Path, out: Path, batch: int) -> tuple[str, ...]:
    size = ("--input-size", "8", "12", "--mean", *["0.5"] * 3, "--std", *["0.2"] * 3)
    return (
        "build", f"{place}/net.pth", f"{place}/images", "--arch", f"{place}/net.py:Net", *size,
        "-o", str(out), "-b", str(batch), "--sections", "overview,dead_filters",
        "--max-images", "1", "-q", "--device", "cpu", "--no-config",
    )  # fmt: skip


@contextmanager
def running_out(error: Exception, number: int, most: int) -> Iterator[list[int]]:
    """From the `number`-th batch on, counted from one, no more than `most` images fit."""
    convolve, batches = nn.Conv2d.forward, []

    def forward(self: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        batches.append(len(images))
        if len(batches) >= number and len(images) > most:
            raise error
        return convolve(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Conv2d, "forward", forward)
        yield batches


def numbers(folder: Path) -> list[Any]:
    """All that the network's answers and statistics say, as text where that may be NaN."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert not [one for one in report["sections"] if one["problem"]]
    arrays = [
        [(name, str(array.tolist())) for name, array in np.load(path).items()]
        for path in sorted((folder / "arrays").glob("*.npz"))
    ]
    return [[report[key] for key in ("images", "layers", "findings")], arrays]


def is_same(one: Any, other: Any) -> bool:
    """Whether two of these are equal; sums over other batches may differ in their last digit."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-14)
    return bool(one == other)


def batch_size(folder: Path) -> int:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return int(report["provenance"]["batch_size"])


@pytest.mark.parametrize("text", TEXTS)
def test_a_batch_halves_wherever_memory_runs_out(
    text: str, place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, said = TEXTS[text]
    fine = Case("fine", lambda folder: None, 0, r"^\d+ files")
    for batch in (1, 2, LARGEST):
        checked(fine, words(place, tmp_path / str(batch), batch), capfd)
    # Both texts take one way through our code: the second is tried at some of the moments.
    number, step = (0, 1) if text == "cuda" else (-1, 5)
    while True:
        number += step
        out = tmp_path / "halved"
        with running_out(kind(said), number, 2) as batches:
            checked(fine, words(place, out, LARGEST), capfd)
        if LARGEST not in batches[number - 1 :]:  # it did not run out any more
            break
        assert batch_size(out) == 2
        assert is_same(numbers(out), numbers(tmp_path / "2"))
    assert number > 2, "memory ran out once at least"
    assert numbers(out) == numbers(tmp_path / str(LARGEST)) and batch_size(out) == LARGEST


@pytest.mark.parametrize("text", TEXTS)
def test_one_image_that_does_not_fit_ends_with_7_and_nothing_is_written(
    text: str, place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, said = TEXTS[text]
    case = Case("full", lambda folder: None, 7, r"memory of cpu is too small .* --input-size")
    for number in (1, 4):
        with running_out(kind(said), number, 0):
            checked(case, words(place, tmp_path / "report", LARGEST), capfd)
        assert list(tmp_path.iterdir()) == []
