"""What all corpora need: one image, and an output folder with a report that must survive."""

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def good_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good image."""
    folder = tmp_path_factory.mktemp("photos")
    Image.new("RGB", (40, 30), (200, 90, 10)).save(folder / "good.png")
    return folder
