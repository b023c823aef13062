"""The most memory that a build holds, and how it grows with the images."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.table import Ratio, Row, run

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "sample_models" / "squeezenet1_1.pth"
PHOTOS = ROOT / "sample_models" / "photos"
PICTURED = ("overview", "activations", "answers", "gradcam", "dead_filters")
COUNTED = ("overview", "dead_filters")
NET = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )
"""


def rows(quick: bool) -> Iterator[Row | str]:
    """Growth with pictured images, then with images that only statistics are taken of."""
    some, many = (4, 16) if quick else (8, 64)
    yield row("images with a page", some, many, PICTURED, most=many, at_most=None)
    few, all_ = (20, 100) if quick else (100, 2000)
    yield row("images in the statistics, 4 with a page", few, all_, COUNTED, most=4, at_most=1.1)
    few, all_ = (200, 2_000) if quick else (1_000, 10_000)
    small, large = (peak_of_small(count) for count in (few, all_))
    yield compared(
        f"{few:,} to {all_:,} small images, 4 with a page", few, all_, small, large, at_most=1.2
    )
    yield (
        "SqueezeNet 1.1 at 224 x 224, batches of 16, "
        f"sections {', '.join(PICTURED)} and {', '.join(COUNTED)}. Small images are of 8 x 12 "
        "pixels, through two convolutions and all sections: what is kept of an image, and nothing "
        "else, makes the difference. Most resident memory of the process, as `--profile` tells it."
    )


def row(
    what: str, few: int, many: int, sections: tuple[str, ...], *, most: int, at_most: float | None
) -> Row:
    """Peak memory with many images, in units of that with few."""
    small, large = (peak(count, most=min(most, count), sections=sections) for count in (few, many))
    return compared(f"{few} to {many:,} {what}", few, many, small, large, at_most)


def compared(what: str, few: int, many: int, small: int, large: int, at_most: float | None) -> Row:
    """Peak memory with many images, in units of that with few; both in MB."""
    ratio = Ratio(large / small, large / small, large / small, 1, large, small)
    return Row(
        what,
        f"{large:,} MB",
        f"{small:,} MB, so {(large - small) / (many - few):.3f} MB an image",
        ratio,
        at_most=at_most,
    )


def peak_of_small(count: int) -> int:
    """MB that a build of a tiny network on so many tiny images holds at most."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        noise = np.random.default_rng(0)
        for number in range(count):
            values = noise.integers(0, 256, (8, 12, 3), dtype=np.uint8)
            Image.fromarray(values).save(folder / "images" / f"{number:05}.png")
        (folder / "net.py").write_text(NET)
        scope: dict[str, Any] = {}
        exec(NET, scope)
        torch.manual_seed(0)
        torch.save(scope["net"]().state_dict(), folder / "net.pth")
        words = [str(folder / "net.pth"), str(folder / "images"), "--max-images", "4"]
        words += ["--arch", f"{folder / 'net.py'}:net", "--input-size", "8", "12"]
        words += ["--mean", *["0.5"] * 3, "--std", *["0.25"] * 3, "--device", "cpu"]
        return peak_of([*words, "-o", str(folder / "report")])


def peak(count: int, *, most: int, sections: tuple[str, ...]) -> int:
    """MB that a build of this many images holds at most."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.iterdir())]
        places = np.random.default_rng(0)
        for number in range(count):
            photo = photos[number % len(photos)]
            left, top = (int(places.integers(0, side - 255)) for side in photo.size)
            photo.crop((left, top, left + 256, top + 256)).save(images / f"{number:04}.jpg")
        words = [str(MODEL), str(images), "--sections", ",".join(sections)]
        return peak_of([*words, "--max-images", str(most), "-o", f"{folder}/report"])


def peak_of(words: list[str]) -> int:
    """MB that `reportgen build` with these words holds at most."""
    command = [sys.executable, "-m", "reportgen", "build", *words, "-q", "--profile"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stderr
    found = re.search(r"Peak memory ([\d,]+) MB", told)
    assert found, told
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    run(rows)
