"""Memory does not grow with the number of images: what is kept of one is a few kilobytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED_MB = 15
"For a thousand images; the pixels of each, as the network takes them, are 37 kB."

CHILD = r"""
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import reportgen
from reportgen.load.image_set import ImageSet

folder = Path(sys.argv[1])
noise = np.random.default_rng(0)
for number in range(1100):
    place = folder / ("few" if number < 100 else "many")
    place.mkdir(exist_ok=True)
    values = noise.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(values).save(place / f"{number}.png", compress_level=0)
net = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(8, 4),
)

def peak():
    said = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", said)[1]) / 1024

def growth(*places):
    before = peak()
    reportgen.build(
        net, [folder / place for place in places], output=folder / "report", force=True,
        input_size=(48, 64), mean=(0.5,) * 3, std=(0.25,) * 3, device="cpu", max_images=2,
        sections=("overview", "answers", "dead_filters", "redundancy"),
    )
    return peak() - before

growth("few")
growth("few")
print(growth("few", "many"))
kept, normalise = [], ImageSet.normalise
ImageSet.normalise = lambda self, pixels: kept.append(normalise(self, pixels)) or kept[-1]
print(growth("few", "many"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_thousand_more_images_take_hardly_more_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert not done.returncode, done.stderr
    as_it_is, with_a_leak = map(float, done.stdout.split())
    assert as_it_is < ALLOWED_MB
    assert with_a_leak > ALLOWED_MB, "the measurement does not see pixels that are kept"
