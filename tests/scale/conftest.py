"""A small network that draws random numbers and takes its time, on many small images."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[2]

NET = """
import time

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, noise=0.0, pause=0.0):
        super().__init__()
        self.noise, self.pause = noise, pause
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        time.sleep(self.pause)
        x = x + self.noise * torch.randn_like(x) if self.noise else x
        return self.head(self.pool(self.relu(self.norm(self.stem(x)))).flatten(1))
"""
COUNT = 90
"Images: not whole batches of any size used here."

Launch: TypeAlias = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """Runs a command in some processes, and kills one of them if that is asked for."""
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests/scale/launcher.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )

    def run(
        *words: object,
        size: int = 1,
        kill: int | None = None,
        heard: int | None = None,
        line: str = "Running the network",
        file: Path = Path(),
        writes: int = 0,
        seconds: float = 0.0,
    ) -> dict[str, Any]:
        asked = {"words": [str(word) for word in words], "size": size, "kill": kill}
        asked |= {"heard": kill if heard is None else heard, "line": line}
        asked |= {"file": str(file), "writes": writes, "seconds": seconds}
        assert server.stdin and server.stdout
        print(json.dumps(asked), file=server.stdin, flush=True)
        answer: dict[str, Any] = json.loads(server.stdout.readline())
        return answer

    with server:
        yield run
        assert server.stdin
        server.stdin.close()


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `net.py`, its weights `net.pth`, and `images/` in folders of two classes."""
    folder = tmp_path_factory.mktemp("scale")
    (folder / "net.py").write_text(NET)
    scope: dict[str, Any] = {}
    exec(NET, scope)
    torch.manual_seed(3)
    net = scope["Net"]()
    net.norm.running_mean.normal_()
    # One unit that never fires.
    net.norm.bias.data[2] = -100
    torch.save(net.state_dict(), folder / "net.pth")
    noise = np.random.default_rng(0)
    for number in range(COUNT):
        place = folder / "images" / ("ant", "bee")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        values = noise.integers(0, 255, (9, 14, 3), dtype=np.uint8)
        Image.fromarray(values).save(place / f"{number:03}.png")
    return folder


SECTIONS = "answers,activations,dead_filters,patches,redundancy"
"Those that read what the pass saw."


def build_words(
    sources: Path,
    output: Path,
    *more: object,
    net: str = "{}",
    batch: int = 4,
    sections: str = SECTIONS,
) -> list[object]:
    """A build of that network."""
    return [
        *("build", sources / "net.pth", sources / "images", "-o", output),
        *("--arch", f"{sources / 'net.py'}:Net", "--arch-args", net, "--input-size", 9, 14),
        *("--mean", 0.5, 0.5, 0.5, "--std", 0.25, 0.25, 0.25, "-b", batch, "--threads", 1),
        *("--max-images", 3, "--visualise", 0),
        *("--sections", sections),
        *more,
    ]
