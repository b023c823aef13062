"""What all corpora need: one image, and an output folder with a report that must survive."""

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import SAMPLES, left_with


@pytest.fixture(scope="session")
def good_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good image."""
    folder = tmp_path_factory.mktemp("photos")
    Image.new("RGB", (40, 30), (200, 90, 10)).save(folder / "good.png")
    return folder


@pytest.fixture(scope="session")
def former_report(tmp_path_factory: pytest.TempPathFactory, good_image: Path) -> Path:
    """A small report of ours, in the place where the next one would stand."""
    folder = tmp_path_factory.mktemp("former") / "report"
    lenet = (SAMPLES / "lenet.pth", good_image, "--arch", f"{SAMPLES / 'lenet.py'}:LeNet")
    size = ("--input-size", 28, 28, "--mean", 0.286, "--std", 0.353)
    assert left_with("build", *lenet, *size, "--sections", "weights", "-q", "-o", folder) == 0
    return folder
