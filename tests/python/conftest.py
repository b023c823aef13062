"""One report of a network in memory that many tests read."""

import pytest

import reportgen
from tests.python.networks import LABELS, QUICK, pixels, small


@pytest.fixture(scope="session")
def report() -> reportgen.Report:
    images = [(image, index % 3) for index, image in enumerate(pixels())]
    return reportgen.build(small(), images, labels=LABELS, max_images=2, **QUICK)
